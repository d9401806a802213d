"""MIG: information gain over a semantic graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import anchors, apart, longer, sample
from plumbline_backend.strategies.geometry import centred, distance_blocks, k_means

CANDIDATES, NODES = 20_000, 128
POWER = 0.8
"""Exponent of the concave growth of a node's information: the second item on a topic counts for less."""


class Mig:
    """Maximises sum_k phi((A' sum_i s_i v_i)_k), phi(x) = x^0.8, one item at a time.

    Nodes are clusters of the pool, v_i says to which an item belongs, A passes information between near nodes (rows
    sum to one), s_i is what the item itself holds: its margin utility, or one before there is a model. Labelled items
    have given their information already. Source: Chen et al. 2025 (arXiv 2504.13835).
    """

    name = "mig"
    needs: frozenset[Need] = frozenset({"features"})
    explanation = (
        "Asks items that add the most information over a graph of topics, so that no topic is asked twice."
    )

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: the gain of the sum above."""
        items, labelled = sample(view, rng, CANDIDATES, n), anchors(view, rng)
        rows = centred(view.the_features().gather(np.concatenate([items, labelled])))
        found = k_means(rows, NODES, rng)
        passed = _affinity(found.centres)
        weight = _own_information(view, items)
        information = passed.T @ np.bincount(found.member[len(items) :], minlength=len(passed)).astype(float)
        order, gain = _greedy(found.member[: len(items)], weight, passed, information, longer(n))
        return apart(
            Ranking(items[order], gain, "it adds information on a topic that has few answers"), view, n
        )


def _own_information(view: PoolView, items: NDArray[np.int64]) -> NDArray[np.float64]:
    if view.scores is None:
        return np.ones(len(items))
    return 1 - (view.scores.top1[items] - view.scores.top2[items]).astype(np.float64)


def _affinity(centres: NDArray[np.floating]) -> NDArray[np.float64]:
    """(k, k) rows sum to one: exp(-d^2 / s), s the median squared distance to the nearest other node."""
    d2 = np.concatenate([block for _, block in distance_blocks(centres, centres)]).astype(np.float64)
    if len(d2) < 2:
        return np.ones((len(d2), len(d2)))
    np.fill_diagonal(d2, np.inf)
    scale = max(float(np.median(d2.min(axis=1))), 1e-12)
    np.fill_diagonal(d2, 0.0)
    near = np.exp(-d2 / scale)
    return near / near.sum(axis=1, keepdims=True)


def _greedy(
    member: NDArray[np.int64],
    weight: NDArray[np.float64],
    passed: NDArray[np.float64],
    information: NDArray[np.float64],
    n: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The gain grows with the weight, so each node's heaviest remaining item stands for all of the node."""
    order = np.lexsort((-weight, member))
    ends = np.searchsorted(member[order], np.arange(len(passed)), side="right")
    at = np.searchsorted(member[order], np.arange(len(passed)), side="left")
    chosen, gains = np.empty(min(n, len(member)), np.int64), np.empty(min(n, len(member)))
    for turn in range(len(chosen)):
        open_nodes = np.flatnonzero(at < ends)
        heads = order[at[open_nodes]]
        after = information + weight[heads, None] * passed[open_nodes]
        gain = (np.maximum(after, 0) ** POWER - np.maximum(information, 0) ** POWER).sum(axis=1)
        best = int(gain.argmax())
        chosen[turn], gains[turn] = heads[best], gain[best]
        information = after[best]
        at[open_nodes[best]] += 1
    return chosen, gains
