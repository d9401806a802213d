"""Calibration of every class by itself: one against rest, or the labels of a multi-label question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_cells import N_BINS, cells_of, mass_starts
from plumbline_backend.domain.calibration_intervals import Figure, inverted
from plumbline_backend.domain.types import Proba

_STEPS = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0])
N_SAMPLES = 60
_UNSEEN = 1 / N_BINS
"""Items that have the class, and as many that have not, added to each bin when the truth is guessed: one of either in
all. Without them a bin in which nobody has the class is taken for one where nobody ever will, and on a WideResNet's
answers (n = 500) the intervals hold the truth in 90 % of samples instead of 95 %."""


@dataclass(frozen=True)
class ClassBins:
    """Equal-mass bins of each class's probability; all (n_classes, N_BINS), zero where a class has fewer bins.

    stated: sum of probabilities; seen: items that have the class; n: items. together: by how much the classes' errors
    of one item move together: the deviation of their sum over what it were if they were independent.
    """

    count: NDArray[np.float64]
    stated: NDArray[np.float64]
    seen: NDArray[np.float64]
    n: int
    together: float = 1.0


def class_bins(proba: Proba, targets: NDArray[Any], n_bins: int = N_BINS) -> ClassBins:
    """Bins of every column of proba (n, K); targets: (n,) class indices, or (n, K) of 0 and 1 for multi-label."""
    n, n_classes = proba.shape
    count, stated, seen = (np.zeros((n_classes, n_bins)) for _ in range(3))
    summed, variance = np.zeros(n), 0.0
    for k in range(n_classes):
        has = targets[:, k] > 0 if targets.ndim == 2 else targets == k
        cells = cells_of(proba[:, k], has)
        starts = mass_starts(cells.count, n_bins)
        if len(starts):
            found = slice(0, len(starts))
            count[k, found] = np.add.reduceat(cells.count, starts)
            stated[k, found] = np.add.reduceat(cells.count * cells.confidence, starts)
            seen[k, found] = np.add.reduceat(cells.right, starts)
            direction = np.sign(seen[k, found] - stated[k, found])
            own = np.searchsorted(cells.confidence[starts[1:]], proba[:, k], side="right")
            pulled = direction[own] * (has - proba[:, k])
            summed += pulled
            variance += float(pulled.var())
    together = float(np.sqrt(summed.var() / variance)) if variance > 0 else 1.0
    return ClassBins(count, stated, seen, n, together)


def classwise_ece(bins: ClassBins) -> float:
    """The mean over classes of each class's equal-mass ECE; NaN without items. Source: Kull et al. 2019."""
    return float(_errors(bins.seen, bins).mean()) if bins.n else float("nan")


def class_figures(bins: ClassBins, rng: np.random.Generator) -> tuple[Figure, list[Figure]]:
    """The classwise ECE, and the ECE of every class, with interval and null.

    As `calibration_intervals.error_figure`, with errors spread over a class's bins as chance spreads them instead of an
    estimate of the bins' rates: that would follow the bins in which something rare happened, and on a WideResNet's
    answers (n = 500, temperature scaled) its intervals of the mean held the truth in 89 % of samples instead of 95 %.
    Classes are simulated apart from each other; how much their mean then varies is widened by `bins.together`.
    """
    if not bins.n:
        unknown = Figure(float("nan"), 0.0, 1.0, float("nan"), 0)
        return unknown, [unknown] * len(bins.count)
    measured = _errors(bins.seen, bins)
    count = bins.count.astype(np.int64)
    promised = np.divide(bins.stated, bins.count, out=np.zeros_like(bins.stated), where=bins.count > 0)
    guessed = (bins.seen + _UNSEEN) / (bins.count + 2 * _UNSEEN)
    rate = _spread_as_chance(promised, np.where(bins.count > 0, guessed, 0.0), bins.count)
    truth, shown = [], []
    for step in _STEPS:
        chance = np.clip(promised + step * (rate - promised), 0.0, 1.0)
        truth.append(_errors(bins.count * chance, bins))
        shown.append(_errors(rng.binomial(count, chance, size=(N_SAMPLES, *count.shape)), bins))
    true, seen = np.array(truth), np.array(shown)
    means = seen.mean(axis=2)
    middle = means.mean(axis=1, keepdims=True)
    means = middle + bins.together * (means - middle)
    together = _figure(float(measured.mean()), true.mean(axis=1), means, bins.n)
    return together, [_figure(float(v), true[:, k], seen[:, :, k], bins.n) for k, v in enumerate(measured)]


def _spread_as_chance(
    promised: NDArray[np.float64], rate: NDArray[np.float64], count: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n_classes, n_bins) rates as far from the promised ones in all as `rate`, by bins' binomial deviations."""
    chance = np.sqrt(np.maximum(promised * (1 - promised), 1e-9) * count)
    in_all = (np.abs(rate - promised) * count).sum(axis=1, keepdims=True)
    items = chance / np.maximum(chance.sum(axis=1, keepdims=True), 1e-12) * in_all
    moved = np.divide(items, count, out=np.zeros_like(items), where=count > 0)
    return np.asarray(np.clip(promised + np.sign(rate - promised) * moved, 0.0, 1.0), dtype=np.float64)


def _figure(value: float, truth: NDArray[np.float64], shown: NDArray[np.float64], n: int) -> Figure:
    low, high = inverted(value, truth, shown)
    return Figure(value, min(low, value), max(high, value), float(shown[0].mean()), n)


def _errors(seen: NDArray[Any], bins: ClassBins) -> NDArray[np.float64]:
    """(..., n_classes) the ECE of each class had `seen` (..., n_classes, n_bins) items the class."""
    return np.abs(seen - bins.stated).sum(axis=-1) / bins.n
