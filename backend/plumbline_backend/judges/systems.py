"""Systems compared: pass rates side by side with intervals, and one order over the criteria."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.alignment import Estimate, measure
from plumbline_backend.domain.grades import GradingJudge
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.ranking import consensus
from plumbline_backend.judges.reference import reference_grades
from plumbline_backend.judges.report import decided
from plumbline_backend.judges.verdicts import FAILED, PASSED

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

N_RESAMPLES = 300


@dataclass(frozen=True)
class PassRate:
    """How often a system passes a criterion. judged: what the chosen judge says, of what it decided (n).

    true: the rate by the grades, stretched over the system's outputs by the judge's verdicts and the sampling
    design; n counts its graded outputs.
    """

    criterion_id: int
    judged: Estimate
    true: Estimate


@dataclass(frozen=True)
class SystemReport:
    """One system. rank: its place in the common order, 1 is best, with the 95 % range over resampled outputs."""

    name: str
    n_outputs: int
    rates: tuple[PassRate, ...]
    rank: int
    rank_low: int
    rank_high: int


@dataclass(frozen=True)
class SystemsReport:
    """Systems, best first. method: how the order over criteria came about; n_criteria: how many took part."""

    systems: tuple[SystemReport, ...]
    method: str
    n_criteria: int


def compare_systems(project: GradingProject) -> SystemsReport:
    """Pass rates by criterion and one order. Empty unless the outputs name at least one system."""
    outputs = project.outputs()
    names = project.systems
    members = [np.array([o.position for o in outputs if o.system == name], dtype=np.int64) for name in names]
    chosen = project.chosen_judges()
    codes = project.verdict_table(chosen).codes
    strata = project.design.strata()
    rates = [_rates(project, chosen, codes, strata, rows) for rows in members]
    order, method = consensus(_scores(codes, members)) if names else ([], "")
    low, high = _rank_ranges(codes, members, project.seed)
    reports = [
        SystemReport(
            names[i], len(members[i]), tuple(rates[i]), order.index(i) + 1, int(low[i]), int(high[i])
        )
        for i in order
    ]
    return SystemsReport(tuple(reports), method, len(chosen))


def _rates(
    project: GradingProject,
    chosen: list[GradingJudge],
    codes: NDArray[np.int8],
    strata: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> list[PassRate]:
    found = []
    for column, judge in enumerate(chosen):
        criterion = project.criterion(judge.criterion_id)
        truth = reference_grades(project, criterion).truth
        mine = codes[rows, column]
        known = rows[decided(mine)]
        passed = int((mine == PASSED).sum())
        share = wilson(passed, len(known))
        judged = Estimate(None, None, None, 0) if not len(known) else Estimate(*share)
        failed = codes[known, column] == FAILED
        true = measure(failed, truth[known], strata[known], np.random.default_rng(project.seed)).pass_rate
        found.append(PassRate(criterion.id, judged, true))
    return found


def _scores(codes: NDArray[np.int8], members: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(n_criteria, n_systems) judged pass rates, NaN where nothing was decided."""
    scores = np.full((codes.shape[1], len(members)), np.nan)
    for at, rows in enumerate(members):
        passed, known = (codes[rows] == PASSED).sum(axis=0), decided(codes[rows]).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores[:, at] = np.where(known > 0, passed / known, np.nan)
    return scores


def _rank_ranges(
    codes: NDArray[np.int8], members: list[NDArray[np.int64]], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 2.5 and 97.5 % points of each system's place when its outputs are drawn again."""
    if not members:
        return np.empty(0), np.empty(0)
    rng = np.random.default_rng(seed)
    places = np.empty((N_RESAMPLES, len(members)))
    for draw in range(N_RESAMPLES):
        order, _ = consensus(_scores(codes, [rng.choice(rows, len(rows)) for rows in members]))
        places[draw, order] = np.arange(1, len(members) + 1)
    low, high = np.quantile(places, [0.025, 0.975], axis=0, method="nearest")
    return low, high
