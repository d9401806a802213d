"""Parts of the items on which a judge is worse than elsewhere, found among many with a corrected test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_intervals import skewed_mean
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval

MIN_ITEMS = 30
MAX_VALUES = 50
"""A column with more values is cut into quarters when they are numbers, and else left out: an id is no slice."""
LEVEL = 0.05


@dataclass(frozen=True)
class Slice:
    """Items for which `column` is `value` (two of each joined by "and").

    accuracy and gap (share right minus mean confidence) of its items; p_value: that accuracy is as elsewhere and the
    confidences true, corrected for all slices looked at (Holm 1979); found: whether that is refuted at 5 %.
    """

    name: str
    accuracy: Interval
    elsewhere: Interval
    gap: Interval
    p_value: float
    found: bool


def worst_slices(
    columns: Mapping[str, NDArray[Any]],
    confidence: NDArray[np.floating[Any]],
    correct: NDArray[np.bool_ | np.floating[Any]],
    depth: int = 2,
) -> list[Slice]:
    """All slices of at least 30 items by one column, and by two where depth is 2, from the least p-value on.

    columns: text (n,) each; confidence: (n,); correct: (n,) of bool, or the share of an item's labels that are right,
    with the mean confidence of its labels. Two tests per slice: accuracy against the other items (two proportions),
    and right answers against the confidences (their own variance); of shares both by the items' spread, since labels
    of one item are not independent. Both tests enter the correction.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct)
    candidates = list(_candidates(columns, len(correct), depth))
    tests = [_tests(inside, confidence, correct) for _, inside in candidates]
    adjusted = holm([p for pair in tests for p in pair])
    found = []
    for i, (name, inside) in enumerate(candidates):
        p_value = float(min(adjusted[2 * i], adjusted[2 * i + 1]))
        found.append(
            Slice(
                name,
                _mean(correct[inside]),
                _mean(correct[~inside]),
                skewed_mean(correct[inside] - confidence[inside], -1.0, 1.0),
                p_value,
                p_value < LEVEL,
            )
        )
    return sorted(found, key=lambda each: (each.p_value, each.accuracy.value))


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """(m,) p-values corrected so that any false finding among them has at most their level. Source: Holm 1979."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _candidates(
    columns: Mapping[str, NDArray[Any]], n: int, depth: int
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    singles: list[tuple[str, str, NDArray[np.bool_]]] = []
    for column, values in columns.items():
        for words, inside in slice_parts(values):
            if MIN_ITEMS <= inside.sum() <= n - MIN_ITEMS:
                singles.append((column, f"{column} {words}", inside))
    yield from ((name, inside) for _, name, inside in singles)
    if depth < 2:
        return
    for (one, name, inside), (other, second, also) in combinations(singles, 2):
        both = inside & also
        if one != other and both.sum() >= MIN_ITEMS:
            yield f"{name} and {second}", both


def slice_parts(values: NDArray[Any], most_values: int = 0) -> list[tuple[str, NDArray[np.bool_]]]:
    """The parts that one column (n,) makes, in words, with their items (n,): its values, or quarters of many numbers.

    Of a text column with more than `MAX_VALUES` values, the `most_values` most frequent ones.
    """
    text = np.asarray(values).astype(str)
    distinct, count = np.unique(text, return_counts=True)
    if len(distinct) <= MAX_VALUES:
        return [(f"is {value}", text == value) for value in distinct]
    numbers = _numbers(text)
    if numbers is None:
        return [
            (f"is {distinct[k]}", text == distinct[k])
            for k in np.argsort(-count, kind="stable")[:most_values]
        ]
    cuts = np.quantile(numbers, [0.25, 0.5, 0.75])
    quarter = np.searchsorted(cuts, numbers, side="left")
    between = (f"{a:.4g} to {b:.4g}" for a, b in pairwise(cuts))
    names = (f"up to {cuts[0]:.4g}", *between, f"above {cuts[2]:.4g}")
    return [(words, quarter == k) for k, words in enumerate(names)]


def _numbers(text: NDArray[np.str_]) -> NDArray[np.float64] | None:
    """The numbers that all of these are, or None."""
    try:
        numbers = text.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _mean(correct: NDArray[Any]) -> Interval:
    if correct.dtype == bool:
        return wilson(int(correct.sum()), len(correct))
    return skewed_mean(correct, 0.0, 1.0)


def _tests(
    inside: NDArray[np.bool_], confidence: NDArray[np.floating[Any]], correct: NDArray[Any]
) -> tuple[float, float]:
    if correct.dtype != bool:
        return _tests_of_shares(inside, correct - confidence, correct)
    n, m = int(inside.sum()), int((~inside).sum())
    share = correct.mean()
    spread = sqrt(share * (1 - share) * (1 / n + 1 / m)) if m else 0.0
    difference = correct[inside].mean() - correct[~inside].mean() if m else 0.0
    chance = float((confidence[inside] * (1 - confidence[inside])).sum())
    excess = float(correct[inside].sum() - confidence[inside].sum())
    return _two_sided(difference, spread), _two_sided(excess, sqrt(chance))


def _tests_of_shares(
    inside: NDArray[np.bool_], gap: NDArray[np.floating[Any]], share: NDArray[np.floating[Any]]
) -> tuple[float, float]:
    """Of means of independent items whose variance is not known but seen (Welch 1947, for large samples)."""
    own, others = share[inside], share[~inside]
    spread = sqrt(own.var(ddof=1) / len(own) + others.var(ddof=1) / len(others))
    error = sqrt(gap[inside].var(ddof=1) / len(own))
    return _two_sided(float(own.mean() - others.mean()), spread), _two_sided(float(gap[inside].mean()), error)


def _two_sided(value: float, spread: float) -> float:
    if spread == 0:
        return 1.0 if abs(value) < 1e-12 else 0.0
    return erfc(abs(value) / spread / sqrt(2))
