"""Signs that more answers would change little. Each has its n and an interval; none of them decides anything.

All but the last two look at what models say of a stop set, items drawn uniformly from the pool: they tell whether the
model still moves, never whether it is right. Only the random stream tells that.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import bootstrap, bootstrap_mean, wilson
from plumbline_backend.domain.types import Interval, Proba

STABLE_KAPPA, STABLE_ROUNDS = 0.99, 3
"""The values that Bloodgood and Vijay-Shanker 2009 recommend: agreement of 0.99 in three rounds."""
MOST_AHEAD = 100.0
"""An extrapolation to more than so many times the labels there are is not shown as a number."""
Verdict = Literal["reached", "not yet", "cannot tell"]


class Ahead(NamedTuple):
    """About how many more labels; `high` is None where the interval has no upper end, all are 0 once there."""

    labels: int
    low: int
    high: int | None


def kappa(
    before: NDArray[np.integer[Any]], after: NDArray[np.integer[Any]], rng: np.random.Generator
) -> Interval:
    """Cohen's kappa between two models' classes (n,) on the stop set, with a bootstrap interval.

    Unknown (NaN, n kept) where both give every item the same single class: chance alone would agree as much.
    Source: Cohen 1960; Bloodgood and Vijay-Shanker 2009.
    """
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape or before.ndim != 1:
        raise InputError(f"classes have shapes {before.shape} and {after.shape}; expected the same (n,)")
    n = len(before)
    if n == 0 or np.isnan(_kappa(before, after)):
        return Interval(float("nan"), -1.0, 1.0, n)

    def resampled(rows: NDArray[np.int64]) -> float:
        found = _kappa(before[rows], after[rows])
        return 1.0 if np.isnan(found) else found

    return bootstrap(resampled, n, rng, n_resamples=200, low=-1.0, high=1.0)


def is_stable(kappas: Sequence[Interval]) -> bool | None:
    """Whether the newest three agreements all reach 0.99; None while there are fewer than three."""
    newest = list(kappas)[-STABLE_ROUNDS:]
    if len(newest) < STABLE_ROUNDS or any(np.isnan(each.value) for each in newest):
        return None
    return all(each.value >= STABLE_KAPPA for each in newest)


def overall_uncertainty(proba: Proba, rng: np.random.Generator) -> Interval:
    """Mean entropy of the items' probabilities (n, K) over log K, in [0, 1]. Source: Zhu et al. 2010.

    One class: nothing can be uncertain, 0. Rows with NaN are left out of n.
    """
    proba = np.asarray(proba, dtype=np.float64)
    known = proba[np.isfinite(proba).all(axis=1)]
    if known.shape[1] < 2:
        return bootstrap_mean(np.zeros(len(known)), rng, low=0.0, high=1.0)
    entropy = -(known * np.log(np.maximum(known, 1e-300))).sum(axis=1) / log(known.shape[1])
    return bootstrap_mean(entropy, rng, low=0.0, high=1.0)


def classification_change(before: NDArray[np.integer[Any]], after: NDArray[np.integer[Any]]) -> Interval:
    """Share of the stop set that the newer model puts into another class. Source: Zhu et al. 2010."""
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape or before.ndim != 1:
        raise InputError(f"classes have shapes {before.shape} and {after.shape}; expected the same (n,)")
    return wilson(int((before != after).sum()), len(before))


def class_separability(
    features: NDArray[np.floating[Any]], predicted: NDArray[np.integer[Any]]
) -> tuple[Interval, float | None]:
    """Share of items whose nearest other item is predicted as the same class, and what chance would give.

    features (n, d), predicted (n,). No answer is used: it tells how well the model's classes follow the data's own
    neighbourhoods. Chance: sum over classes of the squared share. O(n^2) time, blocked. Source: Thornton 1998;
    Greene 2001.
    """
    x = np.asarray(features, dtype=np.float32)
    n = len(x)
    if n < 2:
        return wilson(0, 0), None
    x = x - x.mean(axis=0)
    square = np.einsum("ij,ij->i", x, x)
    neighbour = np.empty(n, dtype=np.int64)
    for start in range(0, n, 1024):
        rows = np.arange(start, min(start + 1024, n))
        d2 = square[None, :] - 2 * (x[rows] @ x.T)
        d2[np.arange(len(rows)), rows] = np.inf
        neighbour[rows] = d2.argmin(axis=1)
    predicted = np.asarray(predicted)
    _, counts = np.unique(predicted, return_counts=True)
    return wilson(int((predicted[neighbour] == predicted).sum()), n), float(((counts / n) ** 2).sum())


def target_verdict(accuracy: Interval, target: float) -> Verdict:
    """Whether accuracy on the random stream reaches the target, by its interval. Raises InputError outside (0, 1]."""
    _check_target(target)
    if accuracy.n == 0:
        return "cannot tell"
    if accuracy.low >= target:
        return "reached"
    return "not yet" if accuracy.high < target else "cannot tell"


def labels_ahead(n_train: Sequence[int], accuracy: Sequence[Interval], target: float) -> Ahead | None:
    """About how many more labels until the accuracy is `target`, by a power law of the error, error ~ n^-b.

    n_train, accuracy: the learning curve, any order. b is the least-squares slope of log error on log n; the newest
    accuracy's interval gives the interval. None where the curve does not say: fewer than three sizes, no falling
    error, a target of 1, or more than 100 times the labels. Source: Cortes et al. 1993.
    """
    _check_target(target)
    points = sorted(zip(n_train, accuracy, strict=True), key=lambda point: point[0])
    usable = [(n, a) for n, a in points if n > 0 and a.n > 0]
    if not usable:
        return None
    n_now, now = usable[-1]
    if now.value >= target:
        return Ahead(0, 0, 0)
    slope = _slope(usable)
    if slope is None or slope <= 0 or target >= 1:
        return None
    least, most = (_more(n_now, 1 - value, 1 - target, slope) for value in (now.high, now.low))
    middle = _more(n_now, 1 - now.value, 1 - target, slope)
    if middle == inf:
        return None
    return Ahead(round(middle), round(least), None if most == inf else round(most))


def _kappa(before: NDArray[np.integer[Any]], after: NDArray[np.integer[Any]]) -> float:
    classes = np.unique(np.concatenate([before, after]))
    if len(classes) < 2:
        return float("nan")
    share = [np.array([(said == c).mean() for c in classes]) for said in (before, after)]
    chance = float(share[0] @ share[1])
    if chance >= 1:
        return float("nan")
    return float(((before == after).mean() - chance) / (1 - chance))


def _slope(points: Sequence[tuple[int, Interval]]) -> float | None:
    """b of error ~ n^-b; an error of zero counts as half an item."""
    by_size = {n: max(1 - a.value, 0.5 / a.n) for n, a in points}
    if len(by_size) < 3:
        return None
    x = np.log(np.array(list(by_size), dtype=np.float64))
    y = np.log(np.array(list(by_size.values())))
    x -= x.mean()
    return float(-(x @ (y - y.mean())) / (x @ x))


def _more(n: int, error: float, wanted: float, slope: float) -> float:
    """Labels beyond `n`; infinite where it is too far to say."""
    if error <= wanted:
        return 0.0
    factor = log(error / wanted) / slope
    return n * (float(np.exp(factor)) - 1) if factor < log(MOST_AHEAD) else inf


def _check_target(target: float) -> None:
    if not 0 < target <= 1:
        raise InputError(f"target accuracy is {target}; expected a share above 0 and at most 1, such as 0.95")
