"""The open-set rule: from which score on an item is "none of these", and how good that is."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval

KEPT = 0.95
_Z = 1.959963984540054


@dataclass(frozen=True)
class OpenSetRule:
    """An item whose score is above `threshold` is "none of these". kept: the promised share of known items."""

    score: str
    threshold: float
    kept: float
    n: int

    def none_of_these(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """(n,) which items are out of scope."""
        return np.asarray(scores) > self.threshold


@dataclass(frozen=True)
class OpenSetReport:
    """auroc: chance that an out-of-scope item scores above a known one; missed: out-of-scope items that are kept."""

    auroc: Interval
    missed: Interval
    kept: Interval
    n_known: int
    n_outside: int


def open_set_rule(score: str, held_out: NDArray[np.floating[Any]], kept: float = KEPT) -> OpenSetRule:
    """The threshold that keeps at least `kept` of known items, from scores (n,) of known items not trained on.

    It is the ceil((n + 1) kept)-th least of them, so the promise holds for new known items on average; infinite
    (nothing is ever refused) when n is too small to promise it.
    Raises InputError on scores that are NaN or kept outside (0, 1).
    """
    held_out = np.asarray(held_out, dtype=np.float64)
    if not 0 < kept < 1:
        raise InputError(
            f"share of known items to keep is {kept}; expected a number between 0 and 1, such as 0.95"
        )
    if np.isnan(held_out).any():
        raise InputError(
            f"scores of held-out items: {int(np.isnan(held_out).sum())} are NaN; expected numbers"
        )
    rank = ceil((len(held_out) + 1) * kept)
    threshold = float(np.sort(held_out)[rank - 1]) if rank <= len(held_out) else float("inf")
    return OpenSetRule(score, threshold, kept, len(held_out))


def evaluate_open_set(
    rule: OpenSetRule, known: NDArray[np.floating[Any]], outside: NDArray[np.floating[Any]]
) -> OpenSetReport:
    """The rule against items marked as known and as out of scope, neither of which it has seen."""
    return OpenSetReport(
        auroc=auroc(known, outside),
        missed=wilson(int((~rule.none_of_these(outside)).sum()), len(outside)),
        kept=wilson(int((~rule.none_of_these(known)).sum()), len(known)),
        n_known=len(known),
        n_outside=len(outside),
    )


def auroc(known: NDArray[np.floating[Any]], outside: NDArray[np.floating[Any]]) -> Interval:
    """Share of (known, outside) pairs in which the outside item scores higher, ties half, with DeLong's interval.

    The interval is on the logit scale, so that it stays inside [0, 1]. Unknown without items of either kind.
    Source: DeLong et al. 1988, by ranks as in Sun and Xu 2014.
    """
    m, n = len(known), len(outside)
    if not (m and n):
        return Interval(float("nan"), 0.0, 1.0, 0)
    together = rankdata(np.concatenate([known, outside]))
    above = (together[m:] - rankdata(outside)) / m
    below = 1 - (together[:m] - rankdata(known)) / n
    value = float(above.mean())
    if min(m, n) < 2 or value in (0.0, 1.0):
        bound = wilson(value * min(m, n), min(m, n))
        return Interval(value, bound.low, bound.high, m + n)
    spread = sqrt(above.var(ddof=1) / n + below.var(ddof=1) / m)
    middle, half = np.log(value / (1 - value)), _Z * spread / (value * (1 - value))
    low, high = (float(1 / (1 + np.exp(-end))) for end in (middle - half, middle + half))
    return Interval(value, low, high, m + n)
