"""ProbCover: items whose neighbourhoods cover most of what is not covered yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import anchors, sample
from plumbline_backend.strategies.coverage import n_clusters, squared_radius
from plumbline_backend.strategies.geometry import centred, distance_blocks

CANDIDATES = 10_000
"""Items that are covered and asked: their graph, a bit per pair, takes 12.5 MB."""


class ProbCover:
    """Greedy maximum coverage by balls that are pure to 95 %. Source: Yehuda et al. 2022.

    The graph is kept as bits and built in blocks. When all is covered, items with many neighbours come first.
    """

    name = "probcover"
    needs: frozenset[Need] = frozenset({"features"})
    explanation = "Asks the items whose neighbourhoods cover the most of what no answer covers yet."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: the share of the sample that the item newly covers."""
        items, labelled = sample(view, rng, CANDIDATES, n), anchors(view, rng)
        rows = centred(view.the_features().gather(np.concatenate([items, labelled])))
        x, known = rows[: len(items)], rows[len(items) :]
        limit = squared_radius(x, n_clusters(view), rng)
        graph = _Graph(x, limit)
        if len(known):
            graph.cover(np.concatenate([(d2 <= limit).any(axis=1) for _, d2 in distance_blocks(x, known)]))
        order, gain = graph.greedy(min(n, len(items)))
        return Ranking(
            items[order], gain / len(items), "its neighbourhood holds many items that no answer covers"
        )


class _Graph:
    """Who lies within the radius of whom, as bits; `gain` is how many uncovered items each one would cover."""

    def __init__(self, x: NDArray[np.floating], limit: float) -> None:
        slack = 1e-6 * float(np.einsum("ij,ij->i", x, x).max(initial=0.0))
        self.bits = np.concatenate(
            [np.packbits(d2 <= limit + slack, axis=1) for _, d2 in distance_blocks(x, x)]
        )
        self.n = len(x)
        self.degree = np.bitwise_count(self.bits).sum(axis=1, dtype=np.int64)
        self.gain = self.degree.copy()
        self.covered = np.zeros(self.n, dtype=bool)

    def cover(self, mask: NDArray[np.bool_]) -> None:
        """Take the items in `mask` as covered; the graph is symmetric, so their rows say who loses a neighbour."""
        new = np.flatnonzero(mask & ~self.covered)
        self.covered[new] = True
        for start in range(0, len(new), 1024):
            rows = np.unpackbits(self.bits[new[start : start + 1024]], axis=1, count=self.n)
            self.gain -= rows.sum(axis=0, dtype=np.int64)

    def greedy(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows in order of choice, and what each gained; when nothing is left to cover, by degree."""
        chosen: list[int] = []
        gains: list[int] = []
        while len(chosen) < n and self.gain.max() > 0:
            row = int(self.gain.argmax())
            chosen.append(row)
            gains.append(int(self.gain[row]))
            self.cover(np.unpackbits(self.bits[row], count=self.n).astype(bool))
        free = np.ones(self.n, dtype=bool)
        free[chosen] = False
        rest = np.flatnonzero(free)
        rest = rest[np.argsort(-self.degree[rest], kind="stable")][: n - len(chosen)]
        order = np.concatenate([np.array(chosen, dtype=np.int64), rest])
        return order, np.concatenate([np.array(gains, dtype=np.float64), np.zeros(len(rest))])
