"""How far stated confidence is from observed accuracy: bins, expected calibration error, and its null.

One set of bins serves the diagram and the figure, so what is drawn always adds up to what is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import bootstrap, wilson
from plumbline_backend.domain.types import Interval

N_BINS = 15
MIN_PER_BIN = 10
"""Fewer bins when there are few items: noise alone moves a bin's accuracy by about 0.8 * sqrt(a (1 - a) / n), at
a = 0.8 by 0.14 with 5 items and by 0.10 with 10."""
_AT_ONCE = 1_000_000
"""Resampled answers held at a time: 8 MB as float64."""


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
    n = len(sorted_confidence)
    if n == 0:
        return np.empty(0, dtype=np.int64)
    wanted = max(1, min(n_bins, n // MIN_PER_BIN))
    cuts = np.arange(wanted) * n // wanted
    starts = np.searchsorted(sorted_confidence, sorted_confidence[cuts], side="left")
    return np.unique(starts).astype(np.int64)


def ece(confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_], n_bins: int = N_BINS) -> float:
    """Top-label expected calibration error over equal-mass bins; NaN without items.

    confidence: (n,) in [0, 1], the probability of the predicted class; correct: (n,) whether it was right.
    Raises InputError on shapes that differ or confidences outside [0, 1]. Source: Naeini et al. 2015.
    """
    sorted_confidence, sorted_correct = _sorted(confidence, correct)
    return _ece(sorted_confidence, sorted_correct, n_bins)


def ece_interval(
    confidence: NDArray[np.floating[Any]],
    correct: NDArray[np.bool_],
    rng: np.random.Generator,
    n_bins: int = N_BINS,
    n_resamples: int = 1000,
) -> Interval:
    """`ece` with its bootstrap interval over items.

    Near 0 the bootstrap cannot tell error from noise (an absolute value has a corner there), so the low end is
    0 whenever perfect calibration would show at least this much in more than 2.5 % of resamples.
    """
    sorted_confidence, sorted_correct = _sorted(confidence, correct)

    def resampled(rows: NDArray[np.int64]) -> float:
        rows = np.sort(rows)
        return _ece(sorted_confidence[rows], sorted_correct[rows], n_bins)

    found = bootstrap(resampled, len(confidence), rng, n_resamples=n_resamples, low=0.0, high=1.0)
    noise = _null_draws(sorted_confidence, rng, n_bins, n_resamples)
    if len(noise) and found.value <= np.quantile(noise, 0.975):
        return found._replace(low=0.0)
    return found


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
    sorted_confidence, _ = _sorted(confidence, np.zeros(len(confidence), dtype=bool))
    draws = _null_draws(sorted_confidence, rng, n_bins, n_resamples)
    return float(draws.mean()) if len(draws) else float("nan")


def reliability(
    confidence: NDArray[np.floating[Any]],
    correct: NDArray[np.bool_],
    rng: np.random.Generator,
    n_bins: int = N_BINS,
    n_resamples: int = 1000,
) -> Reliability:
    """The reliability diagram's bins; their weighted gaps are exactly `ece` of the same arguments."""
    sorted_confidence, sorted_correct = _sorted(confidence, correct)
    starts = bin_starts(sorted_confidence, n_bins)
    if not len(starts):
        nothing = np.empty(0)
        return Reliability(nothing, nothing, nothing.astype(np.int64), *([nothing] * 6))
    count = np.diff(np.append(starts, len(sorted_confidence)))
    right = np.add.reduceat(sorted_correct, starts)
    intervals = [wilson(float(k), int(n)) for k, n in zip(right, count, strict=True)]
    band = np.quantile(
        _resampled_counts(sorted_confidence, starts, rng, n_resamples) / count, [0.025, 0.975], axis=0
    )
    return Reliability(
        confidence=np.add.reduceat(sorted_confidence, starts) / count,
        accuracy=right / count,
        count=count,
        low=np.array([interval.low for interval in intervals]),
        high=np.array([interval.high for interval in intervals]),
        edge_low=sorted_confidence[starts],
        edge_high=sorted_confidence[np.append(starts[1:], len(sorted_confidence)) - 1],
        band_low=band[0],
        band_high=band[1],
    )


def _ece(sorted_confidence: NDArray[np.float64], sorted_correct: NDArray[np.float64], n_bins: int) -> float:
    starts = bin_starts(sorted_confidence, n_bins)
    if not len(starts):
        return float("nan")
    gaps = np.add.reduceat(sorted_correct - sorted_confidence, starts)
    return float(np.abs(gaps).sum() / len(sorted_confidence))


def _null_draws(
    sorted_confidence: NDArray[np.float64], rng: np.random.Generator, n_bins: int, n_resamples: int
) -> NDArray[np.float64]:
    """(n_resamples,) ECEs of answers drawn from the confidences; none without items."""
    starts = bin_starts(sorted_confidence, n_bins)
    if not len(starts):
        return np.empty(0)
    stated = np.add.reduceat(sorted_confidence, starts)
    seen = _resampled_counts(sorted_confidence, starts, rng, n_resamples)
    return np.abs(seen - stated).sum(axis=1) / len(sorted_confidence)


def _resampled_counts(
    sorted_confidence: NDArray[np.float64],
    starts: NDArray[np.int64],
    rng: np.random.Generator,
    n_resamples: int,
) -> NDArray[np.float64]:
    """(n_resamples, n_bins) right answers per bin when each is Bernoulli(confidence)."""
    counts = np.empty((n_resamples, len(starts)))
    at_once = max(1, _AT_ONCE // len(sorted_confidence))
    for start in range(0, n_resamples, at_once):
        stop = min(start + at_once, n_resamples)
        drawn = rng.random((stop - start, len(sorted_confidence))) < sorted_confidence
        counts[start:stop] = np.add.reduceat(drawn, starts, axis=1, dtype=np.float64)
    return counts


def _sorted(
    confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    confidence = np.asarray(confidence, dtype=np.float64)
    if confidence.ndim != 1 or np.shape(correct) != confidence.shape:
        raise InputError(
            f"confidence has shape {confidence.shape} and correct {np.shape(correct)}; expected (n,) for both"
        )
    outside = ~((confidence >= 0) & (confidence <= 1 + 1e-6))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(f"confidence of row {row} is {confidence[row]}; expected a probability in [0, 1]")
    order = np.argsort(confidence, kind="stable")
    return np.minimum(confidence[order], 1.0), np.asarray(correct, dtype=np.float64)[order]
