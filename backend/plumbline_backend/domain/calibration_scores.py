"""Brier score in parts, what the ranking of confidences is worth, and thresholds with their costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_cells import N_BINS, Cells, mass_starts
from plumbline_backend.domain.calibration_intervals import skewed_mean
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval

CURVE_POINTS = 200
_EULER = 0.5772156649015329


class BrierParts(NamedTuple):
    """Parts of the Brier score of one confidence per item.

    score = reliability - resolution + uncertainty + within_variance - within_covariance, to rounding.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


def brier_parts(cells: Cells, n_bins: int = N_BINS) -> BrierParts:
    """Murphy's decomposition over equal-mass bins with both within-bin terms; NaN without items.

    Source: Murphy 1973; within-bin terms: Stephenson, Coelho and Jolliffe 2008.
    """
    starts = mass_starts(cells.count, n_bins)
    if not len(starts):
        return BrierParts(*[float("nan")] * 6)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.add.reduceat(values, starts) / count

    n, f = cells.n, cells.confidence
    count = np.add.reduceat(cells.count, starts)
    share = count / n
    stated, seen = mean(cells.count * f), mean(cells.right)
    base = cells.right.sum() / n
    return BrierParts(
        score=float((cells.count * f**2 - 2 * cells.right * f + cells.right).sum() / n),
        reliability=float(share @ (stated - seen) ** 2),
        resolution=float(share @ (seen - base) ** 2),
        uncertainty=float(base * (1 - base)),
        within_variance=float(share @ (mean(cells.count * f**2) - stated**2)),
        within_covariance=float(2 * share @ (mean(cells.right * f) - stated * seen)),
    )


def aurc(cells: Cells) -> float:
    """Area under the risk-coverage curve: mean error rate among the most confident i items, over i = 1..n.

    Equal confidences are in random order: the expectation is taken. NaN without items.
    Source: Geifman and El-Yaniv 2017.
    """
    n = cells.n
    if not n:
        return float("nan")
    count, wrong = cells.count[::-1], (cells.count - cells.right)[::-1]
    before, errors = np.cumsum(count) - count, np.cumsum(wrong) - wrong
    rate = np.divide(wrong, count, out=np.zeros(len(count)), where=count > 0)
    return float(
        (wrong + (errors - rate * before) * (_harmonic(before + count) - _harmonic(before))).sum() / n
    )


def excess_aurc(cells: Cells) -> float:
    """AURC beyond that of a ranking which puts every error last, with the same errors. Source: Geifman et al. 2018."""
    n, right = cells.n, cells.right.sum()
    if not n:
        return float("nan")
    ends = _harmonic(np.array([n, right]))
    return float(aurc(cells) - ((n - right) - right * (ends[0] - ends[1])) / n)


class RiskPoint(NamedTuple):
    """Accepting every item of at least this confidence: the share accepted, and the error rate among them."""

    threshold: float
    coverage: float
    risk: Interval


def risk_coverage(cells: Cells, n_points: int = CURVE_POINTS) -> list[RiskPoint]:
    """The risk-coverage curve from the most confident items to all, at most `n_points`, with Wilson's intervals."""
    if not cells.n:
        return []
    accepted = np.cumsum(cells.count[::-1])
    wrong = np.cumsum((cells.count - cells.right)[::-1])
    wanted = np.linspace(0, cells.n, n_points + 1)[1:]
    rows = np.unique(np.searchsorted(accepted, wanted - 1e-9))
    return [
        RiskPoint(
            float(cells.confidence[::-1][i]),
            float(accepted[i] / cells.n),
            wilson(float(wrong[i]), int(accepted[i])),
        )
        for i in rows
    ]


class CostCurve(NamedTuple):
    """Cost per item of saying yes from each threshold (n_points,) on; `cheapest` is the one that cost least here.

    hits, alarms: (n_points,) items that it happened to and others for which yes is said.
    """

    threshold: NDArray[np.float64]
    cost: NDArray[np.float64]
    cheapest: float
    bayes: float
    hits: NDArray[np.int64]
    alarms: NDArray[np.int64]


class OperatingPoint(NamedTuple):
    """What one threshold does: each figure with interval and n."""

    threshold: float
    cost: Interval
    precision: Interval
    recall: Interval
    false_positive_rate: Interval
    n_yes: int


def bayes_threshold(cost_fp: float, cost_fn: float) -> float:
    """The threshold that is cheapest when the probabilities are true: c_FP / (c_FP + c_FN).

    Raises InputError unless both costs are positive and finite.
    """
    for name, cost in (("of a false positive", cost_fp), ("of a false negative", cost_fn)):
        if not (np.isfinite(cost) and cost > 0):
            raise InputError(f"cost {name} is {cost}; expected a positive number")
    return cost_fp / (cost_fp + cost_fn)


def cost_curve(
    proba: NDArray[np.floating[Any]], happened: NDArray[np.bool_], cost_fp: float, cost_fn: float
) -> CostCurve:
    """Cost per item over thresholds of the probability (n,) that something happens, where `happened` (n,) says it did.

    Raises InputError without items, and as `bayes_threshold`.
    """
    bayes = bayes_threshold(cost_fp, cost_fn)
    proba, happened = np.asarray(proba, dtype=np.float64), np.asarray(happened, dtype=bool)
    if not len(proba):
        raise InputError("cost curve: found 0 items; expected at least one")
    grid = np.linspace(0, 1, CURVE_POINTS + 1)
    yes, no = np.sort(proba[happened]), np.sort(proba[~happened])
    missed = np.searchsorted(yes, grid, side="left")
    alarms = len(no) - np.searchsorted(no, grid, side="left")
    cost = (cost_fp * alarms + cost_fn * missed) / len(proba)
    return CostCurve(grid, cost, float(grid[cost.argmin()]), bayes, len(yes) - missed, alarms)


def operating_point(
    proba: NDArray[np.floating[Any]],
    happened: NDArray[np.bool_],
    threshold: float,
    cost_fp: float,
    cost_fn: float,
) -> OperatingPoint:
    """What saying yes from `threshold` on costs and finds. Raises InputError on a threshold outside [0, 1]."""
    bayes_threshold(cost_fp, cost_fn)
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold is {threshold}; expected a number from 0 to 1")
    happened = np.asarray(happened, dtype=bool)
    yes = np.asarray(proba) >= threshold
    hits, alarms = int((yes & happened).sum()), int((yes & ~happened).sum())
    costs = cost_fp * (yes & ~happened) + cost_fn * (~yes & happened)
    return OperatingPoint(
        threshold,
        skewed_mean(costs, low=0.0),
        wilson(hits, hits + alarms),
        wilson(hits, int(happened.sum())),
        wilson(alarms, int((~happened).sum())),
        hits + alarms,
    )


def _harmonic(n: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 + 1/2 + ... + 1/n for n >= 0, fractions by the same function's continuation; to 1e-10."""
    n = np.asarray(n, dtype=np.float64)
    high = n + 10.0
    total = np.log(high) + _EULER + 1 / (2 * high) - 1 / (12 * high**2) + 1 / (120 * high**4)
    for step in range(1, 11):
        total = total - 1 / (n + step)
    return total
