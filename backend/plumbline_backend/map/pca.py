"""Principal components in one pass over the features: the map that is there at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.pool.matrix import FeatureMatrix

AXIS_ROWS = 50_000
"""Rows that the axes are learned from, drawn at random where there are more. All rows are projected."""
PROJECTED_ROWS = 65_536

Points = NDArray[np.float32]
"""(n_items, 2)."""


def principal_axes(rows: NDArray[np.floating], k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean (d,), axes (k, d)) of (n, d) rows; zero axes where there are fewer than k directions.

    Each axis points to where its largest entry is positive, so that the map does not flip from one run to the next.
    """
    mean = rows.mean(axis=0, dtype=np.float64) if len(rows) else np.zeros(rows.shape[1])
    axes = np.zeros((k, rows.shape[1]))
    if len(rows) > 1:
        centred = rows.astype(np.float64) - mean
        values, vectors = np.linalg.eigh(centred.T @ centred)
        order = np.argsort(values)[::-1][: min(k, len(values))]
        found = vectors[:, order].T
        found *= np.sign(found[np.arange(len(found)), np.abs(found).argmax(axis=1)])[:, None]
        axes[: len(found)] = np.where(values[order] > 1e-9 * max(values.max(), 1e-300), found.T, 0).T
    return mean, axes


def project(features: FeatureMatrix, rng: np.random.Generator, k: int = 2) -> NDArray[np.float32]:
    """(n_items, k) coordinates of every item on the first k principal axes, in the features' units."""
    sample = (
        np.arange(features.n)
        if features.n <= AXIS_ROWS
        else np.sort(rng.choice(features.n, AXIS_ROWS, replace=False))
    )
    mean, axes = principal_axes(features.gather(sample), k)
    out = np.empty((features.n, k), dtype=np.float32)
    turned = np.ascontiguousarray(axes.T, dtype=np.float32)
    for start, chunk in features.chunks(PROJECTED_ROWS):
        out[start : start + len(chunk)] = (chunk - mean.astype(np.float32)) @ turned
    return out


def in_unit_square(points: NDArray[np.floating]) -> Points:
    """The map moved and scaled, alike in both directions, so that all but one point in a thousand lies in [0, 1]^2."""
    if not len(points):
        return np.empty((0, 2), dtype=np.float32)
    low, high = np.quantile(points, [0.0005, 0.9995], axis=0)
    scale = 0.94 / max(float((high - low).max()), 1e-12)
    return (0.5 + (points - (low + high) / 2) * scale).astype(np.float32)
