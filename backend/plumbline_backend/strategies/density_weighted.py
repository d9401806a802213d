"""Density-weighted uncertainty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import FeatureRows, Need, PoolView, Ranking
from plumbline_backend.strategies.base import best

_ROWS = 65_536


class DensityWeighted:
    """Margin utility times information density: closeness, by the cosine, to the pool as a whole.

    The mean cosine of an item with all others is its inner product with the mean of the unit vectors, so the
    density takes two passes over the features. Source: Settles and Craven 2008.
    """

    name = "density_weighted"
    needs: frozenset[Need] = frozenset({"proba", "features"})
    explanation = "Asks uncertain items that resemble many others, and passes over outliers."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility in [0, 1]."""
        scores = view.the_scores()
        utility = (1 - (scores.top1 - scores.top2)) * density(view.the_features())
        return best(utility, view, n, rng, "it is uncertain and resembles many others")


def density(features: FeatureRows) -> NDArray[np.float32]:
    """(n_items,) in [0, 1]: (1 + cosine with the pool's mean direction) / 2; 1/2 for rows of zeros."""
    n, d = features.shape
    total = np.zeros(d)
    for _, rows in features.chunks(_ROWS):
        total += (1 / _lengths(rows)) @ rows
    direction = (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)
    out = np.empty(n, dtype=np.float32)
    for start, rows in features.chunks(_ROWS):
        out[start : start + len(rows)] = (1 + (rows @ direction) / _lengths(rows)) / 2
    return out


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(np.sqrt(np.einsum("ij,ij->i", rows, rows)), np.float32(1e-12))
