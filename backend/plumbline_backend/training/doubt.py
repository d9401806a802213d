"""Weights for labels that may be wrong: by their loss, by trusted labels, by the shape of their class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.robust import FLOOR, robust_weights

LEAST_TRUSTED = 10
ROUNDS = 3
SHAPED_FROM = 5
"""Items from which on a class has a shape of its own."""
FAR = 2.5
"""Robust deviations beyond which an item is an outlier of its class: 1 % of a normal distribution."""

SHARPNESS = 8
"""An item a fifth nearer to another class's middle than to its own weighs 0.17."""
_CELLS = 4_000_000

Floats = NDArray[np.floating[Any]]


def doubt_weights(
    how: str,
    features: Floats,
    targets: NDArray[np.int64],
    n_classes: int,
    trusted: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """(n,) weights in [0.02, 1]. how: "none", "margins", "trusted" or "shapes".

    trusted: (n,) labels that people have settled; they count fully.
    """
    if how == "none":
        return np.ones(len(targets))
    if how == "margins":
        found = robust_weights(features, targets, n_classes, rng)
    elif how == "trusted":
        found = trusted_weights(features, targets, n_classes, trusted)
    else:
        found = shape_weights(features, targets, n_classes)
    found[trusted] = 1.0
    return found


def trusted_weights(
    features: Floats, targets: NDArray[np.int64], n_classes: int, trusted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Labels whose gradient goes where that of the trusted labels goes weigh most.

    From the head of the last round, the gradient of item i is (p_i - y_i) x_i^T and that of the trusted labels of its
    class their mean; the weight is the part of the former along the latter, over the class's median, at most 1. Three
    rounds. Raises InputError with fewer than 10 trusted labels. Source: after Ren et al. 2018, for a linear head.
    """
    if trusted.sum() < LEAST_TRUSTED:
        raise InputError(
            f"{int(trusted.sum())} labels were settled by two or more people; weighing by trusted labels needs "
            f"{LEAST_TRUSTED}"
        )
    weight = np.ones(len(targets))
    x = np.column_stack([_standardised(features), np.ones(len(targets))])
    for _ in range(ROUNDS):
        sure = np.where(trusted, 2.0, weight)
        head = LinearSoftmax(tolerance=1e-3).fit(features, targets, n_classes, np.maximum(sure, FLOOR))
        pull = softmax(head.logits(features), axis=1)
        pull[np.arange(len(targets)), targets] -= 1
        along = _along_trusted(pull, x, targets, trusted)
        weight = np.clip(along / np.maximum(np.median(along[trusted]), 1e-12), FLOOR, 1.0)
    return weight


def shape_weights(features: Floats, targets: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """Items that lie nearer to another class's middle, or far outside their own class, weigh less.

    Middle of a class: the median of its columns, which up to half of wrong labels do not move away. Weight: (2.5 / z)^2
    for items z > 2.5 robust deviations farther from their middle than the class's median item, times (other / own)^8
    for those with a middle at distance `other` nearer than their own. A class of fewer than five items borrows the
    typical distance and its spread from the three classes nearest to it. Source: after Zhang et al. 2023
    (RCAL), on fixed features.
    """
    x = _standardised(features)
    counts = np.bincount(targets, minlength=n_classes)
    shaped = np.flatnonzero(counts >= SHAPED_FROM)
    if not len(shaped):
        return np.ones(len(targets))
    middle = np.zeros((n_classes, x.shape[1]))
    for k in np.flatnonzero(counts):
        middle[k] = np.median(x[targets == k], axis=0)
    distance = np.linalg.norm(x - middle[targets], axis=1)
    typical, spread = _shapes(distance, targets, middle, counts)
    floor = 0.05 * np.nanmedian(typical) + 1e-12
    z = (distance - typical[targets]) / np.maximum(spread[targets], floor)
    outside = (FAR / np.maximum(z, FAR)) ** 2
    nearer = np.minimum(_nearest(x, middle[shaped]) / np.maximum(distance, 1e-12), 1.0) ** SHARPNESS
    nearer[counts[targets] < SHAPED_FROM] = 1.0
    return np.clip(outside * nearer, FLOOR, 1.0)


def _shapes(
    distance: NDArray[np.float64],
    targets: NDArray[np.int64],
    middle: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K,) median distance from the middle and its median absolute deviation, as that of a normal distribution."""
    typical, spread = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    shaped = np.flatnonzero(counts >= SHAPED_FROM)
    for k in shaped:
        own = distance[targets == k]
        typical[k] = np.median(own)
        spread[k] = 1.4826 * np.median(np.abs(own - typical[k]))
    for k in np.flatnonzero((counts > 0) & (counts < SHAPED_FROM)):
        near = shaped[np.argsort(np.linalg.norm(middle[shaped] - middle[k], axis=1))[:3]]
        typical[k], spread[k] = typical[near].mean(), spread[near].mean()
    return typical, spread


def _nearest(x: NDArray[np.float64], middles: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) distance to the nearest of the middles, some rows at a time."""
    lengths = (middles * middles).sum(axis=1)
    rows = max(1, _CELLS // len(middles))
    parts = []
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        squares = (part * part).sum(axis=1) + (lengths - 2 * part @ middles.T).min(axis=1)
        parts.append(np.sqrt(np.maximum(squares, 0.0)))
    return np.concatenate(parts)


def _along_trusted(
    pull: NDArray[np.float64],
    x: NDArray[np.float64],
    targets: NDArray[np.int64],
    trusted: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """(n,) how far each item shares direction with the trusted ones of its class, of all where it has none.

    pull (n, K) times x (n, d) is each item's gradient; its cosine with the mean gradient needs no n x K x d array.
    """
    out = np.empty(len(targets))
    everyone = pull[trusted].T @ x[trusted]
    for k in np.unique(targets):
        rows, sure = targets == k, trusted & (targets == k)
        goal = pull[sure].T @ x[sure] if sure.sum() >= 2 else everyone
        size = np.linalg.norm(goal) * np.linalg.norm(x[rows], axis=1) * np.linalg.norm(pull[rows], axis=1)
        out[rows] = np.einsum("nk,kd,nd->n", pull[rows], goal, x[rows], optimize=True) / np.maximum(
            size, 1e-12
        )
    return out


def _standardised(features: Floats) -> NDArray[np.float64]:
    x = features.astype(np.float64)
    spread = x.std(axis=0)
    return np.asarray((x - x.mean(axis=0)) / np.where(spread > 1e-12, spread, 1.0))
