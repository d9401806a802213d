"""Clusters of unclear items beside the known classes: known means stay where they are, new centres are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

MOST_CLUSTERS = 8
LEAST_ROWS = 6
"""Fewer unclear items than this are shown as they are: a cluster of two or three says nothing."""
STRUCTURE = 0.25
"""A mean silhouette below this is no structure at all (Kaufman and Rousseeuw 1990): the items stay one cluster."""
SILHOUETTE_ROWS = 2_000
ITERATIONS = 50

Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Clusters:
    """`label`: (n,) 0 .. k - 1, or -1 for rows nearest to a known class. `silhouette`: by number of clusters tried."""

    label: NDArray[np.int64]
    distance: NDArray[np.float64]
    silhouette: dict[int, float]

    @property
    def k(self) -> int:
        """Number of clusters."""
        return int(self.label.max(initial=-1)) + 1


def discover(rows: Matrix, known: Matrix, rng: np.random.Generator) -> Clusters:
    """Cluster (n, d) unclear rows; (c, d) means of known classes keep the rows that are nearest to them.

    The number of new clusters, 2 to 8, has the best mean silhouette over the rows that no known class keeps; below
    0.25 they are one cluster. Columns are compared in units of their spread. Empty rows give no cluster; fewer than
    six rows outside the known classes stay one. Raises InputError on NaN, infinities or widths that differ.
    Source: k-means++ (Arthur and Vassilvitskii 2007) seeded away from fixed means; Rousseeuw 1987.
    """
    _check(rows, known)
    if not len(rows):
        return Clusters(np.empty(0, dtype=np.int64), np.empty(0), {})
    scale = np.maximum(np.vstack([rows, known]).std(axis=0), 1e-12)
    x, fixed = rows / scale, known / scale
    fits = {1: _fit(x, fixed, 1, rng)}
    silhouette: dict[int, float] = {}
    for k in range(2, MOST_CLUSTERS + 1):
        label, distance = _fit(x, fixed, k, rng)
        outside = np.flatnonzero(label >= 0)
        if len(np.unique(label[outside])) < k or len(outside) < max(LEAST_ROWS, k + 1):
            break
        fits[k] = (label, distance)
        silhouette[k] = _silhouette(x[outside], label[outside], rng)
    best = max(silhouette, key=lambda k: silhouette[k], default=1)
    chosen = best if best > 1 and silhouette[best] >= STRUCTURE else 1
    label, distance = fits[chosen]
    return Clusters(label, distance, silhouette)


def _fit(
    x: NDArray[np.float64], fixed: NDArray[np.float64], k: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels (-1 for the known) and distances to the own centre after Lloyd's iterations with the known means held."""
    centres = _seed(x, fixed, k, rng)
    assigned = np.full(len(x), -2)
    for _ in range(ITERATIONS):
        squared = _squared(x, np.vstack([fixed, centres]))
        nearest = squared.argmin(axis=1)
        if (nearest == assigned).all():
            break
        assigned = nearest
        for j in range(k):
            mine = x[assigned == len(fixed) + j]
            if len(mine):
                centres[j] = mine.mean(axis=0)
    label = np.where(assigned >= len(fixed), assigned - len(fixed), -1)
    return label.astype(np.int64), np.sqrt(squared.min(axis=1))


def _seed(
    x: NDArray[np.float64], fixed: NDArray[np.float64], k: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """k rows, each drawn with probability proportional to its squared distance to all centres so far."""
    centres = np.empty((k, x.shape[1]))
    gap = _squared(x, fixed).min(axis=1) if len(fixed) else np.ones(len(x))
    for j in range(k):
        total = gap.sum()
        chosen = rng.choice(len(x), p=gap / total) if total > 0 else rng.integers(len(x))
        centres[j] = x[chosen]
        distance = _squared(x, centres[j : j + 1])[:, 0]
        gap = distance if j == 0 and not len(fixed) else np.minimum(gap, distance)
    return centres


def _squared(x: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = (x**2).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres**2).sum(axis=1)
    return np.maximum(squared, 0)


def _silhouette(x: NDArray[np.float64], label: NDArray[np.int64], rng: np.random.Generator) -> float:
    from sklearn.metrics import silhouette_score

    if len(x) > SILHOUETTE_ROWS:
        rows = rng.choice(len(x), SILHOUETTE_ROWS, replace=False)
        x, label = x[rows], label[rows]
    if len(np.unique(label)) < 2:
        return -1.0
    return float(silhouette_score(x, label))


def _check(rows: Matrix, known: Matrix) -> None:
    if rows.ndim != 2 or known.ndim != 2 or rows.shape[1] != known.shape[1]:
        raise InputError(
            f"rows have shape {rows.shape} and known means {known.shape}; expected the same width"
        )
    if not (np.isfinite(rows).all() and np.isfinite(known).all()):
        raise InputError("rows or known means hold NaN or infinite values; expected finite numbers")
