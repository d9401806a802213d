"""What every query strategy in the registry keeps: the suite that plug-ins are checked with, and what is ours only."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.asking import NEEDS, ArrayRows, Labelled, PoolView
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.registry import STRATEGIES
from plumbline_backend.strategies.base import ask
from plumbline_backend.strategies.contract import Check, LinearProba, checks, made_view, scores_of


@pytest.fixture(params=STRATEGIES.names())
def strategy(request: pytest.FixtureRequest) -> Any:
    return STRATEGIES.get(request.param)()


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("check", list(checks()), ids=lambda check: check.name)
def test_contract(strategy: Any, check: Check) -> None:
    check.run(strategy)


def test_it_is_called_what_the_registry_calls_it(strategy: Any) -> None:
    assert STRATEGIES.get(strategy.name) is type(strategy)


def test_it_explains_itself_in_one_sentence(strategy: Any) -> None:
    assert strategy.explanation.endswith(".")
    assert strategy.explanation.count(".") == 1
    assert 20 < len(strategy.explanation) < 120


def test_it_says_what_it_needs_and_why_it_asks(strategy: Any) -> None:
    assert strategy.needs <= set(NEEDS)
    why = ask(strategy, made_view(), 3, rng()).why
    assert 10 < len(why) < 120
    assert not why.endswith(".")


def test_equal_items_are_asked_in_random_order(strategy: Any) -> None:
    """60 equal items, of which two generators draw the same ten in the same order with probability below 1e-17."""
    view = replace(made_view(60, features=np.ones((60, 6))), candidates=np.ones(60, dtype=bool))
    orders = [ask(strategy, view, 10, rng(seed)).items.tolist() for seed in (1, 2)]
    assert orders[0] != orders[1]


def test_two_hundred_classes_and_few_labels_serve(strategy: Any) -> None:
    draw = rng()
    x = draw.normal(size=(500, 8)).astype(np.float32)
    proba = LinearProba(200)
    view = replace(
        made_view(500, 3, features=x),
        scores=scores_of(proba(x)),
        proba=proba,
        committee=lambda: [proba, LinearProba(200, 1.0)],
        labelled=Labelled(np.arange(3), np.array([0, 7, 199]), 200),
    )
    assert len(ask(strategy, view, 50, draw).items) == 50


def test_memory_is_bounded(strategy: Any) -> None:
    """60,000 items x 16 features, where a matrix of all pairs would take 14 GB: at most 250 MiB beyond the pool."""
    n = 60_000
    x = rng().normal(size=(n, 16)).astype(np.float32)
    proba = LinearProba(5)
    view = PoolView(
        np.ones(n, dtype=bool),
        scores=scores_of(proba(x)),
        features=ArrayRows(x),
        labelled=Labelled(np.arange(100), np.arange(100) % 5, 5),
        proba=proba,
        committee=lambda: [proba, LinearProba(5, 1.0)],
        descriptions=made_view(20, 5).descriptions,
    )
    view = replace(
        view, descriptions=None if view.descriptions is None else view.descriptions._replace(stop=6)
    )
    tracemalloc.start()
    found = ask(strategy, view, 10, rng()).items
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 10
    assert peak < 250 * 2**20


def test_float64_scores_serve_too(strategy: Any) -> None:
    view = made_view()
    scores = view.the_scores()
    double = PoolScores(
        *(getattr(scores, name).astype(float) for name in ("top1", "top2", "entropy")), scores.argmax
    )
    one, two = (ask(strategy, replace(view, scores=each), 10, rng()).utility for each in (scores, double))
    np.testing.assert_allclose(one, two, atol=1e-5)
