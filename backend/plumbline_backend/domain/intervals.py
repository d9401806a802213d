"""Intervals for what is estimated from a sample of items."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Interval

Statistic = Callable[[NDArray[np.int64]], float]
"""A figure computed from the items at the given rows, repeats allowed."""


def wilson(k: float, n: int, confidence: float = 0.95) -> Interval:
    """A proportion k / n with Wilson's score interval.

    Stays inside [0, 1] and keeps its coverage at 0, 1 and small n, where the textbook interval fails.
    k may be fractional (a mean count over repeats). n = 0: unknown, NaN in [0, 1].
    Raises InputError unless 0 <= k <= n. Source: Wilson 1927; Brown, Cai and DasGupta 2001.
    """
    if not 0 <= k <= n:
        raise InputError(f"{k} successes of {n} items; expected a count from 0 to {n}")
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0, 0)
    z = _z(confidence)
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if k == 0 else max(0.0, centre - half)
    high = 1.0 if k == n else min(1.0, centre + half)
    return Interval(p, min(low, p), max(high, p), n)


def bootstrap(
    statistic: Statistic,
    n: int,
    rng: np.random.Generator,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    low: float = -np.inf,
    high: float = np.inf,
) -> Interval:
    """A figure over n items with its basic (reverse percentile) bootstrap interval.

    The ends are 2 v - q for the quantiles q of the resampled figure, which corrects a bias that
    resampling repeats (ECE is biased upwards); they are clipped to [low, high], the figure's range, and
    stretched where needed so that the shown value lies inside. n = 0: NaN value, ends at the range.
    Raises InputError when n is negative. Source: Davison and Hinkley 1997, section 5.2.
    """
    if n < 0:
        raise InputError(f"n is {n}; expected zero or more items")
    if n == 0:
        return Interval(float("nan"), float(low), float(high), 0)
    value = float(statistic(np.arange(n)))
    resampled = np.array([statistic(rng.integers(n, size=n)) for _ in range(n_resamples)])
    return _basic(value, resampled, n, confidence, low, high)


def bootstrap_mean(
    values: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    n_resamples: int = 1000,
    confidence: float = 0.95,
    low: float = -np.inf,
    high: float = np.inf,
) -> Interval:
    """The mean of (n,) values with its basic bootstrap interval: `bootstrap` without a call per resample."""
    n = len(values)
    if n == 0:
        return Interval(float("nan"), float(low), float(high), 0)
    resampled = np.empty(n_resamples)
    at_once = max(1, 1_000_000 // n)
    for start in range(0, n_resamples, at_once):
        stop = min(start + at_once, n_resamples)
        resampled[start:stop] = values[rng.integers(n, size=(stop - start, n))].mean(axis=1)
    return _basic(float(values.mean()), resampled, n, confidence, low, high)


def of_resamples(
    value: float,
    resampled: NDArray[np.float64],
    n: int,
    *,
    confidence: float = 0.95,
    low: float = -np.inf,
    high: float = np.inf,
) -> Interval:
    """The basic bootstrap interval of a figure over n items that was resampled elsewhere; ends as in `bootstrap`."""
    return _basic(value, resampled, n, confidence, low, high)


def _basic(
    value: float, resampled: NDArray[np.float64], n: int, confidence: float, low: float, high: float
) -> Interval:
    tail = (1 - confidence) / 2
    first, last = np.quantile(resampled, [tail, 1 - tail])
    ends = np.clip([2 * value - last, 2 * value - first], low, high)
    return Interval(value, float(min(ends[0], value)), float(max(ends[1], value)), n)


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; expected a number between 0 and 1, such as 0.95")
    return NormalDist().inv_cdf(0.5 + confidence / 2)
