"""How far a rating model's levels are from people's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import of_resamples, wilson
from plumbline_backend.domain.types import Interval

RESAMPLES = 1000


class OrdinalEvaluation(NamedTuple):
    """mae: mean distance in levels; kappa: Cohen's with quadratic weights, in [-1, 1]; within_one: share at most one
    level off."""

    mae: Interval
    kappa: Interval
    within_one: Interval


def evaluate_levels(
    predicted: NDArray[np.integer[Any]],
    truth: NDArray[np.integer[Any]],
    n_levels: int,
    rng: np.random.Generator,
    n_resamples: int = RESAMPLES,
) -> OrdinalEvaluation:
    """predicted, truth: (n,) levels in 0 .. n_levels - 1. n = 0: unknown. Intervals: bootstrap over items, Wilson's.

    Raises InputError on other shapes or levels.
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.shape != truth.shape or predicted.ndim != 1:
        raise InputError(f"levels have shapes {predicted.shape} and {truth.shape}; expected (n,) twice")
    both = np.concatenate([predicted, truth])
    if both.size and (both.min() < 0 or both.max() >= n_levels):
        raise InputError(f"levels lie in {both.min()} to {both.max()}; expected 0 to {n_levels - 1}")
    n, most = len(truth), float(max(1, n_levels - 1))
    apart = np.abs(predicted - truth)
    if n == 0:
        nothing = Interval(float("nan"), 0.0, most, 0)
        return OrdinalEvaluation(nothing, Interval(float("nan"), -1.0, 1.0, 0), wilson(0, 0))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).astype(np.float64)
    mae = of_resamples(float(apart.mean()), counts @ apart / n, n, low=0.0, high=most)
    if apart.max() == 0:  # all right: every resample says so, n items prove only this much
        mae = Interval(0.0, 0.0, most * (1 - wilson(n, n).low), n)
    return OrdinalEvaluation(mae, _kappa(predicted, truth, counts), wilson(int((apart <= 1).sum()), n))


def quadratic_kappa(
    predicted: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], counts: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """(R,) for each row of item weights (R, n): 1 - observed over expected squared distance; NaN where both say one
    level throughout. Source: Cohen 1968."""
    n = counts.sum(axis=1)
    p, t = predicted.astype(np.float64), truth.astype(np.float64)
    observed = counts @ (p - t) ** 2 / n
    mean_p, mean_t = counts @ p / n, counts @ t / n
    expected = (counts @ p**2 / n - mean_p**2) + (counts @ t**2 / n - mean_t**2) + (mean_p - mean_t) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 1e-12, 1 - observed / expected, np.nan)


def _kappa(
    predicted: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], counts: NDArray[np.float64]
) -> Interval:
    n = len(truth)
    value = float(quadratic_kappa(predicted, truth, np.ones((1, n)))[0])
    usable = quadratic_kappa(predicted, truth, counts)
    usable = usable[~np.isnan(usable)]
    if np.isnan(value) or len(usable) < 2:
        return Interval(float("nan"), -1.0, 1.0, 0)
    found = of_resamples(value, usable, n, low=-1.0, high=1.0)
    if value < 1:
        return found
    return Interval(1.0, 2 * wilson(n, n).low - 1, 1.0, n)
