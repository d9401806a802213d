"""BIDS: balanced influence on what is labelled already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Labelled, Need, PoolView, Ranking
from plumbline_backend.strategies.base import GREEDY, apart, longer, sample

CANDIDATES, JUDGED = 20_000, 128
"""Candidates and labelled items between which influence is computed: 10 MB of float32."""


class Bids:
    """Each step takes the item that most influences the labelled item least served by those taken so far.

    Influence is the inner product of gradients, <a_i, a_j> (<x_i, x_j> + 1) with a = p - e of the likeliest class for a
    candidate and of the answer for a labelled item, standardised per labelled item. The gain of i is the largest
    over j of its influence on j less the mean influence on j of those taken. Source: Dai et al. 2025
    (arXiv 2501.12147).
    """

    name = "bids"
    needs: frozenset[Need] = frozenset({"proba", "features", "labels"})
    explanation = (
        "Asks items with the strongest pull on those labelled ones that the batch does not serve yet."
    )

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: the gain, in standard deviations of influence."""
        items = sample(view, rng, CANDIDATES, n)
        influence = _influence(view, items, _balanced(view.the_labels(), rng))
        chosen: list[int] = []
        gains: list[float] = []
        taken = np.zeros(influence.shape[1], dtype=np.float32)
        free = np.ones(len(items), dtype=bool)
        gain = np.zeros(len(items))
        while len(chosen) < min(longer(n), GREEDY, len(items)):
            gain = np.where(free, (influence - taken).max(axis=1), -np.inf)
            row = int(gain.argmax())
            chosen.append(row)
            gains.append(float(gain[row]))
            free[row] = False
            taken += (influence[row] - taken) / len(chosen)
        rest = np.flatnonzero(free)
        rest = rest[np.argsort(-gain[rest], kind="stable")][: min(longer(n), len(items)) - len(chosen)]
        order = np.concatenate([np.array(chosen, dtype=np.int64), rest])
        utility = np.concatenate([np.array(gains), gain[rest]])
        return apart(
            Ranking(
                items[order], utility, "it would pull on labelled items that little else asked now pulls on"
            ),
            view,
            n,
        )


def _balanced(labelled: Labelled, rng: np.random.Generator) -> NDArray[np.int64]:
    """At most 128 rows of the labelled items, the classes in turn, so that none is left out for its size."""
    order = rng.permutation(len(labelled.items))
    by_class = labelled.targets[order]
    turn = np.empty(len(order), dtype=np.int64)
    for c in np.unique(by_class):
        rows = np.flatnonzero(by_class == c)
        turn[rows] = np.arange(len(rows))
    return order[np.argsort(turn, kind="stable")][:JUDGED]


def _influence(view: PoolView, items: NDArray[np.int64], judged: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, m) float32, each column of mean 0 and deviation 1; a constant column is 0."""
    labelled, proba, features = view.the_labels(), view.the_proba(), view.the_features()
    known_x = features.gather(labelled.items[judged])
    known_a = proba(known_x).astype(np.float32)
    known_a[np.arange(len(judged)), labelled.targets[judged]] -= 1
    out = np.empty((len(items), len(judged)), dtype=np.float32)
    for start in range(0, len(items), 4096):
        x = features.gather(items[start : start + 4096])
        a = proba(x).astype(np.float32)
        a[np.arange(len(a)), a.argmax(axis=1)] -= 1
        out[start : start + 4096] = (a @ known_a.T) * (x @ known_x.T + 1)
    out -= out.mean(axis=0)
    out /= np.maximum(out.std(axis=0), 1e-12)
    return out
