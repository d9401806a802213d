"""Weights that take wrong labels out of a training: what the other items say about each label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.checks import labelled
from plumbline_backend.heads.linear_softmax import LinearSoftmax

FOLDS = 4
FLOOR = 0.02
"""Least weight: a label that the others contradict still says a little, and no class can lose all its items."""


def robust_weights(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    n_classes: int,
    rng: np.random.Generator,
    l2: float = 1.0,
) -> NDArray[np.float64]:
    """(n,) weights in [0.02, 1] for the labels, from heads that have not seen them.

    Four heads, each without a quarter of the items, give every label its margin m = log p(label) - log p(best other
    class); labels right by their own lights have m > 0. Wrong and right labels are two groups of margins: a mixture of
    two normal distributions tells how likely each label is of the right one. Without two groups to tell apart (their
    means less than two standard deviations from each other) all weights are 1. Raises InputError on what
    LinearSoftmax.fit refuses and on fewer than 4 items per fold. Source: after Arazo et al. 2019 and area under the
    margin (Pleiss et al. 2020), out of fold.
    """
    items = labelled(features, targets, n_classes)
    n = len(items.features)
    if items.soft or n < 4 * FOLDS:
        raise InputError(f"{n} items; robust weights need hard labels of {4 * FOLDS} items or more")
    margins = np.empty(n)
    fold = rng.permutation(n) % FOLDS
    for i in range(FOLDS):
        held, rest = np.flatnonzero(fold == i), np.flatnonzero(fold != i)
        logits = (
            LinearSoftmax(l2=l2, tolerance=1e-3)
            .fit(items.features[rest], items.targets[rest], n_classes)
            .logits(items.features[held])
        )
        own = logits[np.arange(len(held)), items.targets[held]].copy()
        logits[np.arange(len(held)), items.targets[held]] = -np.inf
        margins[held] = own - logits.max(axis=1)
    return np.maximum(_share_of_the_upper(margins), FLOOR)


def _share_of_the_upper(margins: NDArray[np.float64], rounds: int = 100) -> NDArray[np.float64]:
    """How likely each margin comes from the upper of two normal distributions; ones when there are not two."""
    low, high = np.quantile(margins, [0.1, 0.9])
    means, spreads, shares = np.array([low, high]), np.full(2, margins.std() / 2 + 1e-12), np.full(2, 0.5)
    for _ in range(rounds):
        z = (margins[:, None] - means) / spreads
        log_density = -0.5 * z**2 - np.log(spreads) + np.log(shares)
        belongs = np.exp(log_density - np.logaddexp.reduce(log_density, axis=1, keepdims=True))
        mass = belongs.sum(axis=0) + 1e-12
        means = (belongs * margins[:, None]).sum(axis=0) / mass
        spreads = (
            np.sqrt((belongs * (margins[:, None] - means) ** 2).sum(axis=0) / mass)
            + 1e-6 * margins.std()
            + 1e-12
        )
        shares = mass / mass.sum()
    if abs(means[1] - means[0]) < 2 * np.sqrt((spreads**2).mean()) or min(shares) < 0.01:
        return np.ones(len(margins))
    upper = int(np.argmax(means))
    found = belongs[:, upper]
    found[margins >= means[upper]] = 1.0  # a wide lower group must not claim the surest labels
    return np.asarray(found)
