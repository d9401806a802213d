"""Confidences and outcomes in the form that every calibration measure takes: grouped by equal confidence.

Everything that a measure of calibration needs of n items are, for each confidence that occurs, how many items state
it and how many of them were right. Ties are then merged by construction, and simulations cost the number of groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

N_BINS = 15
MIN_PER_BIN = 10
"""Fewer bins when there are few items: noise alone moves a bin's accuracy by about 0.8 * sqrt(a (1 - a) / n), at
a = 0.8 by 0.14 with 5 items and by 0.10 with 10."""
SIMULATED_CELLS = 1024
"""Groups kept for simulations. On 10,000 confidences of a WideResNet (CIFAR-10) they move the errors by at most 2e-4;
intervals are moved back by what the grouping moved the value."""


@dataclass(frozen=True)
class Cells:
    """Groups of items in order of confidence. All arrays (n_cells,); `count` may be 0 in simulated cells.

    confidence: what the items state, in [0, 1]; count: items; right: how many were right, whole or expected.
    """

    confidence: NDArray[np.float64]
    count: NDArray[np.float64]
    right: NDArray[np.float64]

    @property
    def n(self) -> float:
        """All items."""
        return float(self.count.sum())

    @property
    def gap(self) -> NDArray[np.float64]:
        """Right answers minus those that the confidences promise, per cell."""
        return self.right - self.confidence * self.count


def cells_of(confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_]) -> Cells:
    """One cell for each confidence that occurs, ascending.

    confidence: (n,) in [0, 1]; correct: (n,) whether what was predicted happened. Up to 1e-6 above 1 counts as 1.
    Raises InputError on shapes that differ or confidences outside [0, 1].
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    if confidence.ndim != 1 or np.shape(correct) != confidence.shape:
        raise InputError(
            f"confidence has shape {confidence.shape} and correct {np.shape(correct)}; expected (n,) for both"
        )
    outside = ~((confidence >= 0) & (confidence <= 1 + 1e-6))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(f"confidence of row {row} is {confidence[row]}; expected a probability in [0, 1]")
    if not len(confidence):
        nothing = np.empty(0)
        return Cells(nothing, nothing, nothing)
    ordered, right_of = _sorted(np.minimum(confidence, 1.0), np.asarray(correct, dtype=bool))
    starts = np.flatnonzero(np.r_[True, ordered[1:] > ordered[:-1]])
    count = np.diff(np.append(starts, len(ordered))).astype(np.float64)
    return Cells(ordered[starts], count, np.add.reduceat(right_of, starts))


def _sorted(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidences in ascending order with their outcomes, 0 or 1.

    The bits of a number in [0, 1] order as whole numbers do and leave the two highest free: with the outcome as the
    lowest bit they are sorted at once, in a fifth of the time of sorting places (a million in 10 ms, places 49 ms).
    """
    bits = (confidence + 0.0).view(np.int64)  # -0.0 becomes 0.0
    keyed = np.sort((bits << 1) | correct)
    return (keyed >> 1).view(np.float64), (keyed & 1).astype(np.float64)


def mass_starts(count: NDArray[np.floating[Any]], n_bins: int) -> NDArray[np.int64]:
    """First cell of each bin of near-equal mass; at most `n_bins`, at most n / 10, one for any n >= 1.

    Items are dealt as evenly as numpy's array_split does; a cell is never divided, so there may be fewer bins.
    """
    n = round(float(np.sum(count)))
    if n == 0:
        return np.empty(0, dtype=np.int64)
    wanted = max(1, min(n_bins, n // MIN_PER_BIN))
    size, more = divmod(n, wanted)
    first = np.arange(wanted) * size + np.minimum(np.arange(wanted), more)
    starts = np.searchsorted(np.cumsum(count), first + 0.5, side="left")
    return starts[np.append(True, starts[1:] > starts[:-1])].astype(np.int64)


def compressed(cells: Cells, at_most: int = SIMULATED_CELLS) -> Cells:
    """The cells merged into at most `at_most` groups of near-equal mass, each at its mean confidence."""
    if len(cells.count) <= at_most:
        return cells
    share = (np.cumsum(cells.count) - cells.count / 2) / cells.n
    starts = np.flatnonzero(np.diff(np.floor(share * at_most), prepend=-1.0))
    count = np.add.reduceat(cells.count, starts)
    stated = np.add.reduceat(cells.confidence * cells.count, starts)
    return Cells(stated / count, count, np.add.reduceat(cells.right, starts))


def isotonic(cells: Cells) -> NDArray[np.float64]:
    """(n_cells,) the non-decreasing accuracies nearest to the seen ones: weighted least squares.

    Pools neighbours that are out of order until none is left, whole runs at a time. Cells without items take the
    value of their block. Source: Ayer et al. 1955.
    """
    right, count = cells.right, cells.count
    block = np.arange(len(count))
    while len(count) > 1:
        mean = np.divide(right, count, out=np.full(len(count), np.nan), where=count > 0)
        rises = np.r_[
            True, mean[1:] > mean[:-1]
        ]  # comparing with NaN is False: empty cells join their neighbour
        if rises.all():
            break
        starts = np.flatnonzero(rises)
        right, count = np.add.reduceat(right, starts), np.add.reduceat(count, starts)
        block = (np.cumsum(rises) - 1)[block]
    return np.divide(right, count, out=np.zeros(len(count)), where=count > 0)[block]
