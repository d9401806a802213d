"""Calibration errors of one confidence per item: binned, debiased, swept, smooth, and by isotonic regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_cells import N_BINS, Cells, isotonic, mass_starts

SMOOTH_GRID = 4096
"""Nodes of the smooth error's grid; against exact sums over items the value moves by less than 1e-6."""


def ece(cells: Cells, n_bins: int = N_BINS) -> float:
    """Expected calibration error over bins of equal mass with ties merged; NaN without items.

    Source: Naeini et al. 2015; equal mass: Nguyen and O'Connor 2015.
    """
    starts = mass_starts(cells.count, n_bins)
    if not len(starts):
        return float("nan")
    return float(np.abs(np.add.reduceat(cells.gap, starts)).sum() / cells.n)


def ece_equal_width(cells: Cells, n_bins: int = N_BINS) -> float:
    """Expected calibration error over bins (i / n_bins, (i + 1) / n_bins]; 0 joins the first bin.

    Source: Guo et al. 2017.
    """
    if not cells.n:
        return float("nan")
    bins = np.clip(np.ceil(cells.confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    return float(np.abs(np.bincount(bins, cells.gap, n_bins)).sum() / cells.n)


def squared_error(cells: Cells, n_bins: int = N_BINS, debiased: bool = True) -> float:
    """Sum over equal-mass bins of (n_b / n) (gap^2 - a (1 - a) / (n_b - 1)); without the last term when not debiased.

    Unbiased for the bins' squared error, so it is about 0 when calibrated, and below 0 half of the time.
    Source: Kumar, Liang and Ma 2019.
    """
    starts = mass_starts(cells.count, n_bins)
    if not len(starts):
        return float("nan")
    count = np.add.reduceat(cells.count, starts)
    gap = np.add.reduceat(cells.gap, starts) / count
    accuracy = np.add.reduceat(cells.right, starts) / count
    noise = accuracy * (1 - accuracy) / np.maximum(count - 1, 1) if debiased else 0.0
    return float((count * (gap**2 - noise)).sum() / cells.n)


def ece_sweep(cells: Cells, most_bins: float = float("inf")) -> float:
    """ECE over as many equal-mass bins as keep the bins' accuracies in ascending order, up to `most_bins`.

    Source: Roelofs et al. 2022.
    """
    n = cells.n
    if not n:
        return float("nan")
    ends = np.cumsum(cells.count)
    before = np.append(0.0, ends)
    right, gap = np.append(0.0, np.cumsum(cells.right)), np.append(0.0, np.cumsum(cells.gap))
    found, n_bins = abs(gap[-1]) / n, 2
    while n_bins <= min(n, most_bins):
        edges = np.zeros(n_bins + 1, dtype=np.int64)
        edges[1:] = np.searchsorted(ends, n * np.arange(1, n_bins + 1) / n_bins - 1e-9) + 1
        edges = edges[np.append(True, edges[1:] > edges[:-1])]
        size = before[edges[1:]] - before[edges[:-1]]
        accuracy = (right[edges[1:]] - right[edges[:-1]]) / size
        if (accuracy[1:] < accuracy[:-1]).any() or len(edges) - 1 == len(ends):
            break
        found = np.abs(gap[edges[1:]] - gap[edges[:-1]]).sum() / n
        n_bins += 1
    return float(found)


def smooth_ece(cells: Cells, n_grid: int = SMOOTH_GRID, n_halvings: int = 30) -> float:
    """The kernel-smoothed calibration error at the bandwidth that equals it; NaN without items.

    smECE_s is the integral over [0, 1] of |(1/n) sum (y_i - f_i) K_s(t, f_i)| with a Gaussian reflected at 0 and 1.
    A point on a border is its own image and counts twice, so none of its mass is lost (networks state exactly 1
    for a quarter of their items). `n_halvings` of the bandwidth's range [0, 1]. Source: Blasiok and Nakkiran 2023.
    """
    if not cells.n:
        return float("nan")
    spectrum = np.fft.rfft(_mirrored(cells, n_grid))
    frequency = np.arange(len(spectrum)) / 2.0
    low, high = 0.0, 1.0
    for _ in range(n_halvings):
        width = (low + high) / 2
        if _smoothed(spectrum, frequency, width, n_grid) < width:
            high = width
        else:
            low = width
    return high


def corp_miscalibration(cells: Cells) -> float:
    """Brier score of the confidences minus that of their isotonic recalibration. Source: Dimitriadis et al. 2021."""
    if not cells.n:
        return float("nan")
    fitted = isotonic(cells)
    return float(_squared(cells, cells.confidence) - _squared(cells, fitted))


def corp_discrimination(cells: Cells) -> float:
    """Brier score of the mean accuracy minus that of the isotonic recalibration: what the ranking is worth."""
    if not cells.n:
        return float("nan")
    base = np.full(len(cells.count), cells.right.sum() / cells.n)
    return float(_squared(cells, base) - _squared(cells, isotonic(cells)))


def _squared(cells: Cells, stated: NDArray[np.float64]) -> float:
    """Mean of (stated - y)^2 over the items, y being 0 or 1."""
    return float((cells.right * (1 - 2 * stated) + cells.count * stated**2).sum() / cells.n)


def _mirrored(cells: Cells, n_grid: int) -> NDArray[np.float64]:
    """The gaps' mass per item on a periodic grid over [0, 2), shared linearly between neighbours, with its mirror."""
    place = cells.confidence * n_grid
    below = np.minimum(place.astype(np.int64), n_grid - 1)
    part = place - below
    mass = cells.gap / cells.n
    nodes = np.bincount(below, mass * (1 - part), n_grid + 1) + np.bincount(
        below + 1, mass * part, n_grid + 1
    )
    nodes[[0, -1]] *= 2
    return np.concatenate([nodes, nodes[-2:0:-1]])


def _smoothed(
    spectrum: NDArray[np.complex128], frequency: NDArray[np.float64], width: float, n_grid: int
) -> float:
    damped = spectrum * np.exp(-2 * (np.pi * width * frequency) ** 2)
    density = np.abs(np.fft.irfft(damped, 2 * n_grid)[: n_grid + 1])
    return float(density.sum() - (density[0] + density[-1]) / 2)
