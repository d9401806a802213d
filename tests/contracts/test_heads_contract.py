"""What every head in the registry keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.registry import HEADS


@pytest.fixture(params=HEADS.names())
def head(request: pytest.FixtureRequest) -> Any:
    return HEADS.get(request.param)()


def labelled(n: int = 120, d: int = 5, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    y = np.r_[np.arange(k), draw.integers(k, size=n - k)]
    return (draw.normal(size=(n, d)) + 3 * np.eye(k, d)[y]).astype(np.float32), y


def test_it_is_called_what_the_registry_calls_it(head: Any) -> None:
    assert HEADS.get(head.name) is type(head)


def test_fit_returns_the_head_and_learns(head: Any) -> None:
    x, y = labelled()
    assert head.fit(x, y, 3) is head
    assert (head.proba(x).argmax(axis=1) == y).mean() > 0.9


def test_proba_are_probabilities(head: Any) -> None:
    x, y = labelled()
    proba = head.fit(x, y, 3).proba(x)
    assert proba.shape == (120, 3)
    assert proba.dtype == np.float64
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_proba_are_the_softmax_of_logits_over_temperature(head: Any) -> None:
    x, y = labelled()
    logits = head.fit(x, y, 3).logits(x) / 2.5
    expected = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(head.proba(x, temperature=2.5), expected)


def test_scores_agree_with_proba(head: Any) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    proba, scores = head.proba(x, 1.3), head.scores(x, 1.3)
    ordered = np.sort(proba, axis=1)
    np.testing.assert_allclose(scores.top1, ordered[:, -1], atol=1e-5)
    np.testing.assert_allclose(scores.top2, ordered[:, -2], atol=1e-5)
    np.testing.assert_allclose(scores.entropy, -(proba * np.log(proba)).sum(axis=1), atol=1e-4)
    np.testing.assert_array_equal(scores.argmax, proba.argmax(axis=1))


def test_the_same_items_give_the_same_head(head: Any) -> None:
    x, y = labelled()
    one, two = (type(head)().fit(x, y, 3).logits(x) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_arguments_are_unchanged(head: Any) -> None:
    x, y = labelled()
    weight = np.linspace(0, 1, len(y))
    kept = x.copy(), y.copy(), weight.copy()
    head.fit(x, y, 3, sample_weight=weight)
    head.scores(x)
    for now, before in zip((x, y, weight), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_read_only_and_strided_features_serve(head: Any) -> None:
    x, y = labelled()
    wide = np.repeat(x, 2, axis=1)
    wide.flags.writeable = False
    other = type(head)().fit(x, y, 3)
    np.testing.assert_allclose(head.fit(wide[:, ::2], y, 3).logits(x), other.logits(x), atol=1e-6)
    np.testing.assert_allclose(head.scores(wide[:, ::2]).top1, other.scores(x).top1, atol=1e-6)


def test_asking_changes_nothing(head: Any) -> None:
    x, y = labelled()
    before = head.fit(x, y, 3).logits(x)
    head.scores(x, 2.0)
    head.proba(x, 0.5)
    np.testing.assert_array_equal(head.logits(x), before)


def test_saved_and_loaded_it_is_the_same(head: Any, tmp_path: Path) -> None:
    x, y = labelled()
    head.fit(x, y, 3).save(tmp_path)
    loaded = type(head).load(tmp_path)
    np.testing.assert_array_equal(loaded.logits(x), head.logits(x))
    np.testing.assert_array_equal(loaded.scores(x).top1, head.scores(x).top1)
    assert {name: value for name, value in vars(loaded).items() if not isinstance(value, np.ndarray)} == {
        name: value for name, value in vars(head).items() if not isinstance(value, np.ndarray)
    }


def test_an_empty_pool_has_empty_scores(head: Any) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    assert head.proba(x[:0]).shape == (0, 3)
    assert len(head.scores(x[:0])) == 0


def test_a_class_without_items_keeps_a_small_probability(head: Any) -> None:
    x, y = labelled()
    proba = head.fit(x, np.where(y == 2, 3, y), 5).proba(x)
    assert np.isfinite(proba).all()
    assert (proba[:, [2, 4]] > 0).all()
    assert (proba[:, [2, 4]].mean(axis=0) < 0.05).all()


def test_a_warm_start_gives_the_same_head(head: Any) -> None:
    x, y = labelled()
    earlier = type(head)().fit(x[:60], y[:60], 3)
    warm = head.fit(x, y, 3, warm_start=earlier)
    np.testing.assert_allclose(warm.proba(x), type(head)().fit(x, y, 3).proba(x), atol=2e-3)


def test_a_weight_of_zero_leaves_an_item_out(head: Any) -> None:
    x, y = labelled()
    weight = (np.arange(len(y)) < 80).astype(float)
    fewer = type(head)().fit(x[:80], y[:80], 3)
    np.testing.assert_allclose(head.fit(x, y, 3, sample_weight=weight).proba(x), fewer.proba(x), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, np.zeros_like(y), 3), "expected at least two different ones"),
        (lambda x, y: (x[:0], y[:0], 3), "expected at least two different ones"),
        (lambda x, y: (np.where(x == x.max(), np.nan, x), y, 3), "NaN"),
        (lambda x, y: (np.where(x == x.max(), np.inf, x), y, 3), "infinite"),
        (lambda x, y: (x[:-1], y, 3), "shape"),
        (lambda x, y: (x, y, 2), "expected a class from 0 to 1"),
        (lambda x, y: (x, y - 1, 3), "expected a class from 0 to 2"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(head: Any, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        head.fit(*change(*labelled()))


def test_another_width_or_nan_is_not_scored(head: Any) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    for ask in (head.logits, head.proba, head.scores):
        with pytest.raises(InputError, match=r"features have shape \(120, 4\); expected \(n, 5\)"):
            ask(x[:, :4])
    with pytest.raises(InputError, match="features hold NaN or infinite values"):
        head.scores(np.full((2, 5), np.nan, dtype=np.float32))


def test_an_unfitted_head_says_so(head: Any) -> None:
    with pytest.raises(InputError, match="call fit first"):
        head.proba(np.zeros((1, 5)))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_temperatures_are_refused(head: Any, temperature: float) -> None:
    x, y = labelled()
    head.fit(x, y, 3)
    for ask in (head.proba, head.scores):
        with pytest.raises(InputError, match="expected a finite number above zero"):
            ask(x, temperature)
