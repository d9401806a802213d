"""What random sampling would have reached: the reference that a query strategy has to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval


class Fitted(Protocol):
    """A head that has learned."""

    def logits(self, features: NDArray[Any]) -> NDArray[np.floating[Any]]:
        """(n_items, n_classes)."""
        ...


FitHead = Callable[[NDArray[Any], NDArray[Any], int], Fitted]
"""fit(features (m, d), targets (m,) as indices 0 .. n_classes - 1 that all occur, n_classes) -> head."""


class ReferencePoint(NamedTuple):
    """Accuracy of heads trained on `n_train` random items. The interval's n is the test items of one repeat."""

    n_train: int
    accuracy: Interval


def random_reference(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    fit: FitHead,
    sizes: Sequence[int],
    repeats: int,
    rng: np.random.Generator,
) -> list[ReferencePoint]:
    """Accuracy of throw-away heads trained on m of n uniformly drawn items and tested on the n - m others.

    features (n, d), targets (n,). Each repeat draws an order and trains on its first m items for every m of
    `sizes`, so the points of a curve are paired. A draw with a single class answers that class. The value
    is the mean over repeats; the interval is Wilson's for the test items of one repeat, because the
    repeats share their items: more of them make the mean steadier but not the items more numerous.
    Raises InputError when a size is not between 1 and n - 1, or repeats < 1.
    """
    features, targets = np.asarray(features), np.asarray(targets)
    n = len(targets)
    outside = [m for m in sizes if not 1 <= m < n]
    if outside or repeats < 1 or len(features) != n:
        raise InputError(
            f"sizes {list(sizes)}, repeats {repeats}, {len(features)} rows of features, {n} targets; "
            "expected sizes from 1 to one less than the items, at least one repeat, and as many rows as targets"
        )
    right = np.zeros(len(sizes))
    for _ in range(repeats):
        order = rng.permutation(n)
        for i, m in enumerate(sizes):
            train, test = order[:m], order[m:]
            predicted = _answers(features[train], targets[train], features[test], fit)
            right[i] += np.mean(predicted == targets[test])
    return [
        ReferencePoint(m, wilson(share * (n - m), n - m))
        for m, share in zip(sizes, np.minimum(right / repeats, 1.0), strict=True)
    ]


def _answers(
    features: NDArray[Any], targets: NDArray[Any], unseen: NDArray[Any], fit: FitHead
) -> NDArray[Any]:
    classes, indices = np.unique(targets, return_inverse=True)
    if len(classes) == 1:
        return np.full(len(unseen), classes[0])
    return classes[fit(features, indices, len(classes)).logits(unseen).argmax(axis=1)]
