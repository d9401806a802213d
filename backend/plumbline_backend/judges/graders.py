"""How far graders agree with each other and with themselves, and whether a judge can be aligned with them at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from plumbline_backend.domain.agreement import MISSING, alpha_interval, kappa_interval
from plumbline_backend.domain.alignment import Estimate
from plumbline_backend.domain.grades import Criterion
from plumbline_backend.domain.types import Interval

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

Alignable = Literal["yes", "doubtful", "no", "unknown"]
FAIR = 0.4
"""Kappa below which agreement is at most fair (Landis and Koch 1977): no judge can agree with such grades better."""
MIN_PAIRS = 10
"""Pairs of grades below which nothing is concluded: at 10 the interval of kappa is still about 1.2 wide."""


@dataclass(frozen=True)
class GraderAgreement:
    """Krippendorff's alpha between graders, Cohen's kappa of graders with themselves; None where unknown.

    n counts outputs with grades of two people, and blind re-grades of a grade by the same person.
    """

    graders: tuple[str, ...]
    between: Estimate
    within: Estimate
    alignable: Alignable
    reason: str


def agreement_of(project: GradingProject, criterion: Criterion) -> GraderAgreement:
    """Agreement on one criterion (or on the overall question), stale grades left out."""
    grades = [g for g in project.grades(criterion.id) if g.passed is not None and not g.stale]
    names = tuple(sorted({g.grader for g in grades}))
    place = {name: at for at, name in enumerate(names)}
    ratings = np.full((project.n_outputs, max(1, len(names))), MISSING, dtype=np.int64)
    for grade in grades:
        ratings[grade.output, place[grade.grader]] = int(bool(grade.passed))
    rng = np.random.default_rng(project.seed)
    between = _estimate(alpha_interval(ratings, rng))
    pairs = np.array(project.regraded_pairs(criterion.id), dtype=np.int64).reshape(-1, 2)
    within = _estimate(kappa_interval(pairs[:, 0], pairs[:, 1], rng))
    alignable, reason = conclude(between, within)
    return GraderAgreement(names, between, within, alignable, reason)


def conclude(between: Estimate, within: Estimate) -> tuple[Alignable, str]:
    """Whether a judge can be aligned with these grades, and why."""
    known = [
        (name, e) for name, e in (("each other", between), ("themselves", within)) if e.value is not None
    ]
    enough = [(name, e) for name, e in known if e.n >= MIN_PAIRS]
    for name, e in enough:
        if e.high is not None and e.high < FAIR:
            return "no", f"graders do not agree with {name}: {e.value:.2f} on {e.n} outputs"
    for name, e in enough:
        if e.value is not None and e.value < FAIR:
            return "doubtful", f"graders hardly agree with {name}: {e.value:.2f} on {e.n} outputs"
    unsure = [(name, e) for name, e in enough if e.low is not None and e.low < FAIR]
    if unsure:
        name, e = unsure[0]
        return (
            "yes",
            f"as far as {e.n} outputs tell how graders agree with {name}; grade more of them twice to be sure",
        )
    if enough:
        return "yes", ""
    n = max((e.n for _, e in known), default=0)
    return "unknown", f"{n} outputs were graded twice; {MIN_PAIRS} are needed to say how sure the grades are"


def _estimate(interval: Interval) -> Estimate:
    if np.isnan(interval.value):
        return Estimate(None, None, None, interval.n)
    return Estimate(interval.value, interval.low, interval.high, interval.n)
