"""Whether pseudo-labels help, asked of the human labels: each is held out once and predicted with them and without."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.types import Proba
from plumbline_backend.pace.control import Paired
from plumbline_backend.pace.policy import Pace, PaceView
from plumbline_backend.pace.proposals import nearest_human, propose, training_weights

FOLDS = 3
CANDIDATES = 5_000
"""Pool items that are proposed from in each fold; enough for weights that add up to two per human label."""

Rows = NDArray[np.floating[Any]]
Predict = Callable[[Rows], Proba]
Fit = Callable[[Rows, NDArray[np.int64], NDArray[np.float64] | None], Predict]
"""Features (n, d), class indices and weights (n,) to probabilities (m, K) of features (m, d)."""


def on_held_out(
    policy: Pace,
    lam: NDArray[np.float64],
    human: Rows,
    targets: NDArray[np.int64],
    pool: Rows,
    groups: NDArray[np.int64],
    fit: Fit,
    rng: np.random.Generator,
) -> Paired:
    """Human labels that only one of two heads gets right, neither of which has seen them.

    In each of three folds, stratified by class, one head learns from the other human labels and proposes from `pool`
    (m, d), `groups` (m,) telling its clusters; the other learns from those proposals too. human: (n, d), targets:
    (n,) in 0 .. len(lam) - 1. The only label of a class is in every training part. Six fits. n of the result is the
    number of labels that were held out, 0 where that would leave fewer than two classes.
    """
    n_classes = len(lam)
    fold = _folds(targets, n_classes, rng)
    taken = rng.permutation(len(pool))[:CANDIDATES]
    x, clusters = pool[taken], groups[taken]
    only_with = only_without = n = 0
    for number in range(FOLDS):
        out = fold == number
        if not out.any() or len(np.unique(targets[~out])) < 2:
            continue
        known, said = human[~out], targets[~out]
        alone = fit(known, said, None)
        found = propose(
            policy,
            PaceView(alone(x), lam, clusters),
            np.bincount(said, minlength=n_classes),
            partial(_nearest, x, known, said),
        )
        rows = found.taken
        weight = np.r_[np.ones(len(said)), training_weights(found.weight[rows], len(said))]
        taught = fit(np.r_[known, x[rows]], np.r_[said, found.target[rows]], weight)
        right = alone(human[out]).argmax(axis=1) == targets[out]
        right_taught = taught(human[out]).argmax(axis=1) == targets[out]
        only_with += int((right_taught & ~right).sum())
        only_without += int((right & ~right_taught).sum())
        n += int(out.sum())
    return Paired(only_with, only_without, n)


def _nearest(x: Rows, known: Rows, said: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return nearest_human(x[rows], known, said)


def _folds(targets: NDArray[np.int64], n_classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) fold of each label, each class dealt out evenly; a class with one label is in none (-1)."""
    fold = np.full(len(targets), -1, dtype=np.int64)
    for c in range(n_classes):
        rows = rng.permutation(np.flatnonzero(targets == c))
        if len(rows) > 1:
            fold[rows] = (np.arange(len(rows)) + rng.integers(FOLDS)) % FOLDS
    return fold
