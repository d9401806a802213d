"""Choosing judges: the best of a criterion, and the smallest set that catches enough without failing too much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from plumbline_backend.domain.alignment import BAD, GOOD, weights_of
from plumbline_backend.domain.errors import InputError

TIME_LIMIT_S = 10.0


class Candidate(NamedTuple):
    """A judge with its verdicts: (n_outputs,) True where it fails, and where it decided at all."""

    id: int
    failed: NDArray[np.bool_]
    decided: NDArray[np.bool_]
    cost: float = 0.0


class SetChoice(NamedTuple):
    """A smallest set of judges that meets both limits on the graded outputs, or why there is none.

    coverage, ffr: of the set on those outputs, as counted. `subsumes`: pairs (a, b) of all candidates where every
    output that b fails is failed by a too.
    """

    ids: tuple[int, ...]
    feasible: bool
    reason: str
    coverage: float | None
    ffr: float | None
    subsumes: tuple[tuple[int, int], ...]


def best_of(
    candidates: Sequence[Candidate],
    grades: NDArray[np.int8],
    ffr_limit: float | None = None,
    strata: NDArray[np.integer[Any]] | None = None,
) -> int | None:
    """The id of the judge with the best alignment on the graded outputs, under the limit of false failures.

    Ties go to the higher MCC, then to the lower cost, then to the older judge. Rates are counted with half an
    output added to each side, so that one lucky grade does not win. The rate that the limit is compared with is
    weighted: half of the draws come from what the chosen judges fail, so plain counts would show too many failures.
    strata: (n_outputs,) groups in each of which the graded outputs are a uniform sample; None: one group. None when
    there is no bad or no good output among the grades, or no judge meets the limit.
    """
    scored = []
    weights = weights_of(grades, strata)
    for order, judge in enumerate(candidates):
        bf, bp, gf, gp = counts(judge.failed & judge.decided, grades, judge.decided)
        if bf + bp == 0 or gf + gp == 0:
            continue
        if ffr_limit is not None and weighted_ffr(judge, grades, weights) > ffr_limit:
            continue
        coverage, specific = (bf + 0.5) / (bf + bp + 1), (gp + 0.5) / (gf + gp + 1)
        alignment = 2 * coverage * specific / (coverage + specific)
        scored.append((alignment, _mcc(bf, bp, gf, gp), -judge.cost, -order, judge.id))
    return max(scored)[-1] if scored else None


def least_ffr(
    candidates: Sequence[Candidate], grades: NDArray[np.int8], strata: NDArray[np.integer[Any]] | None = None
) -> int | None:
    """The id of the judge that fails the smallest share of the good outputs; ties go as in `best_of`.

    For the case that no judge meets a limit. None when there is no bad or no good output among the grades.
    """
    weights = weights_of(grades, strata)
    usable = [judge for judge in candidates if best_of([judge], grades) is not None]
    if not usable:
        return None
    rates = np.array([weighted_ffr(judge, grades, weights) for judge in usable])
    least = rates <= rates.min() + 1e-9
    return best_of([judge for judge, low in zip(usable, least, strict=True) if low], grades)


def weighted_ffr(judge: Candidate, grades: NDArray[np.int8], weights: NDArray[np.float64]) -> float:
    """The share of the good outputs that the judge fails, of those it decided."""
    good = weights * ((grades == GOOD) & judge.decided)
    return float(good[judge.failed].sum() / good.sum())


def choose_set(
    candidates: Sequence[Candidate],
    grades: NDArray[np.int8],
    min_coverage: float,
    max_ffr: float,
    explain: bool = True,
) -> SetChoice:
    """The fewest judges (cheapest among equals) that fail at least `min_coverage` of the bad graded outputs and
    at most `max_ffr` of the good ones, by integer programming.

    Raises InputError for limits outside [0, 1]. Infeasible is an answer: the reason says which limit cannot be met
    and how near one can get; explain: False leaves the search for that out, and the subsumption.
    """
    for name, value in (("min_coverage", min_coverage), ("max_ffr", max_ffr)):
        if not 0 <= value <= 1:
            raise InputError(f"{name}: found {value}; expected a rate from 0 to 1")
    subsumes = subsumption(candidates) if explain else ()
    bad, good = np.flatnonzero(grades == BAD), np.flatnonzero(grades == GOOD)
    if not len(bad) or not len(good):
        what = "bad" if not len(bad) else "good"
        return SetChoice((), False, f"no output is graded {what} yet; grade more first", None, None, subsumes)
    fails = np.array([c.failed & c.decided for c in candidates]).reshape(len(candidates), -1)
    costs = np.array([c.cost for c in candidates])
    wanted = int(np.ceil(min_coverage * len(bad) - 1e-9))
    allowed = int(np.floor(max_ffr * len(good) + 1e-9))
    chosen = _solve(fails[:, bad], fails[:, good], costs, wanted, allowed)
    if chosen is None:
        reason = _why(fails[:, bad], fails[:, good], wanted, allowed) if explain else "no such set"
        return SetChoice((), False, reason, None, None, subsumes)
    hit = np.asarray(fails[chosen].any(axis=0))
    ids = tuple(candidates[j].id for j in chosen)
    return SetChoice(ids, True, "", float(hit[bad].mean()), float(hit[good].mean()), subsumes)


def subsumption(candidates: Sequence[Candidate]) -> tuple[tuple[int, int], ...]:
    """Pairs (a, b): b fails something, and all that b fails a fails too. For information only."""
    fails = [c.failed & c.decided for c in candidates]
    return tuple(
        (candidates[a].id, candidates[b].id)
        for a in range(len(fails))
        for b in range(len(fails))
        if a != b and fails[b].any() and not (fails[b] & ~fails[a]).any()
    )


def counts(
    failed: NDArray[np.bool_], grades: NDArray[np.int8], among: NDArray[np.bool_]
) -> tuple[int, int, int, int]:
    """Graded outputs: bad failed, bad passed, good failed, good passed, where `among` holds."""
    bad, good = (grades == BAD) & among, (grades == GOOD) & among
    return (
        int((bad & failed).sum()),
        int((bad & ~failed).sum()),
        int((good & failed).sum()),
        int((good & ~failed).sum()),
    )


def _mcc(bf: int, bp: int, gf: int, gp: int) -> float:
    product = (gp + gf) * (gp + bp) * (bf + gf) * (bf + bp)
    return (gp * bf - gf * bp) / product**0.5 if product else 0.0


def _solve(
    on_bad: NDArray[np.bool_],
    on_good: NDArray[np.bool_],
    costs: NDArray[np.float64],
    wanted: int,
    allowed: int,
    objective: str = "fewest",
) -> NDArray[np.int64] | None:
    """Indices of the chosen judges, or None when there is no such set.

    Variables: x (judge in the set), u (bad output caught), z (good output failed). on_bad: (n_judges, n_bad).
    """
    n, n_bad, n_good = len(on_bad), on_bad.shape[1], on_good.shape[1]
    if n == 0:
        return None if wanted else np.empty(0, dtype=np.int64)
    caught = np.hstack([-on_bad.T.astype(float), np.eye(n_bad), np.zeros((n_bad, n_good))])
    judge, output = np.nonzero(on_good)
    spoilt = np.zeros((len(judge), n + n_bad + n_good))
    spoilt[np.arange(len(judge)), judge] = 1
    spoilt[np.arange(len(judge)), n + n_bad + output] = -1
    enough = np.concatenate([np.zeros(n), np.ones(n_bad), np.zeros(n_good)])
    few = np.concatenate([np.zeros(n + n_bad), np.ones(n_good)])
    constraints = [LinearConstraint(np.vstack([caught, spoilt]), -np.inf, 0)]
    if objective == "most caught":
        aim = -enough
        constraints.append(LinearConstraint(few, 0, allowed))
    elif objective == "least spoilt":
        aim = few
        constraints.append(LinearConstraint(enough, wanted, np.inf))
    else:
        total = costs.sum()
        cheaper = costs / (total * (1 + 1e-9)) if total > 0 else np.zeros(n)
        aim = np.concatenate([1 + cheaper, np.zeros(n_bad + n_good)])
        constraints += [LinearConstraint(few, 0, allowed), LinearConstraint(enough, wanted, np.inf)]
    found = milp(
        aim,
        constraints=constraints,
        integrality=np.concatenate([np.ones(n), np.zeros(n_bad + n_good)]),
        bounds=Bounds(0, 1),
        options={"time_limit": TIME_LIMIT_S},
    )
    if found.x is None and found.status == 1:
        raise InputError(
            f"{n} judges and {n_bad + n_good} grades: no answer in {TIME_LIMIT_S:g} s; use fewer judges"
        )
    return None if found.x is None else np.flatnonzero(found.x[:n] > 0.5)


def _why(on_bad: NDArray[np.bool_], on_good: NDArray[np.bool_], wanted: int, allowed: int) -> str:
    """Which limit cannot be met, and by how much."""
    n_bad, n_good = on_bad.shape[1], on_good.shape[1]
    reachable = int(on_bad.any(axis=0).sum())
    if reachable < wanted:
        return (
            f"coverage: all judges together fail {reachable} of {n_bad} bad outputs; {wanted} are needed "
            f"({wanted - reachable} more)"
        )
    costs = np.zeros(len(on_bad))
    most = _solve(on_bad, on_good, costs, 0, allowed, "most caught")
    least = _solve(on_bad, on_good, costs, wanted, n_good, "least spoilt")
    assert most is not None  # the empty set fails no good output
    assert least is not None  # all judges together reach the coverage
    caught = int(on_bad[most].any(axis=0).sum()) if len(most) else 0
    spoilt = int(on_good[least].any(axis=0).sum())
    return (
        f"both together: with at most {allowed} of {n_good} good outputs failed, at most {caught} of {n_bad} bad "
        f"ones are caught ({wanted} are needed); catching {wanted} fails at least {spoilt} good ones"
    )
