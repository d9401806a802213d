"""Distances, clusters and neighbours of a sample, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.floating[Any]]

_CELLS = 8_000_000
"""Distances held at a time: 32 MB of float32."""
_ROUNDS = 12
"""Lloyd rounds at most: the strategies want regions of the pool, not the best partition."""


class Clusters(NamedTuple):
    """Centres (k, d), the cluster of each row (n,), and how many rows each has (k,); none is empty."""

    centres: Rows
    member: NDArray[np.int64]
    size: NDArray[np.int64]


def centred(rows: Rows) -> Rows:
    """Rows moved to mean zero: squared distances from inner products lose fewer digits."""
    return np.asarray(rows - rows.mean(axis=0), dtype=np.float32)


def squares(rows: Rows) -> NDArray[np.float32]:
    """(n,) squared lengths."""
    return np.einsum("ij,ij->i", rows, rows).astype(np.float32)


def distance_blocks(rows: Rows, others: Rows) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Blocks of the squared distances: (rows start..stop, (m, len(others)) float32, at least 0)."""
    own, theirs = squares(rows), squares(others)
    height = max(1, _CELLS // max(1, len(others)))
    for start in range(0, len(rows), height):
        block = slice(start, start + height)
        d2 = rows[block] @ others.T
        d2 *= -2
        d2 += own[block, None]
        d2 += theirs[None, :]
        yield block, np.maximum(d2, 0, out=d2)


def nearest(rows: Rows, others: Rows) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each row the nearest of `others` and its squared distance; `others` is not empty."""
    which = np.empty(len(rows), dtype=np.int64)
    d2 = np.empty(len(rows), dtype=np.float32)
    for block, found in distance_blocks(rows, others):
        which[block] = found.argmin(axis=1)
        d2[block] = np.take_along_axis(found, which[block, None], axis=1)[:, 0]
    return which, d2


def k_means(rows: Rows, k: int, rng: np.random.Generator) -> Clusters:
    """At most `k` clusters: k-means++ starts, Lloyd rounds. Fewer where rows coincide; (n, d) with n >= 1.

    Source: Arthur and Vassilvitskii 2007.
    """
    centres = rows[_starts(rows, min(k, len(rows)), rng)]
    member = np.zeros(len(rows), dtype=np.int64)
    for _ in range(_ROUNDS):
        member, _ = nearest(rows, centres)
        used, member = np.unique(member, return_inverse=True)
        moved = _means(rows, member, len(used))
        if len(moved) == len(centres) and np.allclose(moved, centres, rtol=0, atol=1e-6):
            break
        centres = moved
    return Clusters(centres, member, np.bincount(member, minlength=len(centres)))


def typicality(rows: Rows, neighbours: int = 20) -> NDArray[np.float32]:
    """(n,) one over the mean distance to the nearest rows (at most `neighbours`), finite; 1 row: 0."""
    n = len(rows)
    if n < 2:
        return np.zeros(n, dtype=np.float32)
    k = min(neighbours, n - 1)
    out = np.empty(n, dtype=np.float32)
    for block, d2 in distance_blocks(rows, rows):
        height = len(d2)
        d2[np.arange(height), np.arange(height) + block.start] = np.inf
        near = np.partition(d2, k - 1, axis=1)[:, :k]
        out[block] = 1 / (np.sqrt(near).mean(axis=1) + 1e-6)
    return out


def _starts(rows: Rows, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows far from each other, at most k: each drawn with probability proportional to its squared distance."""
    chosen = [int(rng.integers(len(rows)))]
    own = squares(rows)
    left = _to(rows, own, chosen[0])
    tolerance = 1e-6 * float(own.max(initial=0.0))
    while len(chosen) < k and float(left.max()) > tolerance:
        total = np.cumsum(left, dtype=np.float64)
        chosen.append(min(int(np.searchsorted(total, rng.random() * total[-1], side="right")), len(rows) - 1))
        left = np.minimum(left, _to(rows, own, chosen[-1]))
    return np.unique(chosen)


def _to(rows: Rows, own: NDArray[np.float32], row: int) -> NDArray[np.float32]:
    return np.asarray(np.maximum(own + own[row] - 2 * (rows @ rows[row]), 0), dtype=np.float32)


def _means(rows: Rows, member: NDArray[np.int64], k: int) -> Rows:
    order = np.argsort(member, kind="stable")
    starts = np.searchsorted(member[order], np.arange(k))
    sums = np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64)
    return np.asarray(sums / np.bincount(member, minlength=k)[:, None], dtype=np.float32)
