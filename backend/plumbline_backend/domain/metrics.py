"""How good a classifier's answers and probabilities are, each figure with its interval and n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_intervals import skewed_mean
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.reliability import Reliability, ece_interval, null_ece, reliability
from plumbline_backend.domain.types import Interval, Proba

_SUM_TOLERANCE = 1e-3
"""float32 softmax over 100,000 classes sums to 1 within 1e-4; a row further off is not probabilities."""


class ClassMetrics(NamedTuple):
    """One class of the per-class table. n_true items have the class, n_predicted are given it."""

    precision: Interval
    recall: Interval
    f1: Interval
    n_true: int
    n_predicted: int


@dataclass(frozen=True)
class Evaluation:
    """Everything the model page shows of one set of items. All figures rest on the same n items."""

    n: int
    accuracy: Interval
    ece: Interval
    ece_null: float
    """The ECE that perfect calibration would show here by noise alone."""
    nll: Interval
    brier: Interval
    confusion: NDArray[np.int64]
    per_class: tuple[ClassMetrics, ...]
    reliability: Reliability


def evaluate(
    proba: Proba, targets: NDArray[np.integer[Any]], rng: np.random.Generator, n_resamples: int = 1000
) -> Evaluation:
    """All metrics of probabilities (n_items, n_classes) against class indices (n_items,).

    n_items may be 0: every figure is then unknown (NaN) with n = 0. Raises InputError on probabilities that
    are NaN, negative or do not sum to 1, targets outside the classes, or lengths that differ.
    """
    proba, targets = checked(proba, targets)
    n, n_classes = proba.shape
    predicted = proba.argmax(axis=1)
    confidence = np.minimum(proba.max(axis=1, initial=0.0), 1.0)
    correct = predicted == targets
    confusion = confusion_matrix(predicted, targets, n_classes)
    return Evaluation(
        n=n,
        accuracy=accuracy(predicted, targets),
        ece=ece_interval(confidence, correct, rng),
        ece_null=null_ece(confidence, rng, n_resamples=n_resamples),
        nll=nll(proba, targets),
        brier=brier(proba, targets),
        confusion=confusion,
        per_class=per_class(confusion),
        reliability=reliability(confidence, correct, rng, n_resamples=n_resamples),
    )


def accuracy(predicted: NDArray[np.integer[Any]], targets: NDArray[np.integer[Any]]) -> Interval:
    """Share of (n,) predictions that are right, with Wilson's interval."""
    if np.shape(predicted) != np.shape(targets):
        raise InputError(
            f"{np.shape(predicted)} predictions against {np.shape(targets)} targets; expected as many of each"
        )
    return wilson(int(np.count_nonzero(np.equal(predicted, targets))), len(targets))


def confusion_matrix(
    predicted: NDArray[np.integer[Any]], targets: NDArray[np.integer[Any]], n_classes: int
) -> NDArray[np.int64]:
    """(n_classes, n_classes) counts; row: what people said, column: what the model said."""
    predicted, targets = np.asarray(predicted), np.asarray(targets)
    for name, values in (("prediction", predicted), ("target", targets)):
        _check_classes(name, values, n_classes)
    cells = targets.astype(np.int64) * n_classes + predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def per_class(confusion: NDArray[np.integer[Any]]) -> tuple[ClassMetrics, ...]:
    """Precision, recall and F1 of every class of a confusion matrix (rows true, columns predicted).

    Precision and recall are proportions with Wilson's interval. F1 = 2 J / (1 + J), where J, hits over
    items that have or are given the class, is a proportion too: Wilson's interval of J, transformed.
    """
    return tuple(_class_metrics(confusion, k) for k in range(len(confusion)))


def nll(proba: Proba, targets: NDArray[np.integer[Any]]) -> Interval:
    """Mean negative log-likelihood in nats with its interval, corrected for skewness.

    A probability of exactly 0 for what happened counts as the smallest positive double (708 nats), so one
    impossible answer shows instead of making the figure infinite.
    """
    proba, targets = checked(proba, targets)
    stated = np.maximum(proba[np.arange(len(targets)), targets], np.finfo(np.float64).tiny)
    return skewed_mean(np.maximum(-np.log(stated), 0.0), low=0.0)


def brier(proba: Proba, targets: NDArray[np.integer[Any]]) -> Interval:
    """Mean squared distance to the one-hot truth, summed over classes, in [0, 2]. Source: Brier 1950."""
    proba, targets = checked(proba, targets)
    stated = proba[np.arange(len(targets)), targets]
    distance = (proba**2).sum(axis=1) - 2 * stated + 1
    return skewed_mean(np.maximum(distance, 0.0), low=0.0, high=2.0)


def _class_metrics(confusion: NDArray[np.integer[Any]], k: int) -> ClassMetrics:
    hits = int(confusion[k, k])
    n_true, n_predicted = int(confusion[k].sum()), int(confusion[:, k].sum())
    return ClassMetrics(
        precision=wilson(hits, n_predicted),
        recall=wilson(hits, n_true),
        f1=_f1(wilson(hits, n_true + n_predicted - hits)),
        n_true=n_true,
        n_predicted=n_predicted,
    )


def _f1(jaccard: Interval) -> Interval:
    value, low, high = (2 * j / (1 + j) for j in jaccard[:3])
    return Interval(value, low, high, jaccard.n)


def checked(proba: Proba, targets: NDArray[np.integer[Any]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Both as float64 and int64. Raises InputError as `evaluate`; nothing is renormalised."""
    proba, targets = np.asarray(proba), np.asarray(targets)
    if proba.ndim != 2 or targets.shape != proba.shape[:1]:
        raise InputError(
            f"probabilities have shape {proba.shape} and targets {targets.shape}; "
            "expected (n_items, n_classes) and (n_items,)"
        )
    _check_classes("target", targets, proba.shape[1])
    wrong = ~((proba >= 0).all(axis=1) & (np.abs(proba.sum(axis=1) - 1) <= _SUM_TOLERANCE))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"probabilities of row {row} are {proba[row][:8]} with sum {proba[row].sum():.6g}; "
            f"expected none negative or NaN and a sum of 1{_like_logits(proba)}"
        )
    return proba.astype(np.float64, copy=False), targets.astype(np.int64)


def _like_logits(proba: NDArray[Any]) -> str:
    """A hint when the numbers are logits rather than probabilities with a mistake in them."""
    finite = proba[np.isfinite(proba)]
    if finite.size and (finite.min() < -1e-3 or finite.max() > 1 + 1e-3):
        return "; these look like logits: give them as logits"
    return ""


def _check_classes(name: str, values: NDArray[np.integer[Any]], n_classes: int) -> None:
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise InputError(f"{name}s have type {values.dtype}; expected integer class indices")
    outside = (values < 0) | (values >= n_classes)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(f"{name} of row {row} is {values[row]}; expected a class from 0 to {n_classes - 1}")
