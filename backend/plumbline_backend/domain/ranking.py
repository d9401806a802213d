"""One order of things that several criteria rank differently: Kemeny's where it can be found, else Borda's.

Scales are never averaged: a criterion only says which of two is better.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

MAX_EXACT = 8
"""Kemeny's order is searched among all orders: 40,320 for eight."""


def preferences(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, n) how many criteria put row a above column b. scores: (n_criteria, n), higher is better, NaN unknown."""
    with np.errstate(invalid="ignore"):
        better = scores[:, :, None] > scores[:, None, :]
    return better.sum(axis=0).astype(np.float64)


def kemeny(above: NDArray[np.float64]) -> list[int]:
    """The order, best first, with which the fewest pairwise votes disagree. Equal orders: the first in index order.

    above: (n, n) as from `preferences`, n <= MAX_EXACT. Source: Kemeny 1959.
    """
    best: tuple[float, tuple[int, ...]] | None = None
    for order in permutations(range(len(above))):
        places = np.array(order, dtype=np.int64)
        against = float(np.tril(above[np.ix_(places, places)], -1).sum())
        if best is None or against < best[0]:
            best = (against, order)
    return [] if best is None else list(best[1])


def borda(above: NDArray[np.float64]) -> list[int]:
    """The order by how many pairwise votes each wins, best first; equals in index order. Source: Borda 1781."""
    wins = above.sum(axis=1) - above.sum(axis=0)
    return [int(i) for i in np.argsort(-wins, kind="stable")]


def consensus(scores: NDArray[np.float64]) -> tuple[list[int], str]:
    """The common order and the method that found it: "Kemeny" up to MAX_EXACT, else "Borda"."""
    above = preferences(scores)
    return (kemeny(above), "Kemeny") if len(above) <= MAX_EXACT else (borda(above), "Borda")
