"""What every query strategy in the registry keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.selection import PoolScores, rank
from plumbline_backend.registry import STRATEGIES


@pytest.fixture(params=STRATEGIES.names())
def strategy(request: pytest.FixtureRequest) -> Any:
    return STRATEGIES.get(request.param)()


def scores_of(proba: np.ndarray, dtype: type = np.float32) -> PoolScores:
    top = np.sort(proba, axis=1)[:, ::-1]
    logs = np.log(np.maximum(proba, 1e-300))
    second = top[:, 1] if proba.shape[1] > 1 else np.zeros(len(proba))
    entropy = -(proba * logs).sum(axis=1)
    return PoolScores(
        top[:, 0].astype(dtype), second.astype(dtype), entropy.astype(dtype), proba.argmax(axis=1)
    )


def drawn(n: int, k: int = 5) -> PoolScores:
    return scores_of(np.random.default_rng(0).dirichlet(np.ones(k), size=n))


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_it_is_called_what_the_registry_calls_it(strategy: Any) -> None:
    assert STRATEGIES.get(strategy.name) is type(strategy)


def test_it_explains_itself_in_one_sentence(strategy: Any) -> None:
    assert strategy.explanation.endswith(".")
    assert strategy.explanation.count(".") == 1
    assert 20 < len(strategy.explanation) < 120


def test_it_says_what_it_needs(strategy: Any) -> None:
    assert strategy.needs <= {"proba", "features", "gradients", "committee"}


@pytest.mark.parametrize("n", [0, 1, 50])
def test_one_finite_utility_per_item(strategy: Any, n: int) -> None:
    utility = strategy.utility(drawn(n), rng())
    assert utility.shape == (n,)
    assert np.isfinite(utility).all()


def test_the_rng_alone_decides(strategy: Any) -> None:
    one, two = (strategy.utility(drawn(40), rng()) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_the_scores_are_unchanged_and_not_shared(strategy: Any) -> None:
    scores = drawn(40)
    before = [getattr(scores, name).copy() for name in ("top1", "top2", "entropy", "argmax")]
    utility = strategy.utility(scores, rng())
    utility += 1
    for name, kept in zip(("top1", "top2", "entropy", "argmax"), before, strict=True):
        np.testing.assert_array_equal(getattr(scores, name), kept)


def test_read_only_scores_are_enough(strategy: Any) -> None:
    scores = drawn(40)
    for name in ("top1", "top2", "entropy", "argmax"):
        getattr(scores, name).flags.writeable = False
    assert len(strategy.utility(scores, rng())) == 40


def test_an_even_item_is_asked_before_a_certain_one(strategy: Any) -> None:
    if not strategy.needs:
        pytest.skip(f"{strategy.name} does not look at the model")
    scores = scores_of(np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.9, 0.1, 0.0]]))
    assert rank(strategy.utility(scores, rng()), None, 3, rng()).tolist() == [1, 2, 0]


def test_without_a_model_it_asks_nothing_or_needs_none(strategy: Any) -> None:
    utility = strategy.utility(PoolScores.unknown(30), rng())
    asked = rank(utility, None, 30, rng())
    assert len(asked) == (0 if strategy.needs else 30)


def test_unscored_items_never_win(strategy: Any) -> None:
    if not strategy.needs:
        pytest.skip(f"{strategy.name} does not look at the model")
    scores = PoolScores.concatenate([drawn(10), PoolScores.unknown(10)])
    assert sorted(rank(strategy.utility(scores, rng()), None, 20, rng())) == list(range(10))


def test_a_single_class_leaves_all_items_equal(strategy: Any) -> None:
    scores = scores_of(np.ones((25, 1)))
    utility = strategy.utility(scores, rng())
    assert np.isfinite(utility).all()
    if strategy.needs:
        assert len(np.unique(utility)) == 1


def test_equal_items_are_asked_in_random_order(strategy: Any) -> None:
    """30 equal items: two generators agree on all of 30 places with probability 1 / 30!."""
    scores = scores_of(np.full((30, 4), 0.25))
    orders = [
        rank(strategy.utility(scores, rng()), None, 30, np.random.default_rng(seed)).tolist()
        for seed in (1, 2)
    ]
    if strategy.needs:
        assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(30))


def test_float64_scores_serve_too(strategy: Any) -> None:
    proba = np.random.default_rng(1).dirichlet(np.ones(3), size=20)
    single, double = (strategy.utility(scores_of(proba, dtype), rng()) for dtype in (np.float32, np.float64))
    np.testing.assert_allclose(single, double, atol=1e-6)
