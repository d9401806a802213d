"""MaxHerding: coverage of the pool by a smooth kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import GREEDY, anchors, sample
from plumbline_backend.strategies.coverage import n_clusters, squared_radius
from plumbline_backend.strategies.geometry import centred, distance_blocks

CANDIDATES = 8_000
TRIED = 32
"""Candidates whose gain is computed anew at a time: a matrix product of a useful size."""


class MaxHerding:
    """Greedy maximum of the mean over items of the largest kernel value to a labelled or chosen item.

    The kernel is exp(-d^2 / r^2) with ProbCover's radius r. Gains only fall, so that an old gain is an upper bound
    and few are computed anew (lazy greedy). Source: Bae et al. 2024; Minoux 1978.
    """

    name = "maxherding"
    needs: frozenset[Need] = frozenset({"features"})
    explanation = (
        "Asks the items that bring the whole pool closest to some answer, near and far weighed smoothly."
    )

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: how much the mean coverage in [0, 1] grows by the item."""
        items, labelled = sample(view, rng, CANDIDATES, n), anchors(view, rng)
        rows = centred(view.the_features().gather(np.concatenate([items, labelled])))
        x, known = rows[: len(items)], rows[len(items) :]
        herd = _Herd(x, known, squared_radius(x, n_clusters(view), rng))
        order, gain = herd.greedy(min(n, len(items)))
        return Ranking(
            items[order], gain / len(items), "it represents many items that are far from any answer"
        )


class _Herd:
    """`cover` (m,): each item's largest kernel value so far; `bound` (m,): upper bounds of the gains."""

    def __init__(self, x: NDArray[np.floating], known: NDArray[np.floating], r2: float) -> None:
        self.x = x
        self.r2 = max(r2, 1e-12 + 1e-6 * float(np.einsum("ij,ij->i", x, x).mean()))
        self.cover = np.zeros(len(x), dtype=np.float32)
        if len(known):
            for block, d2 in distance_blocks(x, known):
                self.cover[block] = np.exp(-d2.min(axis=1) / self.r2)
        self.bound = np.empty(len(x))
        for block, d2 in distance_blocks(x, x):
            self.bound[block] = self._gain(d2)

    def greedy(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows in order of choice with their gains; after a hundred, by the bounds that stand then."""
        chosen: list[int] = []
        gains: list[float] = []
        while len(chosen) < min(n, GREEDY):
            row, gain = self._next()
            chosen.append(row)
            gains.append(gain)
            ((_, d2),) = distance_blocks(self.x[row : row + 1], self.x)
            np.maximum(self.cover, np.exp(-d2[0] / self.r2), out=self.cover)
            self.bound[row] = -1.0
        rest = np.argsort(-self.bound, kind="stable")[: n - len(chosen)]
        return np.concatenate([np.array(chosen, dtype=np.int64), rest]), np.concatenate(
            [gains, self.bound[rest]]
        )

    def _next(self) -> tuple[int, float]:
        """The row of largest gain: the highest bounds are made exact until one beats all that remain."""
        fresh = np.zeros(len(self.x), dtype=bool)
        while True:
            row = int(self.bound.argmax())
            if fresh[row]:
                return row, float(self.bound[row])
            stale = np.where(fresh, -np.inf, self.bound)
            tried = np.argpartition(-stale, min(TRIED, len(stale)) - 1)[:TRIED]
            tried = tried[stale[tried] >= 0]
            for block, d2 in distance_blocks(self.x[tried], self.x):
                self.bound[tried[block]] = self._gain(d2)
            fresh[tried] = True

    def _gain(self, d2: NDArray[np.float32]) -> NDArray[np.float64]:
        """(rows,) how much the sum of coverage grows by each; d2 (rows, m) is overwritten."""
        d2 /= -self.r2
        np.exp(d2, out=d2)
        d2 -= self.cover
        return np.maximum(d2, 0, out=d2).sum(axis=1, dtype=np.float64)
