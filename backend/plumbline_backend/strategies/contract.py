"""What every query strategy keeps, as checks that a test suite and `plumbline check-plugin` both run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import ArrayRows, Descriptions, Labelled, PoolView, Ranking
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.ports import Strategy
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.strategies.base import ask

SCORED = ("top1", "top2", "entropy", "argmax")


class Check(NamedTuple):
    """One promise: what it is called, and a function that raises InputError when a strategy breaks it."""

    name: str
    run: Callable[[Strategy], None]


class LinearProba:
    """A made-up model: softmax of the first columns; picklable, so that it can travel to a plug-in."""

    def __init__(self, n_classes: int, scale: float = 2.0) -> None:
        self.n_classes, self.scale = n_classes, scale

    def __call__(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        columns = np.arange(self.n_classes) % features.shape[1]
        logits = self.scale * np.asarray(features, dtype=np.float64)[:, columns]
        logits -= logits.max(axis=1, keepdims=True)
        proba = np.exp(logits)
        return np.asarray(proba / proba.sum(axis=1, keepdims=True))


def scores_of(proba: NDArray[np.floating[Any]], dtype: type = np.float32) -> PoolScores:
    """The scores that a head would give for these probabilities (n, n_classes)."""
    top = np.sort(proba, axis=1)[:, ::-1]
    second = top[:, 1] if proba.shape[1] > 1 else np.zeros(len(proba))
    entropy = -(proba * np.log(np.maximum(proba, 1e-300))).sum(axis=1)
    argmax = proba.argmax(axis=1) if proba.shape[1] else np.zeros(len(proba), np.int64)
    return PoolScores(top[:, 0].astype(dtype), second.astype(dtype), entropy.astype(dtype), argmax)


def made_view(
    n: int = 120,
    n_classes: int = 3,
    *,
    seed: int = 0,
    features: NDArray[np.floating[Any]] | None = None,
    n_labelled: int | None = None,
) -> PoolView:
    """A pool about which everything is known: blobs, a model, answers, a committee, class descriptions.

    The first items are labelled; they and every seventh item are no candidates.
    """
    draw = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    d = 6
    x = draw.normal(size=(n, d)) + 2 * np.eye(n_classes, d)[y] if features is None else features
    x = np.asarray(x, dtype=np.float32)
    m = min(n, 2 * n_classes) if n_labelled is None else n_labelled
    candidates = np.ones(n, dtype=bool)
    candidates[6::7] = False
    candidates[:m] = False
    proba = LinearProba(n_classes)
    members = [LinearProba(n_classes, scale) for scale in (1.0, -1.0, 3.0)]
    prompts = np.stack([np.eye(n_classes, x.shape[1]) + 0.1 * p for p in range(2)])
    return PoolView(
        candidates,
        scores=scores_of(proba(x)),
        features=ArrayRows(x),
        labelled=Labelled(np.arange(m), y[:m].astype(np.int64), n_classes),
        proba=proba,
        committee=lambda: members,
        descriptions=Descriptions(prompts, 0, x.shape[1]),
    )


def checks() -> Iterator[Check]:
    """Every promise, in the order in which a strategy's author meets them."""
    yield Check("says what it is and what it needs", _describes_itself)
    yield Check("asks distinct candidates with finite utilities", _asks_candidates)
    yield Check("asks as many as are wanted", _asks_enough)
    yield Check("is decided by the generator alone", _is_deterministic)
    yield Check("changes nothing in the view", _changes_nothing)
    yield Check("fails loudly without what it needs", _fails_loudly)
    yield Check("works with exactly what it needs", _needs_no_more)
    yield Check("asks nothing where nothing may be asked", _nobody_left)
    yield Check("copes with an empty pool", _empty_pool)
    yield Check("copes with one candidate, and with fewer than wanted", _few_candidates)
    yield Check("copes with a single class", _single_class)
    yield Check("copes with items that are all the same", _all_duplicates)
    yield Check("copes with constant features", _constant_column)
    yield Check("never prefers items that were not scored", _unscored_never_win)
    yield Check("avoids copies of an item in a batch", _no_copies)


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def _pick(strategy: Strategy, view: PoolView, n: int) -> Ranking:
    return ask(strategy, view, n, _rng())


def _expect(is_so: bool, expected: str) -> None:
    if not is_so:
        raise InputError(f"expected {expected}")


def _describes_itself(strategy: Strategy) -> None:
    text = strategy.explanation
    _expect(20 <= len(text) <= 200 and text.endswith("."), f"an explanation of one sentence; found {text!r}")
    _expect(isinstance(strategy.needs, frozenset), f"needs as a frozenset; found {strategy.needs!r}")


def _asks_candidates(strategy: Strategy) -> None:
    _pick(strategy, made_view(), 10)


