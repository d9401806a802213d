"""A committee's opinions over a whole pool, in blocks; and how its members come to differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Labelled, PoolView, ProbaOf
from plumbline_backend.domain.ports import Head

MEMBERS = 8
"""Heads in a committee: each costs a fit of its own at every ranking."""
_CELLS = 1_000_000
"""Probabilities held per member at a time."""


def over_pool(
    view: PoolView, disagreement: Callable[[NDArray[np.floating]], NDArray[np.floating]]
) -> NDArray[np.float32]:
    """(n_items,) `disagreement` of (n_members, m, n_classes) probabilities; NaN where nothing was scored."""
    members, features, scores = view.the_committee(), view.the_features(), view.the_scores()
    out = np.full(view.n_items, np.nan, dtype=np.float32)
    rows = max(64, _CELLS // max(1, view.the_labels().n_classes if view.labelled is not None else 10))
    for start, chunk in features.chunks(min(rows, 65_536)):
        out[start : start + len(chunk)] = disagreement(np.stack([member(chunk) for member in members]))
    out[~np.isfinite(scores.top1)] = np.nan
    return out


def bootstrapped(
    new_head: Callable[[], Head],
    x: NDArray[Any],
    labelled: Labelled,
    rng: np.random.Generator,
    n_members: int = MEMBERS,
) -> list[ProbaOf]:
    """Heads trained on resamples, drawn with replacement, of the labelled items; x: their features (m, d).

    One item of every class is always in, so that all members know the same classes.
    """
    return [_member(new_head(), x, labelled, rng).proba for _ in range(n_members)]


def _member(head: Head, x: NDArray[Any], labelled: Labelled, rng: np.random.Generator) -> Head:
    y = labelled.targets
    order = rng.permutation(len(y))
    _, first = np.unique(y[order], return_index=True)
    drawn = rng.integers(len(y), size=max(0, len(y) - len(first)))
    rows = np.concatenate([order[first], drawn])
    return head.fit(x[rows], y[rows], labelled.n_classes)
