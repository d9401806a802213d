"""Weights and targets that a recipe makes of labels, and where its material comes from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.nearest_mean import NearestMean
from plumbline_backend.training.doubt import doubt_weights, shape_weights, trusted_weights
from plumbline_backend.training.gather import _aggregated, _taught, probability_columns
from plumbline_backend.training.prepare import Material, important, mixed, prepare
from plumbline_backend.training.recipe import Recipe


def flipped(share: float = 0.3, n: int = 400, d: int = 12, k: int = 4) -> tuple[np.ndarray, ...]:
    """(features, right labels, given labels, which are trusted): a share of the labels is wrong."""
    draw = np.random.default_rng(0)
    y = np.arange(n) % k
    x = (draw.normal(size=(n, d)) + 4.5 * np.eye(k, d)[y]).astype(np.float32)
    given = y.copy()
    wrong = draw.permutation(n)[: int(share * n)]
    given[wrong] = (y[wrong] + draw.integers(1, k, len(wrong))) % k
    trusted = (given == y) & (draw.random(n) < 0.2)
    return x, y, given, trusted


@pytest.mark.parametrize("how", ["margins", "trusted", "shapes"])
def test_wrong_labels_weigh_less(how: str) -> None:
    x, y, given, trusted = flipped()
    weight = doubt_weights(how, x, given, 4, trusted, np.random.default_rng(0))
    assert ((weight >= 0.02) & (weight <= 1)).all()
    assert (weight[trusted] == 1).all()
    assert weight[given == y].mean() > weight[given != y].mean() + 0.15
    test_x, test_y, _, _ = flipped(share=0.0, n=2000)
    plain, robust = (
        (LinearSoftmax().fit(x, given, 4, w).logits(test_x).argmax(axis=1) == test_y).mean()
        for w in (None, weight)
    )
    assert robust > plain - 0.01


def test_no_doubt_weighs_nothing_down() -> None:
    x, _, given, trusted = flipped()
    assert (doubt_weights("none", x, given, 4, trusted, np.random.default_rng(0)) == 1).all()


def test_too_few_trusted_labels_are_refused() -> None:
    x, _, given, trusted = flipped()
    trusted[np.flatnonzero(trusted)[9:]] = False
    with pytest.raises(InputError, match=r"9 labels were settled by two or more people; .* needs 10"):
        trusted_weights(x, given, 4, trusted)


def test_the_shape_of_a_class_by_hand() -> None:
    """Distances 1, 1, 1, 1, 1 and 100 times as far: the last one is an outlier; a class of two borrows the shape."""
    x = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1], [0.7, 0.7], [100, 100], [50, 0], [51, 0]])
    weight = shape_weights(x, np.array([0, 0, 0, 0, 0, 0, 1, 1]), 2)
    assert weight[5] < 0.1
    assert (weight[:5] > 0.9).all()
    assert (weight[6:] > 0.9).all()
    assert (shape_weights(x[:4], np.array([0, 0, 1, 1]), 2) == 1).all()


def test_label_and_shares_are_mixed_by_hand() -> None:
    """Half of (3, 1, 0) / 4 and half of class 1; a row without shares is its label."""
    found = mixed(np.array([1, 2]), np.array([[3.0, 1, 0], [0, 0, 0]]), 3, 0.5)
    np.testing.assert_allclose(found, [[0.375, 0.625, 0], [0, 0, 1]])
    with pytest.raises(
        InputError, match=r"soft labels of 2 items and 100,000,000 classes would take .* learn one"
    ):
        mixed(np.array([1, 2]), np.zeros((2, 3)), 100_000_000, 0.5)


def test_a_recipe_of_everything() -> None:
    x, _, given, trusted = flipped()
    shares = np.tile([0.0, 0, 0, 1], (400, 1))
    material = Material(shares, trusted, np.arange(400) % 3)
    recipe = Recipe(doubt="margins", soft="teacher", soft_loss="nkd", soft_share=1.0, domain="where")
    ready = prepare(recipe, x, given, np.full(400, 2.0), 4, material, np.random.default_rng(0))
    np.testing.assert_array_equal(ready.targets.argmax(axis=1), given)  # the label stays the largest share
    assert ready.targets[given == 0, 3].max() == pytest.approx(0.49)
    assert ready.weights is not None
    assert ready.weights.max() == 2.0
    assert ready.facts["n_labels"] == 400
    assert 60 < ready.facts["n_doubted"] < 180
    assert ready.facts["n_groups"] == 3
    np.testing.assert_array_equal(ready.known["domains"], np.arange(400) % 3)
    plain = prepare(Recipe(), x, given, None, 4, material, np.random.default_rng(0))
    assert plain.targets is given
    assert (plain.weights, plain.known, plain.facts) == (None, {}, {})


def test_columns_of_a_judge_are_found_by_their_names() -> None:
    columns = ["key", "text", "p_cat", "p_dog", "cat", "q_cat"]
    assert probability_columns(columns, ["cat", "dog"]) == ["p_cat", "p_dog"]
    assert probability_columns(columns, ["dog", "cat"]) == ["p_dog", "p_cat"]
    assert probability_columns(columns, ["cat", "cow"]) is None


def test_a_teacher_says_nothing_of_classes_that_it_does_not_know(tmp_path: Path) -> None:
    x, y, _, _ = flipped(share=0.0)
    known = y < 2
    folder = tmp_path / "v1"
    folder.mkdir()
    NearestMean().fit(x[known], y[known], 2).save(folder)
    described = {"classes": ["b", "a"], "metrics": {"temperature": 1.0}}
    (folder / "model.json").write_text(json.dumps(described))
    spec = {"models": str(tmp_path), "teacher": "v1", "classes": ["a", "b", "c"]}
    shares = _taught(spec, x[:8])
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert (shares[:, 2] == 0).all()
    assert shares[0].argmax() == 1  # the teacher's first class is called b
    with pytest.raises(InputError, match="trained on 12 features; expected 3"):
        _taught(spec, x[:8, :3])
    assert (_taught({**spec, "teacher": None}, x[:8]) == 0).all()


@pytest.mark.parametrize("measure", ["el2n", "grand"])
def test_the_easiest_labels_of_each_class_are_left_out(measure: str) -> None:
    """A quarter of each class's 100 labels: 25; what is left out is easier, and wrong labels are hard."""
    x, y, given, _ = flipped(share=0.1)
    kept = important(measure, 0.25, x, given, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(
        np.bincount(given[~kept], minlength=4), np.bincount(given, minlength=4) // 4
    )
    assert (given == y)[~kept].mean() > 0.99
    single = important(measure, 0.9, x[:3], np.array([0, 1, 2]), 3, np.random.default_rng(0))
    assert single.all()


def test_pruned_labels_weigh_nothing_and_are_counted() -> None:
    x, _, given, trusted = flipped()
    material = Material(None, trusted, None)
    weights = np.full(len(given), 2.0)
    recipe = Recipe(prune="grand", prune_share=0.5)
    ready = prepare(recipe, x, given, weights, 4, material, np.random.default_rng(0))
    assert ready.weights is not None
    assert set(np.unique(ready.weights)) == {0.0, 2.0}
    assert ready.facts == {"n_pruned": int((ready.weights == 0).sum())}
    assert 190 <= ready.facts["n_pruned"] <= 200


def test_put_together_answers_trust_who_is_right() -> None:
    """Ann and Bob agree on items 0 to 19 and Cem says the next class: where only Ann and Cem answered, Ann counts.

    Items nobody answered have no share, and one person alone is refused.
    """
    ratings = [[i, who, (i + shift) % 3] for i in range(20) for who, shift in ((5, 0), (6, 0), (9, 1))]
    ratings += [[30, 5, 2], [30, 9, 0]]
    for method in ("dawid_skene", "mace"):
        shares = _aggregated(method, ratings, np.array([30, 31, 0]), 3)
        assert shares[0].argmax() == 2
        assert shares[0, 2] > 0.9
        assert shares[1].sum() == 0
        np.testing.assert_allclose(shares[[0, 2]].sum(axis=1), 1)
    with pytest.raises(InputError, match="soft labels by glad: 1 people answered; expected at least two"):
        _aggregated("glad", [[0, 5, 1]], np.array([0]), 3)
