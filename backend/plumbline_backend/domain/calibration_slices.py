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
    correct: NDArray[np.bool_],
    depth: int = 2,
) -> list[Slice]:
    """All slices of at least 30 items by one column, and by two where depth is 2, from the least p-value on.

    columns: text (n,) each; confidence, correct: (n,). Two tests per slice: accuracy against the other items (two
    proportions), and right answers against the confidences (their own variance). Both enter the correction.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=bool)
    candidates = list(_candidates(columns, len(correct), depth))
    tests = [_tests(inside, confidence, correct) for _, inside in candidates]
    adjusted = holm([p for pair in tests for p in pair])
    found = []
    for i, (name, inside) in enumerate(candidates):
        p_value = float(min(adjusted[2 * i], adjusted[2 * i + 1]))
        found.append(
            Slice(
                name,
                wilson(int(correct[inside].sum()), int(inside.sum())),
                wilson(int(correct[~inside].sum()), int((~inside).sum())),
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
        for words, inside in _parts(np.asarray(values).astype(str)):
            if MIN_ITEMS <= inside.sum() <= n - MIN_ITEMS:
                singles.append((column, f"{column} {words}", inside))
    yield from ((name, inside) for _, name, inside in singles)
    if depth < 2:
        return
    for (one, name, inside), (other, second, also) in combinations(singles, 2):
        both = inside & also
        if one != other and both.sum() >= MIN_ITEMS:
            yield f"{name} and {second}", both


def _parts(values: NDArray[np.str_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    distinct = np.unique(values)
    if len(distinct) <= MAX_VALUES:
        yield from ((f"is {value}", values == value) for value in distinct)
        return
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        return
    if np.isfinite(numbers).all():
        cuts = np.quantile(numbers, [0.25, 0.5, 0.75])
        quarter = np.searchsorted(cuts, numbers, side="left")
        names = (
            f"up to {cuts[0]:.4g}",
            *(f"{a:.4g} to {b:.4g}" for a, b in pairwise(cuts)),
        )
        for k, words in enumerate((*names, f"above {cuts[2]:.4g}")):
            yield words, quarter == k


def _tests(
    inside: NDArray[np.bool_], confidence: NDArray[np.floating[Any]], correct: NDArray[np.bool_]
) -> tuple[float, float]:
    n, m = int(inside.sum()), int((~inside).sum())
    share = correct.mean()
    spread = sqrt(share * (1 - share) * (1 / n + 1 / m)) if m else 0.0
    difference = correct[inside].mean() - correct[~inside].mean() if m else 0.0
    chance = float((confidence[inside] * (1 - confidence[inside])).sum())
    excess = float(correct[inside].sum() - confidence[inside].sum())
    return _two_sided(difference, spread), _two_sided(excess, sqrt(chance))


def _two_sided(value: float, spread: float) -> float:
    if spread == 0:
        return 1.0 if abs(value) < 1e-12 else 0.0
    return erfc(abs(value) / spread / sqrt(2))
