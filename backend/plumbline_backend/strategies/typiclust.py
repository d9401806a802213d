"""TypiClust: typical items of clusters that have no label yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import anchors, sample
from plumbline_backend.strategies.geometry import centred, k_means, typicality

CANDIDATES, LABELS, MOST_CLUSTERS, BATCH = 20_000, 500, 500, 50
SMALLEST = 5
"""Clusters with fewer items come last: they are outliers more often than classes."""


class TypiClust:
    """As many clusters as there are labels plus wanted items; from each the item with the nearest neighbours.

    Clusters with the fewest labels come first, large ones before small ones. Source: Hacohen et al. 2022.
    """

    name = "typiclust"
    needs: frozenset[Need] = frozenset({"features"})
    explanation = "Asks the most typical item of each region that has no answer yet; strong with few labels."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: one over the mean distance to the 20 nearest items of the same cluster."""
        items, labelled = sample(view, rng, CANDIDATES, n), anchors(view, rng, LABELS)
        rows = centred(view.the_features().gather(np.concatenate([items, labelled])))
        k = min(len(labelled) + min(n, BATCH), MOST_CLUSTERS)
        found = k_means(rows, k, rng)
        member, of_labels = found.member[: len(items)], found.member[len(items) :]
        typical = _within(rows[: len(items)], member)
        labels = np.bincount(of_labels, minlength=len(found.size))
        first = np.lexsort((rng.random(len(labels)), -found.size, labels, found.size < SMALLEST))
        place = np.empty(len(first), dtype=np.int64)
        place[first] = np.arange(len(first))
        order = np.lexsort((place[member], _turn(member, typical)))[:n]
        return Ranking(
            items[order], typical[order].astype(np.float64), "it is typical of a region with few answers"
        )


def _within(rows: NDArray[np.floating], member: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n,) typicality of each row among those of its own cluster."""
    out = np.zeros(len(rows), dtype=np.float32)
    order = np.argsort(member, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(member[order])) + 1):
        if len(group):
            out[group] = typicality(rows[group])
    return out


def _turn(member: NDArray[np.int64], typical: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n,) 0 for the most typical row of each cluster, 1 for the next, ..."""
    order = np.lexsort((-typical, member))
    starts = np.flatnonzero(np.r_[True, np.diff(member[order]) != 0]) if len(order) else order
    length = np.diff(np.r_[starts, len(order)])
    turn = np.empty(len(order), dtype=np.int64)
    turn[order] = np.arange(len(order)) - np.repeat(starts, length)
    return turn
