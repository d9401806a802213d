"""How good a multi-label classifier is. Items are the unit of every interval: an item's labels are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import of_resamples, wilson
from plumbline_backend.domain.types import Interval

YES_FROM = 0.5
"""A class is predicted from this probability."""
RESAMPLES = 300


class LabelMetrics(NamedTuple):
    """One class. n_said items say yes or no of it, n_yes of them yes; n_predicted of them are given it."""

    precision: Interval
    recall: Interval
    f1: Interval
    average_precision: Interval
    n_said: int
    n_yes: int
    n_predicted: int


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """All figures rest on n items; macro_f1 and map on the `n_classes` classes that have a yes among them.

    label_accuracy: share of the said (item, class) pairs that are right. exact: share of the items of which every
    class was said whose whole set is right.
    """

    n: int
    micro_f1: Interval
    macro_f1: Interval
    map: Interval
    label_accuracy: Interval
    exact: Interval
    n_classes: int
    per_class: tuple[LabelMetrics, ...]


def evaluate_labels(
    proba: NDArray[np.floating[Any]],
    truth: NDArray[np.integer[Any]],
    rng: np.random.Generator,
    n_resamples: int = RESAMPLES,
) -> MultiLabelEvaluation:
    """proba (n, K) in [0, 1]; truth (n, K): 1 yes, 0 no, -1 not said. n may be 0: everything is then unknown.

    Intervals of F1, mAP and label accuracy: basic bootstrap over items. Raises InputError on other shapes or values.
    """
    proba, truth = _checked(proba, truth)
    n, n_classes = proba.shape
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples) if n else np.empty((0, 0), np.int64)
    given, yes, said = proba >= YES_FROM, truth == 1, truth >= 0
    hits, wanted, found = given & yes, yes, given & said
    parts = [part.astype(np.float64) for part in (hits, wanted, found)]
    drawn = [counts @ part for part in parts]  # (n_resamples, K) each
    total = [part.sum(axis=0) for part in parts]
    seen = np.flatnonzero(total[1] > 0)
    right, pairs = ((given == yes) & said).sum(axis=1), said.sum(axis=1)
    precision, precisions = _average_precisions(proba, truth, counts)
    return MultiLabelEvaluation(
        n=n,
        micro_f1=_interval(_f1(*(t.sum() for t in total)), _f1(*(d.sum(axis=1) for d in drawn)), n),
        macro_f1=_macro(_f1(*total)[seen], _f1(*drawn)[:, seen], n),
        map=_macro(precision[seen], precisions[:, seen], n),
        label_accuracy=_interval(_ratio(right.sum(), pairs.sum()), _ratio(counts @ right, counts @ pairs), n),
        exact=_exact(right, pairs, n_classes),
        n_classes=len(seen),
        per_class=tuple(
            _class_metrics([int(t[k]) for t in total], int(said[:, k].sum()), precision[k], precisions[:, k])
            for k in range(n_classes)
        ),
    )


def average_precision(
    score: NDArray[np.floating[Any]], yes: NDArray[np.bool_], counts: NDArray[Any]
) -> NDArray[np.float64]:
    """(R,) mean precision at each yes when items are ranked by score, for each row of item weights (R, n).

    Equal scores share one place: precision is taken after the last of them. NaN without a yes.
    """
    order = np.argsort(-score, kind="stable")
    ends = (
        np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(score) else np.empty(0, np.int64)
    )
    weight = counts[:, order].astype(np.float64)
    hits = np.cumsum(weight * yes[order], axis=1)[:, ends]
    seen = np.cumsum(weight, axis=1)[:, ends]
    gained = np.diff(hits, axis=1, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((gained * np.where(seen > 0, hits / seen, 0.0)).sum(axis=1) / gained.sum(axis=1))


def _average_precisions(
    proba: NDArray[np.float64], truth: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K,) of the items, (R, K) of the resamples; NaN where no yes was said."""
    n_classes = proba.shape[1]
    values, resampled = np.full(n_classes, np.nan), np.full((len(counts), n_classes), np.nan)
    for k in range(n_classes):
        said = truth[:, k] >= 0
        if not (truth[:, k] == 1).any():
            continue
        score, yes = proba[said, k], truth[said, k] == 1
        values[k] = average_precision(score, yes, np.ones((1, int(said.sum()))))[0]
        resampled[:, k] = average_precision(score, yes, counts[:, said])
    return values, resampled


def _class_metrics(
    counts: Sequence[int], n_said: int, precision: float, resampled: NDArray[np.float64]
) -> LabelMetrics:
    hits, n_yes, n_found = counts
    jaccard = wilson(hits, n_yes + n_found - hits)
    value, low, high = (2 * j / (1 + j) for j in jaccard[:3])
    f1 = Interval(value, low, high, jaccard.n)
    ap = _interval(precision, resampled, n_said) if n_yes else Interval(float("nan"), 0.0, 1.0, 0)
    return LabelMetrics(wilson(hits, n_found), wilson(hits, n_yes), f1, ap, n_said, n_yes, n_found)


def _exact(right: NDArray[np.int64], pairs: NDArray[np.int64], n_classes: int) -> Interval:
    whole = pairs == n_classes
    return wilson(int((right[whole] == n_classes).sum()), int(whole.sum()))


def _f1(hits: Any, wanted: Any, found: Any) -> Any:
    return _ratio(2 * np.asarray(hits), np.asarray(wanted) + np.asarray(found))


def _ratio(part: Any, whole: Any) -> Any:
    """part / whole, NaN where whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(whole) > 0, np.asarray(part) / np.asarray(whole), np.nan)


def _macro(values: NDArray[np.float64], resampled: NDArray[np.float64], n: int) -> Interval:
    """The mean over classes; a class that a resample has no yes of is left out of that resample's mean."""
    if not len(values):
        return Interval(float("nan"), 0.0, 1.0, 0)
    known = ~np.isnan(resampled)
    sums, numbers = np.where(known, resampled, 0.0).sum(axis=1), known.sum(axis=1)
    return _interval(float(np.nanmean(values)), _ratio(sums, numbers), n)


def _interval(value: Any, resampled: NDArray[np.float64], n: int) -> Interval:
    usable = resampled[~np.isnan(resampled)]
    if n == 0 or np.isnan(value):
        return Interval(float("nan"), 0.0, 1.0, 0)
    if len(usable) < 2:
        return Interval(float(value), 0.0, 1.0, n)
    found = of_resamples(float(value), usable, n, low=0.0, high=1.0)
    if value not in (0.0, 1.0):
        return found
    edge = wilson(n * float(value), n)  # every resample says the same: the items say only this much
    return Interval(found.value, min(found.low, edge.low), max(found.high, edge.high), n)


def _checked(proba: NDArray[Any], truth: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    proba, truth = np.asarray(proba, dtype=np.float64), np.asarray(truth)
    if proba.ndim != 2 or proba.shape != truth.shape:
        raise InputError(
            f"probabilities have shape {proba.shape} and truth {truth.shape}; expected (n, K) both"
        )
    if not ((proba >= 0) & (proba <= 1)).all():
        raise InputError("probabilities lie outside 0 to 1 or are NaN; expected probabilities")
    if not np.isin(truth, (-1, 0, 1)).all():
        raise InputError("truth holds other values than 1 (yes), 0 (no) and -1 (not said)")
    return proba, truth.astype(np.int64)
