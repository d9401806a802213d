"""Confident learning: labels that a model which never saw them contradicts with confidence."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError


class Confident(NamedTuple):
    """`flagged`: (n,) True off the diagonal of the confident joint. `suggested`: (n,) class, the label where unflagged.

    `threshold`: (K,) mean probability of a class among its own items, NaN for classes without items. `joint`: (K, K)
    estimated number of items by label and true class; rows add up to the label counts.
    """

    flagged: NDArray[np.bool_]
    suggested: NDArray[np.int64]
    threshold: NDArray[np.float64]
    joint: NDArray[np.float64]


def confident_learning(proba: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> Confident:
    """Find labels that are likely wrong from (n, K) out-of-sample probabilities and (n,) labels.

    t_j = mean p_j over items labelled j; an item counts for the likeliest class among those with p_j >= t_j; where
    that is not its label, it is flagged. Items that reach no threshold count nowhere. Raises InputError on NaN,
    shapes that differ or labels outside the classes. Source: Northcutt, Jiang and Chuang 2021.
    """
    p, y = _checked(proba, labels)
    n, k = p.shape
    counts = np.bincount(y, minlength=k)
    sums = np.bincount(y, weights=p[np.arange(n), y], minlength=k)
    threshold = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    reached = p >= threshold  # never True where the threshold is NaN
    guess = np.where(reached, p, -1.0).argmax(axis=1) if k else np.zeros(n, dtype=np.int64)
    counted = reached.any(axis=1)
    flagged = counted & (guess != y)
    joint = np.zeros((k, k))
    np.add.at(joint, (y[counted], guess[counted]), 1.0)
    rows = joint.sum(axis=1, keepdims=True)
    joint = np.where(rows > 0, joint / np.maximum(rows, 1) * counts[:, None], np.diag(counts))
    return Confident(flagged, np.where(flagged, guess, y), threshold, joint)


def _checked(
    proba: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, y = np.asarray(proba, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise InputError(f"proba has shape {p.shape} and labels {y.shape}; expected (n, K) and (n,)")
    if not np.isfinite(p).all():
        raise InputError("proba holds NaN or infinite values; expected probabilities")
    if len(y) and (y.min() < 0 or y.max() >= p.shape[1]):
        raise InputError(
            f"labels run from {y.min()} to {y.max()}; expected classes from 0 to {p.shape[1] - 1}"
        )
    return p, y
