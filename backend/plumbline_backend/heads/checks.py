"""What every head checks before it learns or answers, in one place and with the same words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

LARGEST = 1e150
"""Beyond this a float64 cannot hold the square of a value."""
_SUM_WITHIN = 1e-4
"""Rows of soft labels that were written with five decimals add up to one within this."""


class Labelled(NamedTuple):
    """Checked items of positive weight.

    features: (n, d) float32 or float64; weight: (n,) float64 above 0; targets: (n,) int64 classes, or for soft
    labels (n, K) float64 whose rows sum to 1; n_classes: K.
    """

    features: NDArray[np.floating[Any]]
    targets: NDArray[Any]
    weight: NDArray[np.float64]
    n_classes: int

    @property
    def soft(self) -> bool:
        """Whether an item may belong to several classes."""
        return self.targets.ndim == 2

    @property
    def likeliest(self) -> NDArray[np.int64]:
        """(n,) the class of each item, of soft labels the largest."""
        return self.targets.argmax(axis=1).astype(np.int64) if self.soft else self.targets

    def mass(self) -> NDArray[np.float64]:
        """(K,) sum of the weights that fall to each class."""
        if self.soft:
            return np.asarray(self.weight @ self.targets, dtype=np.float64)
        return np.bincount(self.targets, self.weight, minlength=self.n_classes).astype(np.float64)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, m) weighted sums per class of (n, m) values, without an (n, K) array for hard labels."""
        if self.soft:
            return np.asarray((self.targets * self.weight[:, None]).T @ values)
        order = np.argsort(self.targets, kind="stable")
        present, starts = np.unique(self.targets[order], return_index=True)
        out = np.zeros((self.n_classes, values.shape[1]))
        out[present] = np.add.reduceat((values * self.weight[:, None])[order], starts, axis=0)
        return out

    def copies(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.int64], NDArray[np.float64]]:
        """(features, classes, weight) where a soft item stands once for each class that it may have."""
        if not self.soft:
            return self.features, self.targets, self.weight
        rows, classes = np.nonzero(self.targets)
        return self.features[rows], classes.astype(np.int64), self.weight[rows] * self.targets[rows, classes]

    def rows(self, chosen: NDArray[Any]) -> Labelled:
        """Some of the items."""
        return Labelled(self.features[chosen], self.targets[chosen], self.weight[chosen], self.n_classes)


def labelled(
    features: NDArray[Any],
    targets: NDArray[Any],
    n_classes: int,
    sample_weight: NDArray[Any] | None = None,
) -> Labelled:
    """Check everything, drop items of weight zero. Raises one InputError for all mistakes.

    features (n, d); targets (n,) in 0 .. n_classes - 1, or (n, n_classes) probabilities; sample_weight (n,) >= 0.
    """
    features, targets = np.asarray(features), np.asarray(targets)
    weight = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    _refuse(features, targets, n_classes, weight)
    if not (weight > 0).all():
        features, targets, weight = features[weight > 0], targets[weight > 0], weight[weight > 0]
    x = np.ascontiguousarray(features, dtype=_float_type(features.dtype))
    if targets.ndim == 2:
        soft = targets.astype(np.float64)
        return Labelled(x, soft / soft.sum(axis=1, keepdims=True), weight, n_classes)
    return Labelled(x, targets.astype(np.int64), weight, n_classes)


def scorable(features: NDArray[Any], width: int | None) -> NDArray[np.floating[Any]]:
    """Features as a fitted head takes them. width: None while the head is not fitted. Raises InputError."""
    if width is None:
        raise InputError("this head has not been fitted; call fit first")
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] != width:
        raise InputError(f"features have shape {features.shape}; expected (n, {width})")
    return features


def finite(features: NDArray[Any]) -> None:
    """Raises InputError when a value is NaN or infinite."""
    if not np.isfinite(features).all():
        raise InputError("features hold NaN or infinite values; expected finite numbers")


def positive(temperature: float) -> float:
    """The temperature. Raises InputError unless it is finite and above zero."""
    if not 0 < temperature < float("inf"):
        raise InputError(f"temperature is {temperature}; expected a finite number above zero")
    return temperature


def _float_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    return np.float32 if dtype in (np.float32, np.float16) else np.float64


def _refuse(
    features: NDArray[Any], targets: NDArray[Any], n_classes: int, weight: NDArray[np.float64]
) -> None:
    fits = targets.shape == features.shape[:1] or targets.shape == (*features.shape[:1], n_classes)
    if features.ndim != 2 or features.shape[1] == 0 or not fits:
        raise InputError(
            f"features have shape {features.shape} and targets {targets.shape}; "
            f"expected (n, d) with d >= 1, and (n,) or (n, {n_classes})"
        )
    if weight.shape != targets.shape[:1]:
        raise InputError(f"sample_weight has shape {weight.shape}; expected {targets.shape[:1]}")
    wrong = [*_bad_features(features), *_bad_weight(weight), *_bad_targets(targets, n_classes)]
    if not wrong:
        wrong += _too_few(targets, weight)
    if wrong:
        raise InputError("; ".join(wrong))


def _bad_features(features: NDArray[Any]) -> Iterator[str]:
    if not np.issubdtype(features.dtype, np.floating) and not np.issubdtype(features.dtype, np.integer):
        yield f"features have type {features.dtype}; expected numbers"
        return
    good = np.abs(features) < LARGEST if features.dtype == np.float64 else np.isfinite(features)
    if good.all():
        return
    row, column = np.argwhere(~good)[0]
    yield (
        f"features hold {np.count_nonzero(~good)} values that are NaN, infinite or beyond {LARGEST:g}, the "
        f"first, {features[row, column]}, in row {row}, column {column}; expected finite numbers"
    )


def _bad_weight(weight: NDArray[np.float64]) -> Iterator[str]:
    if not (np.isfinite(weight) & (weight >= 0)).all():
        yield "sample_weight holds negative or non-finite values; expected zero or more"
    elif len(weight) and not weight.any():
        yield f"sample_weight is zero for all {len(weight)} items; expected at least one above zero"


def _bad_targets(targets: NDArray[Any], n_classes: int) -> Iterator[str]:
    if targets.ndim == 2:
        yield from _bad_shares(targets)
        return
    if len(targets) and not np.issubdtype(targets.dtype, np.integer):
        yield f"targets have type {targets.dtype}; expected integer class indices"
        return
    outside = np.flatnonzero((targets < 0) | (targets >= n_classes))
    if len(outside):
        yield f"target of row {outside[0]} is {targets[outside[0]]}; expected a class from 0 to {n_classes - 1}"


def _bad_shares(targets: NDArray[Any]) -> Iterator[str]:
    if not np.issubdtype(targets.dtype, np.floating):
        yield f"soft targets have type {targets.dtype}; expected probabilities"
        return
    bad = np.flatnonzero(~(np.isfinite(targets) & (targets >= 0)).all(axis=1))
    if len(bad):
        yield f"soft target of row {bad[0]} holds {targets[bad[0]].min():g}; expected probabilities, zero or more"
        return
    sums = targets.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > _SUM_WITHIN)
    if len(off):
        yield f"soft target of row {off[0]} sums to {sums[off[0]]:g} ({len(off)} rows do not sum to 1); expected 1"


def _too_few(targets: NDArray[Any], weight: NDArray[np.float64]) -> Iterator[str]:
    counted = targets[weight > 0]
    seen = np.flatnonzero(counted.any(axis=0)) if targets.ndim == 2 else np.unique(counted)
    if len(seen) < 2:
        yield (
            f"items of positive weight have the classes {seen.tolist()}; expected at least two different ones"
        )
