"""Density-weighted uncertainty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.domain.selection import rank
from plumbline_backend.strategies.base import apart, longer
from plumbline_backend.strategies.geometry import distance_blocks

SHORTLIST, REFERENCE = 10_000, 4_000
"""The most uncertain items, and a uniform sample of the pool among which their neighbours are looked for."""
NEIGHBOURS = 20


class DensityWeighted:
    """Margin utility times density, one over the mean distance to the 20 nearest of a sample of the pool.

    The mean similarity with all items (Settles and Craven 2008) says nothing where columns are standardised: every
    direction is then as far from the mean. Density is told within the shortlist, the densest item has 1. Source: Zhu
    et al. 2008 (sampling by uncertainty and density).
    """

    name = "density_weighted"
    needs: frozenset[Need] = frozenset({"proba", "features"})
    explanation = "Asks uncertain items that resemble many others, and passes over outliers."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility in [0, 1]."""
        scores, features = view.the_scores(), view.the_features()
        margin = 1 - (scores.top1 - scores.top2)
        items = rank(margin, view.candidates, max(SHORTLIST, n), rng)
        others = rng.permutation(view.n_items)[:REFERENCE]
        utility = margin[items] * density(features.gather(items), features.gather(others))
        order = np.argsort(-utility, kind="stable")[: longer(n)]
        why = "it is uncertain and resembles many others"
        return apart(Ranking(items[order], utility[order].astype(np.float64), why), view, n)


def density(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) in (0, 1]: one over the mean distance to the nearest of `others`, over the largest such value."""
    if not len(rows):
        return np.empty(0)
    k = min(NEIGHBOURS, len(others))
    mean = others.mean(axis=0)
    distance = np.empty(len(rows))
    for block, d2 in distance_blocks(rows - mean, others - mean):
        distance[block] = np.sqrt(np.partition(d2, k - 1, axis=1)[:, :k]).mean(axis=1)
    floor = 1e-6 + 1e-6 * float(distance.max())
    return (distance.min() + floor) / (distance + floor)
