"""Trained heads: classifiers on features of the outputs that learn from the grades.

An output that was graded is judged by a head that has not seen its grade (cross-fitting), so that what the alignment
report says of the head holds for outputs that nobody has graded.

Where most outputs are good, a limit of one half passes nearly all and catches nothing. An output therefore fails when
its probability is among the lowest, by as large a share as is bad among the grades: on faults of the demo's 126 replies
(6 and 13 % bad, 60 graded) this caught 0.29 and 0.47 and spoilt 0.02 and 0.08; a limit of one half caught none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.alignment import GOOD, UNGRADED
from plumbline_backend.domain.errors import ConflictError, InputError, did_you_mean
from plumbline_backend.domain.grades import Criterion, Verdict
from plumbline_backend.jobs.executors import Work
from plumbline_backend.judges.kinds import JudgeRun
from plumbline_backend.pool.pool import Pool
from plumbline_backend.registry import HEADS

HEADS_FOR_GRADES = (
    "linear_softmax", "cosine", "lda", "nearest_mean", "singular_kernel", "prototypes", "random_forest",
)  # fmt: skip
"""Heads that learn two classes from a few dozen grades. Of the others some need what grades lack (texts of classes, an
order, a second domain) or are made for very many classes; the rest missed bad outputs in trials (with 10 of 40 bad
k_nearest caught 0 of 5 new ones, mlp 2; on short texts gaussian_nb 0 of 8) or took minutes for their eleven fits."""
N_FOLDS = 10
MIN_EACH = 3
"""Good and bad outputs needed before a head is trained: with fewer, leaving one out leaves hardly anything."""


class HeadJudge:
    """A head over the outputs' features."""

    kind = "head"
    explanation = "A small classifier that learns from your grades. Needs no LLM; learns again at each run."

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> Mapping[str, Any]:
        """{"head": one of HEADS_FOR_GRADES}. Raises InputError."""
        del criterion
        unknown = sorted(set(spec) - {"head"})
        if unknown:
            raise InputError(f"head judge: found {', '.join(unknown)}; expected head only")
        name = spec.get("head", "linear_softmax")
        if name not in HEADS_FOR_GRADES:
            raise InputError(f"head: found {name!r}; {did_you_mean(str(name), HEADS_FOR_GRADES)}")
        return {"head": name}

    def run(self, run: JudgeRun) -> Mapping[str, Any]:
        """Train in a worker and judge. Raises ConflictError with too few grades."""
        truth = run.project.truth(run.criterion.id)
        n_good, n_bad = int((truth == GOOD).sum()), int((truth == 1 - GOOD).sum())
        if min(n_good, n_bad) < MIN_EACH:
            raise ConflictError(
                f"a head learns from at least {MIN_EACH} good and {MIN_EACH} bad outputs; there are {n_good} and "
                f"{n_bad}"
            )
        graded = np.flatnonzero(truth != UNGRADED)
        spec = {
            "pool": str(run.project.pool_folder),
            "head": run.judge.spec["head"],
            "items": graded.tolist(),
            "targets": truth[graded].tolist(),
            "wanted": [output.position for output in run.outputs],
            "seed": run.project.seed,
        }
        found = run.project.in_worker(Work("grade_head", spec), run.report)
        run.save(
            [
                _verdict(output.position, p, limit)
                for output, p, limit in zip(run.outputs, found["p_good"], found["limits"], strict=True)
            ]
        )
        return {"n_good": n_good, "n_bad": n_bad}


def _verdict(output: int, p_good: float, limit: float) -> Verdict:
    note = f"p(good) = {p_good:.3f}; passes from {limit:.3f}, which fails as many as are bad among the grades"
    return Verdict(output, "pass" if p_good >= limit else "fail", p_pass=p_good, note=note)


def fit_and_judge(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's task: probabilities of "good", cross-fitted where the output was graded, and from where each passes.

    spec: pool, head, items (graded positions), targets (0 good, 1 bad), wanted (positions), seed.
    """
    pool = Pool.open(Path(spec["pool"]))
    items, targets = np.array(spec["items"], dtype=np.int64), np.array(spec["targets"], dtype=np.int64)
    wanted = np.array(spec["wanted"], dtype=np.int64)
    features = pool.features.gather(items)
    make = HEADS.get(spec["head"])
    report(0.1, "training")
    p_good = make().fit(features, targets, 2).proba(pool.features.gather(wanted))[:, GOOD]
    parts = folds(targets, np.random.default_rng(spec["seed"]))
    unseen = np.empty(len(items))
    for number, held_out in enumerate(parts):
        report(0.2 + 0.7 * number / N_FOLDS, "judging graded outputs without their grades")
        seen = np.setdiff1d(np.arange(len(items)), held_out)
        unseen[held_out] = make().fit(features[seen], targets[seen], 2).proba(features[held_out])[:, GOOD]
    limits = np.full(len(wanted), limit_of(unseen, targets))
    place = {int(item): at for at, item in enumerate(items)}
    at = np.array([place.get(int(item), -1) for item in wanted])
    for held_out in parts:
        rows = np.flatnonzero(np.isin(at, held_out))
        seen = np.setdiff1d(np.arange(len(items)), held_out)
        p_good[rows], limits[rows] = unseen[at[rows]], limit_of(unseen[seen], targets[seen])
    return {"p_good": p_good.tolist(), "limits": limits.tolist()}


def limit_of(p_good: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """Where to cut so that as large a share falls below as is bad. p_good: of outputs that the head had not seen."""
    return float(np.quantile(p_good, (targets != GOOD).mean()))


def folds(targets: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Parts of the graded outputs with both kinds in nearly equal shares; each leaves at least two of each kind."""
    order = np.concatenate([rng.permutation(np.flatnonzero(targets == kind)) for kind in (0, 1)])
    n = min(N_FOLDS, len(targets))
    return [order[start::n] for start in range(n)]
