"""The pass rate of outputs that nobody graded, by a judge whose errors were measured in another project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plumbline_backend.domain.alignment import Estimate
from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.grades import GradingJudge
from plumbline_backend.domain.pass_rate import rogan_gladen
from plumbline_backend.judges.assertion import DRAFTED_FROM
from plumbline_backend.judges.choose import counts
from plumbline_backend.judges.reference import reference_grades
from plumbline_backend.judges.report import decided
from plumbline_backend.judges.verdicts import FAILED, PASSED

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject


def transferred_pass_rate(here: GradingProject, judge_id: int, graded: GradingProject) -> Estimate:
    """The corrected pass rate of this project's outputs (Rogan and Gladen, Lang and Reiczigel's interval).

    The judge must be in both projects under one name, kind and specification. It is assumed that it errs here as it
    does there: on outputs of another kind it need not. n: the graded outputs there. Unknown while there is no good or
    no bad output graded there, or the judge is hardly better than chance. Raises ConflictError when the judge is not
    there or has no verdict here.
    """
    judge = here.bench.get(judge_id)
    same = [other for other in graded.judges() if _alike(judge, other)]
    if not same:
        raise ConflictError(
            f"judge {judge.name!r} is not in use in project {graded.name!r} with the same specification; "
            "add it there and run it"
        )
    codes = here.verdict_table([judge]).codes[:, 0]
    known = decided(codes)
    if not known.any():
        raise ConflictError(f"judge {judge.name!r} has no verdicts here; run it first")
    there = graded.verdict_table(same[:1]).codes[:, 0]
    truth = reference_grades(graded, graded.criterion(same[0].criterion_id)).truth
    bad_failed, bad_passed, good_failed, good_passed = counts(there == FAILED, truth, decided(there))
    return rogan_gladen(
        passed=int((codes == PASSED).sum()),
        n_outputs=int(np.sum(known)),
        good_passed=good_passed,
        n_good=good_passed + good_failed,
        bad_failed=bad_failed,
        n_bad=bad_failed + bad_passed,
    )


def _alike(one: GradingJudge, other: GradingJudge) -> bool:
    specs = [
        {key: value for key, value in judge.spec.items() if key != DRAFTED_FROM} for judge in (one, other)
    ]
    return (one.kind, one.name, specs[0]) == (other.kind, other.name, specs[1])
