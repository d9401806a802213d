"""Reported minus true alignment of judges that the grades chose: cross-validated, beside audits and naive EvalGen.

`best` chooses the best judge, `set` the smallest set by integer programming (on fewer pools: it takes long). An audit
holds a part of the grades back at random, lets the others choose and is measured on its own grades only; its truth is
that of what the others chose.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment_designs import draw_in_turn
from alignment_intervals import FIGURES, graded, naive_figures, note, true_figures
from common import environment, write
from judge_pools import JudgedPool, real_pools, synthetic
from plumbline_backend.domain.alignment import BAD, GOOD, UNGRADED, Alignment, measure
from plumbline_backend.domain.optimism import Choose, cross_validated
from plumbline_backend.judges.choose import Candidate, best_of, choose_set

GRADES = (10, 16, 30)
MIN_COVERAGE, MAX_FFR = 0.8, 0.2
DRAWS = 500
IN_TURN = {"draws by three other judges in turn": 3}
DESIGNS = {**IN_TURN, "draws by one other judge": 1}
PRODUCT = "product: cross-validated"
AUDITS = {"audit of a third": 3, "audit of a half": 2}
SYNTHETIC = ((100, 0.0), (100, 0.7), (500, 0.0), (500, 0.7))
Make = Callable[[np.random.Generator], JudgedPool]


class Shown(NamedTuple):
    """What one way of reporting says about what it chose, and the truth. figures: name to value, low and high."""

    figures: dict[str, tuple[float | None, ...]]
    truth: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["best", "set"], help="each writes results of its own")
    parser.add_argument("--repeats", type=int, default=1_000)
    options = parser.parse_args()
    started = time.perf_counter()
    sources: dict[str, Make] = {pool.name: lambda _, pool=pool: pool for pool in real_pools()}
    whole = options.part == "best"
    for n_outputs, alike in SYNTHETIC if whole else SYNTHETIC[::3]:
        name = f"synthetic, {n_outputs} outputs, 20 judges, alike {alike:g}"
        sources[name] = lambda rng, n=n_outputs, a=alike: synthetic(rng, n, 20, a)
    chooser_of = best_chooser if whole else set_chooser
    result: dict[str, Any] = {
        "environment": environment(["numpy", "scipy"]),
        "repeats": options.repeats,
        "designs": {
            design: {name: optimism(make, chooser_of, n, options.repeats) for name, make in sources.items()}
            for design, n in (DESIGNS if whole else IN_TURN).items()
        },
    }
    result["summary"] = {design: summary(pools) for design, pools in result["designs"].items()}
    result["seconds"] = round(time.perf_counter() - started, 1)
    write(f"selection_optimism_{options.part}", result)


def optimism(
    make: Make, chooser_of: Callable[[JudgedPool], Choose], n_splits: int, repeats: int
) -> dict[str, Any]:
    """Per number of grades and way of reporting: mean error and how often intervals hold."""
    out = {}
    for n_grades in GRADES:
        rng = np.random.default_rng([n_grades, n_splits])
        shown: dict[str, list[Shown]] = defaultdict(list)
        for _ in range(repeats):
            pool = make(rng)
            splits = pool.failed[rng.permutation(len(pool.failed))[:n_splits]]
            drawn, strata = draw_in_turn(splits, n_grades, rng)
            for way, said in reported(pool, chooser_of(pool), drawn, strata, rng):
                shown[way].append(said)
        out[str(n_grades)] = {
            way: told(found, FIGURES if way == PRODUCT else ("alignment",)) for way, found in shown.items()
        }
    return out


def reported(
    pool: JudgedPool,
    choose: Choose,
    drawn: NDArray[np.int64],
    strata: NDArray[np.int64],
    rng: np.random.Generator,
) -> Iterator[tuple[str, Shown]]:
    """Every way of reporting on one sample of grades; nothing where there is nothing to choose by."""
    grades = graded(pool.bad, drawn)
    chosen = _usable(choose(grades))
    if chosen is not None:
        truth = true_figures(chosen, pool.bad)
        found = cross_validated(choose, chosen, grades, strata, rng, n_draws=DRAWS)
        if found is not None:
            yield PRODUCT, Shown(_figures(found), truth)
        yield "same grades", Shown(_figures(measure(chosen, grades, strata, rng, DRAWS)), truth)
        yield "naive", Shown(naive_figures(chosen[drawn], pool.bad[drawn]), truth)
    for way, parts in AUDITS.items():
        held_back = rng.permutation(drawn)[: len(drawn) // parts]
        others = grades.copy()
        others[held_back] = UNGRADED
        chosen = _usable(choose(others))
        if chosen is not None:
            audit = measure(chosen, graded(pool.bad, held_back), strata, rng, DRAWS)
            yield way, Shown(_figures(audit), true_figures(chosen, pool.bad))


def best_chooser(pool: JudgedPool) -> Choose:
    """The judge with the best alignment: `best_of` for all judges at once, since it is asked a million times."""
    everywhere = np.ones(len(pool.bad), dtype=bool)

    def choose(grades: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        bad, good = pool.failed[:, grades == BAD], pool.failed[:, grades == GOOD]
        n_bad, n_good = bad.shape[1], good.shape[1]
        if not n_bad or not n_good:
            return None
        bf, gf = bad.sum(axis=1), good.sum(axis=1)
        bp, gp = n_bad - bf, n_good - gf
        coverage, specific = (bf + 0.5) / (n_bad + 1), (gp + 0.5) / (n_good + 1)
        alignment = 2 * coverage * specific / (coverage + specific)
        product_of = (gp + gf) * (gp + bp) * (bf + gf) * (bf + bp)
        mcc = np.where(product_of > 0, (gp * bf - gf * bp) / np.maximum(product_of, 1) ** 0.5, 0.0)
        best = np.lexsort((-np.arange(len(mcc)), mcc, alignment))[-1]
        return pool.failed[best], everywhere

    return choose


def set_chooser(pool: JudgedPool) -> Choose:
    """The smallest set within the limits, else the best judge, as a set in use is found again by the report.

    Sets of up to three are tried one and all, as it is asked a hundred thousand times; `choose_set` finds larger ones.
    """
    everywhere = np.ones(len(pool.bad), dtype=bool)
    candidates = [Candidate(j, row, everywhere) for j, row in enumerate(pool.failed)]

    def choose(grades: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        if not (grades == BAD).any() or not (grades == GOOD).any():
            return None
        ids = small_set(pool.failed[:, grades == BAD], pool.failed[:, grades == GOOD])
        if ids is None:
            found = choose_set(candidates, grades, MIN_COVERAGE, MAX_FFR, explain=False)
            best = None if found.feasible else best_of(candidates, grades)
            ids = list(found.ids) if found.feasible else [best] if best is not None else []
        return (pool.failed[ids].any(axis=0), everywhere) if ids else None

    return choose


def small_set(on_bad: NDArray[np.bool_], on_good: NDArray[np.bool_]) -> list[int] | None:
    """The first smallest set of at most three judges within the limits; None where there is none. At most 62 grades."""
    wanted = int(np.ceil(MIN_COVERAGE * on_bad.shape[1] - 1e-9))
    allowed = int(np.floor(MAX_FFR * on_good.shape[1] + 1e-9))
    bits = [rows.astype(np.int64) @ (1 << np.arange(rows.shape[1])) for rows in (on_bad, on_good)]
    for size in (1, 2, 3):
        sets = sets_of(len(on_bad), size)
        caught, spoilt = (np.bitwise_count(np.bitwise_or.reduce(each[sets], axis=1)) for each in bits)
        fits = np.flatnonzero((caught >= wanted) & (spoilt <= allowed))
        if len(fits):
            return [int(judge) for judge in sets[fits[0]]]
    return None


@cache
def sets_of(n: int, size: int) -> NDArray[np.int64]:
    """(n_sets, size) every set of so many of n judges."""
    return np.array(list(combinations(range(n), size)), dtype=np.int64)


def told(found: Sequence[Shown], names: Sequence[str]) -> dict[str, Any]:
    """Means over the repeats. chosen: the true alignment of what was chosen. Naive alignment has no interval."""
    out: dict[str, Any] = {"chosen": round(float(np.mean([each.truth["alignment"] for each in found])), 4)}
    for name in names:
        rows: list[tuple[float, bool | None]] = []
        for each in found:
            note(rows, each.figures[name], each.truth[name])
        errors = np.array([error for error, _ in rows])
        held = [holds for _, holds in rows if holds is not None]
        out[name] = {
            "bias": round(float(errors.mean()), 4),
            "bias_se": round(float(errors.std() / np.sqrt(len(errors))), 4),
            "holds": round(float(np.mean(held)), 4) if held else None,
            "n": len(rows),
        }
    return out


def summary(pools: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Over the pools, per number of grades and way of reporting: mean and worst bias of the alignment, how often
    intervals hold, mean and least, and the mean true alignment of what was chosen."""
    out: dict[str, Any] = {}
    for n_grades in map(str, GRADES):
        ways = next(iter(pools.values()))[n_grades]
        out[n_grades] = {way: _over([pool[n_grades][way] for pool in pools.values()]) for way in ways}
    return out


def _over(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    biases = [cell["alignment"]["bias"] for cell in cells]
    held = [cell["alignment"]["holds"] for cell in cells if cell["alignment"]["holds"] is not None]
    return {
        "bias": round(float(np.mean(biases)), 4),
        "worst_bias": max(biases, key=abs),
        "holds": round(float(np.mean(held)), 4) if held else None,
        "least_holds": min(held, default=None),
        "chosen": round(float(np.mean([cell["chosen"] for cell in cells])), 4),
    }


def _figures(found: Alignment) -> dict[str, tuple[float | None, ...]]:
    return {name: getattr(found, name)[:3] for name in FIGURES}


def _usable(chosen: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None) -> NDArray[np.bool_] | None:
    """Where the choice fails; None where nothing was chosen, or what fails all outputs or none."""
    return None if chosen is None or chosen[0].all() or not chosen[0].any() else chosen[0]


if __name__ == "__main__":
    main()
