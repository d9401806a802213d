"""What strategies share: ranking by a score per item, the bounded sample of candidates, and the one way to ask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.ports import Strategy
from plumbline_backend.domain.selection import PoolScores, rank, spread
from plumbline_backend.domain.types import Positions, Utility

SAMPLE = 50_000
"""Candidates that a strategy working on features looks at, drawn uniformly when there are more: 77 MB of float32 at
384 columns."""
ANCHORS = 2000
"""Labelled items that distances are taken to; a uniform draw of so many covers where labels lie."""
GREEDY = 100
"""Items chosen one by one, each in view of those before; the rest of a longer ranking is ordered by what the
utilities were then. A ranking serves until the next fit, which is rarely a hundred answers away."""
SPREAD_FROM = 4
"""A ranking by score looks at so many times the wanted items, so that near-duplicates can give way."""
SPREAD_MOST = 2000
"""Longest part of a ranking in which near-duplicates are looked for: its matrix of distances takes 16 MB."""


def ask(strategy: Strategy, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
    """The strategy's `n` best items, after checking what it needs and what it answered.

    Raises InputError where a need is not met, or where the answer holds other things than distinct candidates
    with a finite utility each.
    """
    if n < 0:
        raise InputError(f"n is {n}; expected zero or more items")
    if n == 0 or not view.candidates.any():
        return Ranking(np.empty(0, np.int64), np.empty(0), strategy.explanation)
    view.check(strategy.name, strategy.needs)
    return checked(strategy.name, strategy.pick(view, n, rng), view.candidates, n)


def checked(name: str, found: Any, candidates: NDArray[np.bool_], n: int) -> Ranking:
    """The answer of a strategy in the shapes and types that were promised. Raises InputError otherwise."""
    wrong = f"strategy {name!r} answered"
    if not isinstance(found, tuple) or len(found) != 3:
        raise InputError(f"{wrong} {type(found).__name__}; expected a Ranking of items, utility and why")
    items, utility = np.asarray(found[0]), np.asarray(found[1])
    if items.ndim != 1 or utility.shape != items.shape or (len(items) and items.dtype.kind not in "iu"):
        raise InputError(
            f"{wrong} items of shape {items.shape} ({items.dtype}) and utility of shape {utility.shape}; "
            "expected whole-number positions (m,) and as many utilities"
        )
    if len(items) > n:
        raise InputError(f"{wrong} {len(items)} items; expected at most {n}")
    if len(items) and (items.min() < 0 or items.max() >= len(candidates)):
        raise InputError(
            f"{wrong} positions {items.min()} to {items.max()}; expected them within 0 to {len(candidates) - 1}"
        )
    items = items.astype(np.int64)
    if len(np.unique(items)) != len(items):
        raise InputError(f"{wrong} the same item more than once; expected every item once")
    if not candidates[items].all():
        raise InputError(
            f"{wrong} {int((~candidates[items]).sum())} items that may not be asked "
            "(answered already, or kept for measuring); expected candidates only"
        )
    if utility.dtype.kind not in "fiu" or not np.isfinite(utility).all():
        raise InputError(f"{wrong} utilities that are not finite; expected a finite number per item")
    return Ranking(items, utility.astype(np.float64), str(found[2]))


class ScoreStrategy(ABC):
    """A strategy whose utility is a function of the model's scores alone: one pass over the whole pool."""

    name: ClassVar[str]
    explanation: ClassVar[str]
    why: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset({"proba"})

    @abstractmethod
    def utility(self, scores: PoolScores, rng: np.random.Generator) -> Utility:
        """(n_items,), higher is asked sooner; NaN where the scores are NaN. Does not change `scores`."""

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """The candidates of highest utility, near-duplicates behind the others."""
        return best(self.utility(view.the_scores(), rng), view, n, rng, self.why)


def best(
    utility: Utility,
    view: PoolView,
    n: int,
    rng: np.random.Generator,
    why: str,
    mask: NDArray[np.bool_] | None = None,
) -> Ranking:
    """The `n` candidates (of those in `mask`) of highest utility; near-duplicates give way to the next best."""
    candidates = view.candidates if mask is None else mask & view.candidates
    if view.features is None:
        items = rank(utility, candidates, n, rng)
        return Ranking(items, _of(utility, items), why)
    items = rank(utility, candidates, longer(n), rng)
    return apart(Ranking(items, _of(utility, items), why), view, n)


def longer(n: int) -> int:
    """How many items to rank so that `n` are left when near-duplicates give way."""
    return max(n, min(SPREAD_FROM * n, SPREAD_MOST))


def apart(ranking: Ranking, view: PoolView, n: int) -> Ranking:
    """The first `n` of a longer ranking, near-duplicates of better items behind the others."""
    head = ranking.items[:SPREAD_MOST]
    order = spread(view.the_features().gather(head))
    order = np.concatenate([order, np.arange(len(head), len(ranking.items))])[:n]
    return Ranking(ranking.items[order], ranking.utility[order], ranking.why)


def sample(view: PoolView, rng: np.random.Generator, limit: int = SAMPLE, at_least: int = 0) -> Positions:
    """At most `limit` (never fewer than `at_least`) candidates, uniformly drawn, in random order.

    Where there are scores, only items that were scored.
    """
    eligible = view.candidates
    if view.scores is not None:
        eligible = eligible & np.isfinite(view.scores.top1)
    found = np.flatnonzero(eligible)
    return rng.permutation(found)[: max(limit, at_least)]


def anchors(view: PoolView, rng: np.random.Generator, limit: int = ANCHORS) -> Positions:
    """Labelled items that new ones are compared with: all, or `limit` drawn uniformly."""
    if view.labelled is None:
        return np.empty(0, dtype=np.int64)
    return rng.permutation(view.labelled.items)[:limit]


def _of(utility: Utility, items: Positions) -> NDArray[np.float64]:
    return np.asarray(utility[items], dtype=np.float64)
