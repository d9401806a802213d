"""Items that are the same, or nearly: they waste answers, and leak from training into the figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from plumbline_backend.domain.types import Positions
from plumbline_backend.pool.matrix import FeatureMatrix
from plumbline_backend.pool.neighbours import nearest_rows

NEAR = 0.05
"""Items closer than this share of the median distance between random pairs are near-duplicates."""
QUERIES = 20_000
NEIGHBOURS = 4
PAIRS = 2_000
BLOCK = 2_000


class Duplicates(NamedTuple):
    """Groups of positions, the largest first; `n_checked` items were compared with the whole pool."""

    groups: list[list[int]]
    n_checked: int
    distance: float


def near_duplicates(
    features: FeatureMatrix,
    first: Positions,
    rng: np.random.Generator,
    report: Callable[[float, str], None],
) -> Duplicates:
    """Group items whose features nearly coincide. first: items to be compared before others, such as answered ones.

    Up to 20,000 items, `first` and then a random draw, are compared with every item of the pool. Where the features
    are the same for all, nothing counts as a duplicate: they say nothing.
    """
    if features.n < 2:
        return Duplicates([], features.n, 0.0)
    a, b = rng.integers(features.n, size=(2, PAIRS))
    typical = float(np.median(np.linalg.norm(features.gather(a) - features.gather(b), axis=1)[a != b]))
    limit = NEAR * typical
    checked = _to_check(features.n, first, rng)
    if typical <= 0:
        return Duplicates([], len(checked), 0.0)
    links: list[tuple[int, int]] = []
    for start in range(0, len(checked), BLOCK):
        rows = checked[start : start + BLOCK]
        near, distance = nearest_rows(features, features.gather(rows), min(NEIGHBOURS + 1, features.n))
        close = (distance <= limit) & (near != rows[:, None])
        links += [(int(rows[i]), int(near[i, j])) for i, j in np.argwhere(close)]
        report(start / len(checked), f"compared {start + len(rows):,} of {len(checked):,} items")
    return Duplicates(_groups(links), len(checked), limit)


def _to_check(n: int, first: Positions, rng: np.random.Generator) -> Positions:
    if n <= QUERIES:
        return np.arange(n)
    others = rng.permutation(np.setdiff1d(np.arange(n), first))
    return np.r_[first, others][:QUERIES].astype(np.int64)


def _groups(links: list[tuple[int, int]]) -> list[list[int]]:
    """Connected items, the largest group first, then by position."""
    parent: dict[int, int] = {}

    def root(item: int) -> int:
        while parent.setdefault(item, item) != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in links:
        parent[root(one)] = root(other)
    found: dict[int, list[int]] = {}
    for item in sorted(parent):
        found.setdefault(root(item), []).append(item)
    return sorted(found.values(), key=lambda group: (-len(group), group[0]))


def labels_differ(group: list[int], labels: dict[int, str]) -> bool:
    """Whether the answered items of a group carry more than one class."""
    return len({labels[item] for item in group if item in labels}) > 1
