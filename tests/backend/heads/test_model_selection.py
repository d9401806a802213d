"""Cross-validation says which head suits, with intervals, and in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.model_selection import (
    FOLDS,
    Candidate,
    HeadResult,
    _as_json,
    balanced,
    chosen,
    cross_validated,
    folds,
    from_json,
)
from plumbline_backend.training.prepare import Material
from plumbline_backend.training.recipe import Recipe


def plain(head: str, **recipe: object) -> Candidate:
    return Candidate(head, head, {}, Recipe.parse(recipe))


def ring(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 all around class 0: no straight border separates them."""
    draw = np.random.default_rng(0)
    y = np.arange(n) % 2
    angle, radius = draw.uniform(0, 2 * np.pi, n), np.where(y, 3.0, 0.7) + draw.normal(size=n) * 0.3
    return np.c_[radius * np.cos(angle), radius * np.sin(angle)].astype(np.float32), y


def test_the_head_that_can_bend_wins_on_a_ring() -> None:
    x, y = ring()
    results = cross_validated(
        x, y, 2, [plain("linear_softmax"), plain("k_nearest")], {}, np.random.default_rng(0)
    )
    linear, near = results
    assert near.accuracy.value > 0.95 > 0.75 > linear.accuracy.value
    assert near.accuracy.n == 300
    comparison = chosen(results)
    assert comparison.best == "k_nearest"
    assert "of 300 held-out labels, more than any other head within its uncertainty." in comparison.why
    stored = json.loads(json.dumps({"results": [_as_json(r) for r in results]}))
    assert repr(from_json(stored)) == repr(comparison)  # unknown figures are NaN, which equals nothing


def test_among_heads_that_are_not_clearly_different_the_least_surprised_is_taken() -> None:
    def result(name: str, right: int, surprise: float) -> HeadResult:
        return HeadResult(name, wilson(right, 100), wilson(0, 0), wilson(0, 0), surprise, 1.0, "")

    comparison = chosen([result("a", 90, 0.9), result("b", 88, 0.3), result("c", 50, 0.1)])
    assert comparison.best == "b"
    assert "1 other head is not clearly worse or better" in comparison.why
    assert "(log-loss 0.30)" in comparison.why


def test_old_and_new_classes_are_counted_apart() -> None:
    draw = np.random.default_rng(0)
    y = np.r_[np.repeat([0, 1], 40), np.repeat(2, 5)]
    x = (draw.normal(size=(85, 3)) + 6 * np.eye(3)[y]).astype(np.float32)
    (result,) = cross_validated(x, y, 3, [plain("teen")], {}, draw)
    assert (result.old.n, result.new.n, result.accuracy.n) == (80, 5, 85)
    (none,) = cross_validated(x[:80], y[:80], 3, [plain("teen")], {}, draw)
    assert (none.old.n, none.new.n) == (0, 0)


def test_a_head_that_cannot_be_trained_says_why() -> None:
    x, y = ring(40)
    (refused,) = cross_validated(x, y, 2, [plain("semantic")], {}, np.random.default_rng(0))
    assert "needs class_texts" in refused.refused
    assert chosen([refused]).why == "No head can be trained on these labels."


def test_folds_deal_every_class_out_evenly() -> None:
    y = np.repeat(np.arange(3), (10, 7, 1))
    fold = folds(y, np.random.default_rng(0))
    assert np.bincount(fold[y == 0], minlength=FOLDS).tolist() == [2] * FOLDS
    assert np.bincount(fold, minlength=FOLDS).max() - np.bincount(fold, minlength=FOLDS).min() <= 1


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(InputError, match="9 labels of 2 classes; a comparison needs 10 labels"):
        cross_validated(np.zeros((9, 2)), np.arange(9) % 2, 2, [], {}, np.random.default_rng(0))


def test_balanced_accuracy_by_hand() -> None:
    """Recalls 3/4 and 1/1: mean .875. Variances (4/6)(2/6)/4 and (2/3)(1/3)/1, over 2 classes: 1.96 sqrt(.2778) / 2."""
    found = balanced(np.array([True, True, True, False, True]), np.array([0, 0, 0, 0, 7]))
    assert found.value == 0.875
    assert found.low == pytest.approx(0.875 - 1.96 * np.sqrt(0.0555556 + 0.2222222) / 2, abs=1e-6)
    assert (found.high, found.n) == (1.0, 5)


def test_a_recipe_for_rare_classes_is_pointed_out_and_only_training_rows_are_weighed() -> None:
    """Twenty of one class among 400: logit adjustment finds more of the average class and costs accuracy."""
    draw = np.random.default_rng(0)
    y = (np.arange(420) >= 400).astype(np.int64)
    x = (draw.normal(size=(420, 2)) + 1.5 * y[:, None]).astype(np.float32)
    seen: list[Recipe] = []

    def material_of(recipe: Recipe) -> Material:
        seen.append(recipe)
        return Material(None, np.zeros(420, dtype=bool), None)

    candidates = [plain("linear_softmax"), plain("linear_softmax", class_prior=1.0)._replace(name="adjusted")]
    results = cross_validated(x, y, 2, candidates, {}, draw, None, material_of)
    assert [recipe.class_prior for recipe in seen] == [1.0]
    assert results[1].balanced.low > results[0].balanced.value
    assert results[0].accuracy.value > results[1].accuracy.value
    why = chosen(results).why
    assert "Averaged over the classes, adjusted finds more: " in why


def test_a_recipe_that_a_head_cannot_follow_is_noted() -> None:
    x, y = ring(40)
    (refused,) = cross_validated(x, y, 2, [plain("lda", class_prior=1.0)], {}, np.random.default_rng(0))
    assert "cannot allow for how frequent classes are" in refused.refused
