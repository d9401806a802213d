"""How far people agree: Cohen's kappa, Fleiss' kappa and Krippendorff's alpha, with intervals over items.

Answers come as an array (n_items, n_raters) of category numbers, 0 and up, with -1 where a rater did not answer.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Interval

Ratings = NDArray[np.integer[Any]]
Level = Literal["nominal", "ordinal", "interval"]
MISSING = -1
N_RESAMPLES = 1_000


def cohen_kappa(first: Ratings, second: Ratings) -> float:
    """Agreement of two raters beyond chance, (p_o - p_e) / (1 - p_e), over the items that both answered.

    first, second: (n_items,). NaN where both always give one and the same category (chance alone explains all) or
    no item was answered by both. Source: Cohen 1960.
    """
    both = (first != MISSING) & (second != MISSING)
    if not both.any():
        return float("nan")
    a, b = first[both], second[both]
    n_categories = int(max(a.max(), b.max())) + 1
    shares = [np.bincount(x, minlength=n_categories) / len(a) for x in (a, b)]
    expected = float(shares[0] @ shares[1])
    if expected >= 1:
        return float("nan")
    return float((float((a == b).mean()) - expected) / (1 - expected))


def fleiss_kappa(ratings: Ratings) -> float:
    """Agreement of many raters beyond chance, where every item has the same number of answers.

    ratings: (n_items, n_raters) without gaps. NaN when only one category occurs.
    Raises InputError for gaps, or fewer than two raters. Source: Fleiss 1971.
    """
    if ratings.ndim != 2 or ratings.shape[1] < 2:
        raise InputError(
            f"ratings have shape {ratings.shape}; expected (n_items, n_raters) with 2 raters or more"
        )
    if (ratings == MISSING).any():
        raise InputError(
            "ratings have gaps; expected an answer of every rater (Krippendorff's alpha takes gaps)"
        )
    counts = _counts(ratings)
    n_raters = ratings.shape[1]
    agree = ((counts**2).sum(axis=1) - n_raters) / (n_raters * (n_raters - 1))
    shares = counts.sum(axis=0) / counts.sum()
    expected = float((shares**2).sum())
    if expected >= 1:
        return float("nan")
    return float((agree.mean() - expected) / (1 - expected))


def krippendorff_alpha(ratings: Ratings, level: Level = "nominal") -> float:
    """1 - D_o / D_e over all pairs of answers to one item; gaps are allowed.

    level: how far apart two categories are: "nominal" (equal or not), "ordinal" (by the answers that lie between
    them), "interval" (by the square of their difference). Items with fewer than two answers do not count.
    NaN when no item has two answers, or only one category occurs. Source: Krippendorff 2011.
    """
    if ratings.ndim != 2:
        raise InputError(f"ratings have shape {ratings.shape}; expected (n_items, n_raters)")
    counts = _counts(ratings)
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return float("nan")
    per_item = counts.sum(axis=1)
    weights = 1.0 / (per_item - 1)
    coincidences = (counts * weights[:, None]).T @ counts - np.diag((counts * weights[:, None]).sum(axis=0))
    totals = coincidences.sum(axis=0)
    distance = _distances(totals, level)
    n = totals.sum()
    expected = float((np.outer(totals, totals) * distance).sum() / (n - 1))
    if expected == 0:
        return float("nan")
    return float(1 - (coincidences * distance).sum() / expected)


def kappa_interval(first: Ratings, second: Ratings, rng: np.random.Generator) -> Interval:
    """Cohen's kappa with a 95 % bootstrap interval over the items that both answered; NaN value when undefined."""
    both = (first != MISSING) & (second != MISSING)
    return alpha_like(np.stack([first[both], second[both]], axis=1), cohen_of_columns, rng)


def alpha_interval(ratings: Ratings, rng: np.random.Generator, level: Level = "nominal") -> Interval:
    """Krippendorff's alpha with a 95 % bootstrap interval over the items with two answers or more."""
    usable = ratings[(ratings != MISSING).sum(axis=1) >= 2]
    return alpha_like(usable, lambda rows: krippendorff_alpha(rows, level), rng)


def cohen_of_columns(ratings: Ratings) -> float:
    """Cohen's kappa of the first two columns."""
    return cohen_kappa(ratings[:, 0], ratings[:, 1])


def alpha_like(ratings: Ratings, figure: Any, rng: np.random.Generator) -> Interval:
    """A coefficient of agreement, at most 1, with its percentile bootstrap interval over items.

    Resamples in which it is undefined (one category only) are left out. Where it is undefined for the items
    themselves, the value is NaN and the ends are -1 and 1. Where every resample gives the same value, as when all
    agree, the lower end comes from the rule of three: 3 / n of the items may differ.
    """
    n = len(ratings)
    value = figure(ratings) if n else float("nan")
    if np.isnan(value):
        return Interval(float("nan"), -1.0, 1.0, n)
    drawn = np.array([figure(ratings[rng.integers(n, size=n)]) for _ in range(N_RESAMPLES)])
    defined = drawn[np.isfinite(drawn)]
    low, high = np.quantile(defined, [0.025, 0.975])
    if low == high:
        low = max(-1.0, value - (1 - _expected(ratings)) ** -1 * 3 / n)
    return Interval(float(value), float(min(low, value)), float(max(high, value)), n)


def _expected(ratings: Ratings) -> float:
    """The share of pairs that would agree by chance."""
    shares = _counts(ratings).sum(axis=0) / max(1, (ratings != MISSING).sum())
    return float((shares**2).sum())


def _counts(ratings: Ratings) -> NDArray[np.float64]:
    """(n_items, n_categories) how many raters gave each category."""
    n_categories = int(ratings.max(initial=0)) + 1
    counts = np.zeros((len(ratings), n_categories))
    for column in ratings.T:
        given = column != MISSING
        counts[np.flatnonzero(given), column[given]] += 1
    return counts


def _distances(totals: NDArray[np.float64], level: Level) -> NDArray[np.float64]:
    """(n_categories, n_categories) squared distances between categories."""
    k = np.arange(len(totals))
    if level == "nominal":
        return (k[:, None] != k[None, :]).astype(float)
    if level == "interval":
        return (k[:, None] - k[None, :]).astype(float) ** 2
    if level != "ordinal":
        raise InputError(f"level is {level!r}; expected nominal, ordinal or interval")
    up_to = np.cumsum(totals)
    between = np.abs(up_to[:, None] - up_to[None, :])
    half = (totals[:, None] - totals[None, :]) / 2
    signed = np.where(k[:, None] > k[None, :], -half, half)
    return np.where(k[:, None] == k[None, :], 0.0, (between + signed) ** 2)
