"""BADGE: batches of diverse gradient embeddings, factorised."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import GREEDY, SAMPLE, sample

CELLS = 30_000_000
"""Probabilities held: 120 MB of float32."""


class Badge:
    """k-means++ over the gradients that the likeliest label would give the linear layer.

    With a = p - e of the likeliest class, the gradient is g = a (x) [x, 1], so that
    <g_i, g_j> = <a_i, a_j> (<x_i, x_j> + 1): no array of n_classes x n_features per item is made. An item that
    was chosen cannot be drawn again. Source: Ash et al. 2020.
    """

    name = "badge"
    needs: frozenset[Need] = frozenset({"proba", "features"})
    explanation = "Asks batches of items that would each change the model much and in different directions."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: the distance of the gradient from those chosen before."""
        items = sample(view, rng)
        if not len(items):
            return Ranking(items, np.empty(0), "")
        n_classes = view.the_proba()(view.the_features().gather(items[:1])).shape[1]
        items = items[: max(n, min(SAMPLE, CELLS // n_classes))]
        x = view.the_features().gather(items)
        gradient = _Factors(_residuals(view, x), x)
        order, left = _plus_plus(gradient, min(n, GREEDY), rng)
        mask = np.ones(len(items), dtype=bool)
        mask[order] = False
        rest = np.flatnonzero(mask)
        rest = rest[np.argsort(-gradient.left[rest], kind="stable")][: max(0, n - len(order))]
        picked = np.concatenate([np.array(order, dtype=np.int64), rest])
        utility = np.sqrt(np.concatenate([np.array(left), gradient.left[rest]]))
        return Ranking(
            items[picked], utility, "its answer would change the model much, unlike the others asked"
        )


class _Factors:
    """Gradients by their factors; `left` is each one's squared distance to the nearest chosen one."""

    def __init__(self, a: NDArray[np.float32], x: NDArray[np.float32]) -> None:
        self.a, self.x = a, x
        self.square = np.einsum("ij,ij->i", a, a) * (np.einsum("ij,ij->i", x, x) + 1)
        self.left = self.square.astype(np.float64)

    def choose(self, row: int) -> None:
        inner = (self.a @ self.a[row]) * (self.x @ self.x[row] + 1)
        distance = np.maximum(self.square + self.square[row] - 2 * inner, 0)
        np.minimum(self.left, distance, out=self.left)


def _plus_plus(gradient: _Factors, n: int, rng: np.random.Generator) -> tuple[list[int], list[float]]:
    """The longest gradient, then rows drawn with probability proportional to their squared distance."""
    n = min(n, len(gradient.left))
    chosen: list[int] = []
    utility: list[float] = []
    free = np.ones(len(gradient.left), dtype=bool)
    while len(chosen) < n:
        weight = np.where(free, gradient.left, 0.0)
        total = np.cumsum(weight)
        if not chosen:
            row = int(np.where(free, gradient.left, -1).argmax())
        elif total[-1] > 0:
            row = int(np.searchsorted(total, rng.random() * total[-1], side="right"))
            row = row if row < len(free) and free[row] else int(weight.argmax())
        else:
            row = int(np.flatnonzero(free)[0])
        utility.append(float(gradient.left[row]))
        chosen.append(row)
        free[row] = False
        gradient.choose(row)
    return chosen, utility


def _residuals(view: PoolView, x: NDArray[Any]) -> NDArray[np.float32]:
    """(m, n_classes) probabilities less one at the likeliest class."""
    proba = view.the_proba()
    parts = []
    for start in range(0, len(x), 16_384):
        p = proba(x[start : start + 16_384]).astype(np.float32)
        p[np.arange(len(p)), p.argmax(axis=1)] -= 1
        parts.append(p)
    return np.concatenate(parts)
