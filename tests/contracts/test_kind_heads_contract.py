"""What the heads of question kinds keep, whose targets are a row of yes and no for each item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.making import head_class, load_head, make_head
from plumbline_backend.heads.program import arrays, run
from plumbline_backend.registry import KIND_HEADS


@pytest.fixture(params=KIND_HEADS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def head(name: str) -> Any:
    return make_head(name, {})


def rows(n: int = 90, d: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Items around three means, each with a yes to its own class and a no to the others."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return (draw.normal(size=(n, d)) + 5 * np.eye(3, d)[y]).astype(np.float32), np.eye(3, dtype=np.int64)[y]


def test_it_is_called_what_the_registry_calls_it_and_explains_itself(head: Any) -> None:
    assert head_class(head.name) is type(head)
    assert 40 < len(head.explanation) < 200
    assert head.explanation.endswith(".")
    assert {option.name for option in head.OPTIONS} <= set(head.SETTINGS)


def test_fit_learns_and_leaves_its_arguments_alone(head: Any) -> None:
    x, y = rows()
    kept = x.copy(), y.copy()
    assert head.fit(x, y, 3) is head
    new_x, new_y = rows(seed=1)
    assert (head.proba(new_x).argmax(axis=1) == new_y.argmax(axis=1)).mean() > 0.95
    assert head.width_ == 5
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_answers_are_probabilities_and_scores_have_a_row_for_each_item(head: Any) -> None:
    x, y = rows()
    head.fit(x, y, 3)
    proba, scores = head.proba(x), head.scores(x)
    assert proba.shape == (90, 3)
    assert ((proba >= 0) & (proba <= 1)).all()
    assert len(scores.top1) == len(scores.top2) == len(scores.entropy) == len(scores.argmax) == 90
    assert np.isfinite(scores.entropy).all()
    assert len(head.scores(x[:0]).top1) == 0


def test_it_is_its_program(head: Any) -> None:
    x, y = rows()
    head.fit(x, y, 3)
    np.testing.assert_allclose(run(head.program(), x), head.logits(x), atol=1e-9)
    assert all(np.isfinite(each).all() for each in arrays(head.program()).values())


def test_the_same_items_give_the_same_head(name: str) -> None:
    x, y = rows()
    one, two = (make_head(name, {"seed": 3}).fit(x, y, 3).logits(x) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_saved_and_loaded_it_is_the_same(head: Any, tmp_path: Path) -> None:
    x, y = rows()
    head.fit(x, y, 3).save(tmp_path)
    loaded = load_head(tmp_path)
    assert type(loaded) is type(head)
    np.testing.assert_array_equal(loaded.logits(x), head.logits(x))
    assert loaded.facts() == head.facts()


def test_a_warm_start_changes_the_time_only(name: str) -> None:
    x, y = rows()
    earlier = make_head(name, {}).fit(x[:60], y[:60], 3)
    warm = make_head(name, {}).fit(x, y, 3, warm_start=earlier)
    np.testing.assert_allclose(warm.proba(x), make_head(name, {}).fit(x, y, 3).proba(x), atol=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (x, y[:, :2]), "targets"),
        (lambda x, y: (x[:50], y), "targets"),
        (lambda x, y: (np.where(np.arange(5) == 2, np.nan, x), y), "NaN"),
        (lambda x, y: (x[:0], y[:0]), "expected at least one"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(head: Any, change: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        head.fit(*change(*rows()), 3)


def test_another_width_is_not_scored_and_an_unfitted_head_says_so(head: Any) -> None:
    x, y = rows()
    with pytest.raises(InputError, match="has not been fitted"):
        head.logits(x)
    with pytest.raises(InputError, match=r"expected \(n, 5\)"):
        head.fit(x, y, 3).logits(x[:, :4])
