"""The radius within which items most likely share a class, for strategies that cover the pool with balls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import PoolView
from plumbline_backend.strategies.geometry import distance_blocks, k_means

PURITY = 0.95
"""Share of the balls that hold items of one cluster only; the value of the ProbCover paper."""
DEFAULT_CLUSTERS = 10


def n_clusters(view: PoolView) -> int:
    """As many clusters as there are classes in the answers, at least two; ten before the first answers."""
    return DEFAULT_CLUSTERS if view.labelled is None else max(2, view.labelled.n_classes)


def squared_radius(rows: NDArray[np.floating], k: int, rng: np.random.Generator) -> float:
    """The largest squared radius at which 95 % of the balls around rows stay inside their cluster of `k`.

    An item's ball is pure up to its nearest item of another cluster, so this is a quantile of those distances.
    With a single cluster (rows that coincide) it is zero. Source: Yehuda et al. 2022, section 3.2.
    """
    found = k_means(rows, k, rng)
    if len(found.size) < 2:
        return 0.0
    other = np.empty(len(rows), dtype=np.float32)
    for block, d2 in distance_blocks(rows, rows):
        d2[found.member[block, None] == found.member[None, :]] = np.inf
        other[block] = d2.min(axis=1)
    return float(np.quantile(other, 1 - PURITY))
