"""Predictions with the right answers beside them, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.metrics import checked

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Predictions:
    """proba and logits (n, K), float64; targets (n,) class indices, or (n, K) of 0 and 1 for a multi-label question.

    With probabilities alone, logits are their logarithms: that loses nothing, since a constant per row means nothing.
    slices: text (n,) by column name, for looking at parts of the items. given: what the judge gave; the other of
    proba and logits is worked out from it.
    """

    name: str
    classes: tuple[str, ...]
    proba: NDArray[np.float64]
    logits: NDArray[np.float64]
    targets: NDArray[np.int64]
    slices: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    given: Literal["probs", "logits"] = "logits"

    @property
    def n(self) -> int:
        """Items."""
        return len(self.targets)

    @property
    def multi_label(self) -> bool:
        """Whether an item may have several classes."""
        return self.targets.ndim == 2

    def rows(self, which: NDArray[Any]) -> Predictions:
        """The same for some items."""
        return replace(
            self,
            proba=self.proba[which],
            logits=self.logits[which],
            targets=self.targets[which],
            slices={name: values[which] for name, values in self.slices.items()},
        )


def from_proba(
    name: str,
    proba: NDArray[Any],
    targets: NDArray[Any],
    classes: tuple[str, ...] | None = None,
    slices: Mapping[str, NDArray[Any]] | None = None,
) -> Predictions:
    """Predictions from probabilities. Raises InputError when they are none, see `checked`; nothing is renormalised."""
    proba, targets = np.asarray(proba), np.asarray(targets)
    if targets.ndim == 2:
        proba, targets = _checked_labels(proba, targets)
        logits = np.log(np.maximum(proba, TINY)) - np.log(np.maximum(1 - proba, TINY))
    else:
        proba, targets = checked(proba, targets)
        logits = np.log(np.maximum(proba, TINY))
    return Predictions(name, classes or _numbered(proba), proba, logits, targets, slices or {}, "probs")


def from_logits(
    name: str,
    logits: NDArray[Any],
    targets: NDArray[Any],
    classes: tuple[str, ...] | None = None,
    slices: Mapping[str, NDArray[Any]] | None = None,
) -> Predictions:
    """Predictions from logits, by softmax, or by sigmoid for multi-label targets.

    Raises InputError on logits that are not finite, and on such as can only be probabilities.
    """
    from scipy.special import expit, softmax

    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or len(targets) != len(logits):
        raise InputError(
            f"logits have shape {logits.shape} and labels {targets.shape}; expected (n, K) and as many labels"
        )
    wrong = ~np.isfinite(logits).all(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"logits of row {row} are {logits[row][:8]}; expected finite numbers")
    values = logits.astype(np.float64)
    if targets.ndim == 2:
        _checked_labels(expit(values), targets)
        return Predictions(
            name, classes or _numbered(logits), expit(values), values, targets.astype(np.int64), slices or {}
        )
    if len(values) and (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        raise InputError(
            "logits: every row is non-negative and sums to 1; these look like probabilities: give them as probs"
        )
    proba, targets = checked(softmax(values, axis=1), targets)
    return Predictions(name, classes or _numbered(logits), proba, values, targets, slices or {})


def in_order_of(given: Predictions, other: Predictions) -> Predictions:
    """`given` with its classes in the order of another's. Raises InputError unless both state the same classes."""
    if given.classes == other.classes and given.multi_label == other.multi_label:
        return given
    places = {name: k for k, name in enumerate(given.classes)}
    if given.multi_label != other.multi_label or set(places) != set(other.classes):
        raise InputError(
            f"{given.name} cannot be fitted on: found {_kind_of(given)}; expected {_kind_of(other)} as {other.name} has"
        )
    order = np.array([places[name] for name in other.classes])
    targets = given.targets[:, order] if given.multi_label else np.argsort(order)[given.targets]
    return replace(
        given,
        classes=other.classes,
        proba=given.proba[:, order],
        logits=given.logits[:, order],
        targets=targets,
    )


def _kind_of(predictions: Predictions) -> str:
    several = "several of" if predictions.multi_label else "one of"
    listed = ", ".join(predictions.classes[:8]) + (", ..." if len(predictions.classes) > 8 else "")
    return f"{several} {len(predictions.classes):,} classes ({listed})"


def _checked_labels(
    proba: NDArray[Any], targets: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if proba.shape != targets.shape:
        raise InputError(
            f"probabilities have shape {proba.shape} and labels {targets.shape}; expected (n, K) for both, "
            "or one label per row"
        )
    for name, bad, what in (
        ("probabilities", ~((proba >= 0) & (proba <= 1)), "numbers from 0 to 1"),
        ("labels", ~np.isin(targets, (0, 1)), "0 or 1 for every class"),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad.any(axis=1))[0])
            values = proba[row] if name == "probabilities" else targets[row]
            raise InputError(f"{name} of row {row} are {values[:8]}; expected {what}")
    return proba.astype(np.float64), targets.astype(np.int64)


def _numbered(proba: NDArray[Any]) -> tuple[str, ...]:
    return tuple(str(k) for k in range(proba.shape[1]))