def _asks_enough(strategy: Strategy) -> None:
    view = made_view()
    for n in (1, 10, int(view.candidates.sum())):
        found = len(_pick(strategy, view, n).items)
        _expect(found == n, f"{n} items of {int(view.candidates.sum())} candidates; found {found}")


def _is_deterministic(strategy: Strategy) -> None:
    one, two = (_pick(strategy, made_view(), 10) for _ in range(2))
    same = np.array_equal(one.items, two.items) and np.array_equal(one.utility, two.utility)
    _expect(same, "the same answer for generators of the same seed")


def _changes_nothing(strategy: Strategy) -> None:
    view, kept = made_view(), made_view()
    for array in (view.candidates, view.the_labels().items, view.the_labels().targets):
        array.flags.writeable = False
    _pick(strategy, view, 10)
    for name in SCORED:
        same = np.array_equal(getattr(view.the_scores(), name), getattr(kept.the_scores(), name))
        _expect(same, f"scores.{name} left as it was")
    every = np.arange(view.n_items)
    same = np.array_equal(view.the_features().gather(every), kept.the_features().gather(every))
    _expect(same, "features left as they were")


def _fails_loudly(strategy: Strategy) -> None:
    if not strategy.needs:
        return
    try:
        ask(strategy, PoolView(np.ones(5, dtype=bool)), 2, _rng())
    except InputError as error:
        missing = [need for need in strategy.needs if need not in str(error)]
        _expect(not missing, f"an error that names {', '.join(missing)}; found {error}")
    else:
        raise InputError(f"expected an error without {', '.join(sorted(strategy.needs))}")


def _needs_no_more(strategy: Strategy) -> None:
    whole = made_view()
    view = PoolView(
        whole.candidates,
        scores=whole.scores if "proba" in strategy.needs else None,
        features=whole.features if "features" in strategy.needs else None,
        labelled=whole.labelled if "labels" in strategy.needs else None,
        proba=whole.proba if "proba" in strategy.needs else None,
        committee=whole.committee if "committee" in strategy.needs else None,
        descriptions=whole.descriptions if "descriptions" in strategy.needs else None,
    )
    _expect(len(_pick(strategy, view, 10).items) == 10, "ten items from what it says it needs")


def _nobody_left(strategy: Strategy) -> None:
    view = made_view()
    closed = replace(view, candidates=np.zeros(view.n_items, dtype=bool))
    _expect(len(_pick(strategy, closed, 5).items) == 0, "no items where there are no candidates")


def _empty_pool(strategy: Strategy) -> None:
    _expect(len(_pick(strategy, made_view(0), 5).items) == 0, "no items of an empty pool")


def _few_candidates(strategy: Strategy) -> None:
    view = made_view()
    for left in ([17], [17, 40, 55]):
        candidates = np.zeros(view.n_items, dtype=bool)
        candidates[left] = True
        found = _pick(strategy, replace(view, candidates=candidates), 10).items
        _expect(
            sorted(found.tolist()) == left, f"the {len(left)} candidates there are; found {found.tolist()}"
        )
    two = made_view(2, 2, n_labelled=1)
    _expect(_pick(strategy, two, 10).items.tolist() == [1], "the one candidate of a pool of two items")


def _single_class(strategy: Strategy) -> None:
    _expect(len(_pick(strategy, made_view(40, 1), 5).items) == 5, "items also where there is one class")


def _all_duplicates(strategy: Strategy) -> None:
    view = made_view(60, features=np.ones((60, 6)))
    found = _pick(strategy, view, 8).items
    _expect(len(found) == 8, f"eight of many equal items; found {len(found)}")


def _constant_column(strategy: Strategy) -> None:
    x = np.random.default_rng(1).normal(size=(60, 6))
    x[:, 2:] = 0
    _expect(
        len(_pick(strategy, made_view(60, features=x), 8).items) == 8, "items also with constant features"
    )


def _unscored_never_win(strategy: Strategy) -> None:
    if "proba" not in strategy.needs:
        return
    view = made_view()
    parts = {name: np.array(getattr(view.the_scores(), name)) for name in SCORED}
    for name in ("top1", "top2", "entropy"):
        parts[name][60:] = np.nan
    parts["argmax"][60:] = -1
    found = _pick(strategy, replace(view, scores=PoolScores(**parts)), 10).items
    _expect(
        bool((found < 60).all()),
        f"scored items first; found {found.tolist()}, of which 60 and above have NaN",
    )


def _no_copies(strategy: Strategy) -> None:
    """Forty items, each there three times: a batch of ten holds no item twice. Random draws are exempt."""
    if not strategy.needs & {"proba", "features"}:
        return
    base = np.random.default_rng(5).normal(size=(40, 6)) * 3
    view = made_view(120, features=np.tile(base, (3, 1)), n_labelled=6)
    found = _pick(strategy, view, 10).items % 40
    _expect(len(set(found.tolist())) == 10, f"ten different items; found copies in {sorted(found.tolist())}")
