"""Trained heads: classifiers on features of the outputs that learn from the grades.

An output that was graded is judged by a head that has not seen its grade (cross-fitting), so that what the alignment
report says of the head holds for outputs that nobody has graded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.domain.alignment import GOOD, UNGRADED
from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.domain.grades import Criterion, Verdict
from plumbline_backend.jobs.executors import Work
from plumbline_backend.judges.kinds import JudgeRun
from plumbline_backend.pool.pool import Pool
from plumbline_backend.registry import HEADS

N_FOLDS = 10
MIN_EACH = 3
"""Good and bad outputs needed before a head is trained: with fewer, leaving one out leaves hardly anything."""


class HeadJudge:
    """A head over the outputs' features."""

    kind = "head"
    explanation = "A small classifier that learns from your grades. Needs no LLM; learns again at each run."

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> Mapping[str, Any]:
        """{"head": name in the registry}. Raises InputError."""
        del criterion
        unknown = sorted(set(spec) - {"head"})
        if unknown:
            raise InputError(f"head judge: found {', '.join(unknown)}; expected head only")
        name = spec.get("head", "linear_softmax")
        HEADS.get(name)
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
                Verdict(output.position, "pass" if p >= 0.5 else "fail", p_pass=p, note=f"p(good) = {p:.2f}")
                for output, p in zip(run.outputs, found["p_good"], strict=True)
            ]
        )
        return {"n_good": n_good, "n_bad": n_bad}


def fit_and_judge(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's task: probabilities of "good", cross-fitted where the output was graded.

    spec: pool, head, items (graded positions), targets (0 good, 1 bad), wanted (positions), seed.
    """
    pool = Pool.open(Path(spec["pool"]))
    items, targets = np.array(spec["items"], dtype=np.int64), np.array(spec["targets"], dtype=np.int64)
    wanted = np.array(spec["wanted"], dtype=np.int64)
    features = pool.features.gather(items)
    make = HEADS.get(spec["head"])
    report(0.1, "training")
    p_good = make().fit(features, targets, 2).proba(pool.features.gather(wanted))[:, GOOD]
    place = {int(item): at for at, item in enumerate(items)}
    at = np.array([place.get(int(item), -1) for item in wanted])
    for number, held_out in enumerate(folds(targets, np.random.default_rng(spec["seed"]))):
        report(0.2 + 0.7 * number / N_FOLDS, "judging graded outputs without their grades")
        seen = np.setdiff1d(np.arange(len(items)), held_out)
        rows = np.flatnonzero(np.isin(at, held_out))
        if len(rows):
            head = make().fit(features[seen], targets[seen], 2)
            p_good[rows] = head.proba(features[at[rows]])[:, GOOD]
    return {"p_good": [float(p) for p in p_good]}


def folds(targets: np.ndarray[Any, Any], rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    """Parts of the graded outputs with both kinds in nearly equal shares; each leaves at least two of each kind."""
    order = np.concatenate([rng.permutation(np.flatnonzero(targets == kind)) for kind in (0, 1)])
    n = min(N_FOLDS, len(targets))
    return [order[start::n] for start in range(n)]
