"""How far stated confidence is from observed accuracy: bins, expected calibration error, and its null.

One set of bins serves the diagram and the figure, so what is drawn always adds up to what is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain import calibration_errors
from plumbline_backend.domain.calibration_cells import N_BINS, Cells, cells_of, compressed, mass_starts
from plumbline_backend.domain.calibration_intervals import error_figure, worlds
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval

CELLS_PER_BIN = 64
"""Groups of a bin that are simulated as one; a Bernoulli sum depends on its chances almost only by their mean."""


@dataclass(frozen=True)
class Reliability:
    """Bins of equal mass over top-label confidence, each array (n_bins,), in order of confidence.

    confidence: mean stated; accuracy: share right, with Wilson's interval [low, high]; count: items;
    edge_low, edge_high: least and greatest confidence within; band_low, band_high: where 95 % of the
    accuracies would fall were the confidences true (consistency band, Broecker and Smith 2007).
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    edge_low: NDArray[np.float64]
    edge_high: NDArray[np.float64]
    band_low: NDArray[np.float64]
    band_high: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """The expected calibration error of exactly these bins; NaN without items."""
        if not len(self.count):
            return float("nan")
        return float(self.count @ np.abs(self.accuracy - self.confidence) / self.count.sum())


def bin_starts(sorted_confidence: NDArray[np.floating[Any]], n_bins: int = N_BINS) -> NDArray[np.int64]:
    """First row of each bin of near-equal mass over (n,) ascending confidences.

    Equal confidences always share a bin (a quarter of a trained network's may be exactly 1), so there can
    be fewer bins than asked; there are also at most n / 10 of them, and one for any n >= 1.
    """
    cells = cells_of(sorted_confidence, np.zeros(len(sorted_confidence), dtype=bool))
    first = np.cumsum(cells.count) - cells.count
    return first[mass_starts(cells.count, n_bins)].astype(np.int64)


def ece(confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_], n_bins: int = N_BINS) -> float:
    """Top-label expected calibration error over equal-mass bins; NaN without items.

    confidence: (n,) in [0, 1], the probability of the predicted class; correct: (n,) whether it was right.
    Raises InputError on shapes that differ or confidences outside [0, 1]. Source: Naeini et al. 2015.
    """
    return calibration_errors.ece(cells_of(confidence, correct), n_bins)


def ece_interval(
    confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_], rng: np.random.Generator
) -> Interval:
    """`ece` with the interval of true errors that would show it (see `calibration_intervals`)."""
    cells = cells_of(confidence, correct)
    if not cells.n:
        return Interval(float("nan"), 0.0, 1.0, 0)
    found = error_figure(calibration_errors.ece, cells, worlds(cells, rng))
    return Interval(found.value, found.low, found.high, found.n)


def null_ece(
    confidence: NDArray[np.floating[Any]],
    rng: np.random.Generator,
    n_bins: int = N_BINS,
    n_resamples: int = 1000,
) -> float:
    """The ECE that these confidences would show on average if every one of them were true.

    Noise alone makes ECE positive; a measured value near this one says nothing against the calibration.
    Answers are drawn as Bernoulli(confidence). NaN without items.
    """
    cells = cells_of(confidence, np.zeros(len(confidence), dtype=bool))
    starts = mass_starts(cells.count, n_bins)
    if not len(starts):
        return float("nan")
    stated = np.add.reduceat(cells.confidence * cells.count, starts)
    seen = _drawn(cells, starts, rng, n_resamples)
    return float(np.abs(seen - stated).sum(axis=1).mean() / cells.n)


def reliability(
    confidence: NDArray[np.floating[Any]],
    correct: NDArray[np.bool_],
    rng: np.random.Generator,
    n_bins: int = N_BINS,
    n_resamples: int = 1000,
) -> Reliability:
    """The reliability diagram's bins; their weighted gaps are exactly `ece` of the same arguments."""
    return reliability_of(cells_of(confidence, correct), rng, n_bins, n_resamples)


def reliability_of(
    cells: Cells, rng: np.random.Generator, n_bins: int = N_BINS, n_resamples: int = 1000
) -> Reliability:
    """`reliability` of items that are grouped by confidence already."""
    starts = mass_starts(cells.count, n_bins)
    if not len(starts):
        nothing = np.empty(0)
        return Reliability(nothing, nothing, nothing.astype(np.int64), *([nothing] * 6))
    count = np.add.reduceat(cells.count, starts)
    right = np.add.reduceat(cells.right, starts)
    intervals = [wilson(float(k), int(n)) for k, n in zip(right, count, strict=True)]
    band = np.quantile(_drawn(cells, starts, rng, n_resamples) / count, [0.025, 0.975], axis=0)
    return Reliability(
        confidence=np.add.reduceat(cells.confidence * cells.count, starts) / count,
        accuracy=right / count,
        count=count.astype(np.int64),
        low=np.array([interval.low for interval in intervals]),
        high=np.array([interval.high for interval in intervals]),
        edge_low=cells.confidence[starts],
        edge_high=cells.confidence[np.append(starts[1:], len(cells.count)) - 1],
        band_low=band[0],
        band_high=band[1],
    )


def _drawn(
    cells: Cells, starts: NDArray[np.int64], rng: np.random.Generator, n_resamples: int
) -> NDArray[np.float64]:
    """(n_resamples, n_bins) right answers per bin when each is Bernoulli(confidence)."""
    ends = np.append(starts[1:], len(cells.count))
    drawn = np.empty((n_resamples, len(starts)))
    for b, (start, end) in enumerate(zip(starts, ends, strict=True)):
        inside = slice(start, end)
        bin_cells = Cells(cells.confidence[inside], cells.count[inside], cells.right[inside])
        grouped = compressed(bin_cells, CELLS_PER_BIN)
        chance = np.clip(grouped.confidence, 0.0, 1.0)
        drawn[:, b] = rng.binomial(
            grouped.count.astype(np.int64), chance, size=(n_resamples, len(chance))
        ).sum(axis=1)
    return drawn
