"""The head over a tree learns leaves from coarse answers, and is measured at the depth of each answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import check_grad

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.tree_metrics import evaluate_tree
from plumbline_backend.heads import tree
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.making import load_head
from plumbline_backend.heads.tree import TreeSoftmax

# classes: 0 animal, 1 dog, 2 cat, 3 plant; leaves dog, cat, plant
LEAVES = np.array([[0, 1], [0, 2], [3, -1]])
NODES = np.array([[0, -1], [0, 1], [0, 2], [3, -1]])


def leaves_of(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three leaves around their corners in five columns."""
    draw = np.random.default_rng(seed)
    y = draw.integers(3, size=n)
    return (draw.normal(size=(n, 5)) + 2.0 * np.eye(3, 5)[y]).astype(np.float32), y


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_gradient_is_right():
    x, y = leaves_of(20)
    may = np.eye(3)[y]
    may[:8, :2] = 1
    share, ridge = np.full(20, 1 / 20), np.full(5, 0.1)
    at = rng().normal(size=3 * 6)
    args = (x.astype(float), may, share, ridge, 0.02)
    wrong = check_grad(lambda a: tree._objective(a, *args)[0], lambda a: tree._objective(a, *args)[1], at)
    assert wrong < 1e-5


def test_with_leaf_answers_it_is_a_softmax():
    x, y = leaves_of(400)
    ours, other = TreeSoftmax().fit(x, np.eye(3)[y], 3), LinearSoftmax().fit(x, y, 3)
    assert ours.converged_
    np.testing.assert_allclose(ours.proba(x), other.proba(x), atol=0.01)


def test_coarse_answers_teach_the_branch_and_fine_ones_the_leaves(tmp_path):
    """Ten fine answers and 300 coarse ones: the branch is known as from 310, the leaves no worse than from ten."""
    x, y = leaves_of(310)
    may = np.eye(3)[y]
    coarse = np.arange(310) >= 10
    may[coarse & (y < 2), :2] = 1
    new_x, new_y = leaves_of(2000, seed=5)

    def branch(head: TreeSoftmax) -> float:
        return float(((head.proba(new_x)[:, 2] > 0.5) == (new_y == 2)).mean())

    both = TreeSoftmax().fit(x, may, 3)
    fine = TreeSoftmax().fit(x[:10], may[:10], 3)
    assert both.n_coarse_ == int((coarse & (y < 2)).sum())
    assert branch(both) > branch(fine)
    assert (both.logits(new_x).argmax(axis=1) == new_y).mean() > (
        fine.logits(new_x).argmax(axis=1) == new_y
    ).mean()
    both.save(tmp_path)
    np.testing.assert_array_equal(load_head(tmp_path).logits(x), both.logits(x))
    assert TreeSoftmax().fit(x, may, 3, warm_start=both).n_iterations_ <= 3


def test_leaves_that_nobody_answered_share_their_branch():
    x, y = leaves_of(200)
    may = np.eye(3)[np.where(y == 2, 2, 0)]
    may[y < 2, :2] = 1  # dog and cat are only ever "animal"
    proba = TreeSoftmax().fit(x, may, 3).proba(x)
    np.testing.assert_allclose(proba[:, 0], proba[:, 1], atol=1e-3)
    assert (proba[y < 2, :2].sum(axis=1) > 0.5).mean() > 0.9


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.zeros((4, 2)), "an item that may be no leaf"),
        (np.full((4, 2), 0.5), "targets hold other values than 0 and 1"),
        (np.ones((4, 1)), r"expected \(n, d\) with d >= 1 and \(n, 2\)"),
    ],
)
def test_bad_targets(targets, message):
    with pytest.raises(InputError, match=message):
        TreeSoftmax().fit(np.eye(4), targets, 2)


def test_measures_hand_worked():
    # answers: dog, animal, plant, cat; predicted leaves: dog, cat, dog, dog
    answers = NODES[[1, 0, 3, 2]]
    proba = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.5, 0.1, 0.4], [0.6, 0.3, 0.1]])
    found = evaluate_tree(proba, LEAVES, answers, np.array([True, False, True, True]), 4, rng())
    assert (found.accuracy.value, found.accuracy.n) == (0.5, 4)  # dog, and animal, which holds the cat
    assert (found.leaves.value, found.leaves.n) == (pytest.approx(1 / 3), 3)
    assert [(d.value, d.n) for d in found.by_depth] == [(0.75, 4), (0.5, 2)]
    # -log of .7 (dog), .9 (animal: the sum), .4 (plant), .3 (cat)
    assert found.nll.value == pytest.approx(-np.log([0.7, 0.9, 0.4, 0.3]).mean())
    animal, dog, cat, plant = found.per_class
    assert (animal.n_true, animal.n_given, animal.recall.value) == (3, 4, 1.0)
    # of the item answered "animal" it is not known whether it is a dog: three items decide it, two of them put there
    assert (dog.n_true, dog.n_given, dog.precision.value) == (1, 3, pytest.approx(1 / 3))
    assert (cat.n_true, cat.n_given) == (1, 0)
    assert (plant.n_true, plant.n_given, plant.recall.value) == (1, 0, 0.0)


def test_nothing_known_is_unknown():
    found = evaluate_tree(np.empty((0, 3)), LEAVES, NODES[:0], np.empty(0, bool), 4, rng())
    assert math.isnan(found.accuracy.value)
    assert found.nll.n == 0
    with pytest.raises(InputError, match="probabilities have shape"):
        evaluate_tree(np.ones((2, 2)), LEAVES, NODES[:2], np.ones(2, bool), 4, rng())
