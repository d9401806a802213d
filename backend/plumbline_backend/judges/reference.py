"""The grades that a judge is measured by: of its criterion where they are a sample, else the overall ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.criteria.regrade import n_passed_over
from plumbline_backend.domain.alignment import UNGRADED
from plumbline_backend.domain.grades import Criterion

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

Against = Literal["criterion", "overall"]
MIN_OWN = 10
"""Outputs with a grade of the criterion before those replace the overall grades, while there are more of these: at 10
the intervals were measured to hold; a single thumb would leave every figure of the criterion unknown."""


class Reference(NamedTuple):
    """truth: (n_outputs,) grades. n_passed_over: drawn outputs that the criterion's grades left out on the way; where
    there are any, a person chose what to grade and no interval holds for certain."""

    truth: NDArray[np.int8]
    against: Against
    n_passed_over: int


class Evidence(NamedTuple):
    """What judges are chosen by: (n_outputs,) grades, and the groups in each of which they are a uniform sample."""

    grades: NDArray[np.int8]
    strata: NDArray[np.int64]


def reference_grades(project: GradingProject, criterion: Criterion) -> Reference:
    """The grades that a judge of this criterion is measured by."""
    overall = project.truth(designed=True)
    if criterion.overall:
        return Reference(overall, "overall", 0)
    own = project.truth(criterion.id, designed=True)
    n_own, n_overall = int((own != UNGRADED).sum()), int((overall != UNGRADED).sum())
    if n_own == 0 or n_own < min(MIN_OWN, n_overall):
        return Reference(overall, "overall", 0)
    return Reference(own, "criterion", _passed_over(project, criterion))


def n_in_sight(project: GradingProject, criterion_id: int) -> int:
    """How many graded outputs a choice among the criterion's judges can look at; 0 where there is nothing to choose."""
    if len(project.judges(criterion_id)) < 2:
        return 0
    return int((reference_grades(project, project.criterion(criterion_id)).truth != UNGRADED).sum())


def _passed_over(project: GradingProject, criterion: Criterion) -> int:
    grades = project.grades(criterion.id)
    graded = {grade.output for grade in grades if grade.passed is not None and not grade.stale}
    stale = {grade.output for grade in grades if grade.stale} - graded
    older = {
        int(output)
        for version, truth in project.truth_by_version(criterion.id).items()
        if version < criterion.valid_from
        for output in np.flatnonzero(truth != UNGRADED)
    }
    return n_passed_over(project.design.drawn(), graded, stale, graded & older)
