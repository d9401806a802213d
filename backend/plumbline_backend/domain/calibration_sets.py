"""Conformal prediction sets: as many classes as are needed to hold the right one at a promised rate."""

from __future__ import annotations

from math import ceil
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_intervals import skewed_mean
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval, Proba

SetRule = Literal["lac", "aps", "raps"]
SET_RULES: tuple[SetRule, ...] = ("lac", "aps", "raps")
RAPS_PENALTY, RAPS_FREE_RANKS = 0.01, 5
"""Each class beyond the fifth adds 0.01: Angelopoulos et al. 2021 use 0.01 and 5 for ImageNet."""


class SetReport(NamedTuple):
    """How sets behave on items that did not set the threshold. size: (n,) classes in each item's set.

    by_class: coverage of each class's items; worst: the class covered least, -1 when unknown.
    """

    rule: SetRule
    promised: float
    threshold: float
    coverage: Interval
    size: Interval
    empty: Interval
    by_class: tuple[Interval, ...]
    worst: int
    sizes: NDArray[np.int64]


def set_scores(proba: Proba, rule: SetRule) -> NDArray[np.float64]:
    """(n, K) how far down each class is: a class is in the set when its score is at most the threshold.

    lac: 1 - p (Sadinle et al. 2019). aps: p of all likelier classes and its own (Romano et al. 2020), without random
    ties, so that sets are never empty for want of luck. raps: aps plus a penalty on ranks (Angelopoulos et al. 2021).
    Raises InputError on another rule.
    """
    if rule not in SET_RULES:
        raise InputError(f"rule of the sets is {rule!r}; {did_you_mean(rule, SET_RULES)}")
    proba = np.asarray(proba, dtype=np.float64)
    if rule == "lac":
        return np.asarray(1.0 - proba, dtype=np.float64)
    order = np.argsort(-proba, axis=1, kind="stable")
    ranked = np.take_along_axis(proba, order, axis=1).cumsum(axis=1)
    if rule == "raps":
        ranked = ranked + RAPS_PENALTY * np.maximum(np.arange(1, proba.shape[1] + 1) - RAPS_FREE_RANKS, 0)
    scores = np.empty_like(ranked)
    np.put_along_axis(scores, order, ranked, axis=1)
    return scores


def set_threshold(scores: NDArray[np.float64], targets: NDArray[np.integer[Any]], promised: float) -> float:
    """The ceil((n + 1) promised)-th least score of the right classes; infinite (all classes) when n is too small."""
    if not 0 < promised < 1:
        raise InputError(f"promised coverage is {promised}; expected a number between 0 and 1, such as 0.9")
    n = len(targets)
    rank = ceil((n + 1) * promised)
    own = np.sort(scores[np.arange(n), targets])
    return float(own[rank - 1]) if rank <= n else float("inf")


def evaluate_sets(
    fit: tuple[Proba, NDArray[np.integer[Any]]],
    shown: tuple[Proba, NDArray[np.integer[Any]]],
    rule: SetRule,
    promised: float = 0.9,
) -> SetReport:
    """Set the threshold on `fit` (proba, targets) and measure the sets on `shown`, whose items it has not seen."""
    threshold = set_threshold(set_scores(fit[0], rule), np.asarray(fit[1]), promised)
    proba, targets = shown[0], np.asarray(shown[1])
    inside = set_scores(proba, rule) <= threshold
    sizes = inside.sum(axis=1)
    covered = inside[np.arange(len(targets)), targets]
    n_of = np.bincount(targets, minlength=proba.shape[1])
    hits = np.bincount(targets, covered, minlength=proba.shape[1])
    by_class = tuple(wilson(float(k), int(n)) for k, n in zip(hits, n_of, strict=True))
    rates = np.divide(hits, n_of, out=np.full(len(n_of), np.inf), where=n_of > 0)
    return SetReport(
        rule=rule,
        promised=promised,
        threshold=threshold,
        coverage=wilson(float(covered.sum()), len(targets)),
        size=skewed_mean(sizes.astype(np.float64), low=0.0),
        empty=wilson(int((sizes == 0).sum()), len(targets)),
        by_class=by_class,
        worst=int(rates.argmin()) if n_of.any() else -1,
        sizes=sizes.astype(np.int64),
    )
