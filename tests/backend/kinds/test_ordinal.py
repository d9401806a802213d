"""The head of ordered levels, and how far a rating is from people's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.ordinal_metrics import evaluate_levels
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.making import load_head
from plumbline_backend.heads.ordinal import Ordinal


def rated(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Five levels along one direction of six columns, with noise."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, 6)).astype(np.float32)
    along = x @ np.array([1.5, -1.0, 0.5, 0.0, 0.0, 0.0]) + draw.normal(size=n)
    return x, np.searchsorted([-2.0, -0.7, 0.7, 2.0], along)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_with_few_labels_it_is_nearer_than_a_softmax():
    new_x, new_y = rated(3000, seed=99)
    gains = []
    for seed in range(5):
        x, y = rated(40, seed)
        far = [
            np.abs(h.fit(x, y, 5).logits(new_x).argmax(axis=1) - new_y).mean()
            for h in (LinearSoftmax(), Ordinal())
        ]
        gains.append(far[0] - far[1])
    assert np.mean(gains) > 0.05


def test_it_is_at_the_minimum_and_levels_are_steps_along_one_direction():
    x, y = rated(300)
    head = Ordinal(softness=0.0, tolerance=1e-9).fit(x, y, 5)
    assert head.converged_
    weight = head.program()[0].weight
    np.testing.assert_allclose(np.diff(weight, axis=0), np.tile(head.direction_, (4, 1)), atol=1e-12)
    # at the minimum the expected level, weighted by each column, is the answered one but for the ridge's pull
    residual = head.proba(x) @ np.arange(5) - y
    np.testing.assert_allclose(x.astype(float).T @ residual, -head.direction_, atol=0.05)


def test_a_level_without_items_is_unlikely_and_finite(tmp_path):
    x, y = rated(100)
    y = np.where(y == 2, 3, y)
    head = Ordinal(softness=0.0).fit(x, y, 5)
    assert np.isfinite(head.bias_).all()
    assert head.proba(x)[:, 2].mean() < 0.05
    head.save(tmp_path)
    np.testing.assert_array_equal(load_head(tmp_path).logits(x), head.logits(x))
    assert Ordinal(softness=0.0).fit(x, y, 5, warm_start=head).n_iterations_ <= 2


def test_bad_settings():
    with pytest.raises(InputError, match="l2 is -1; expected a finite number, zero or more; softness is nan"):
        Ordinal(l2=-1, softness=float("nan"))


def test_distances_hand_worked_and_kappa_as_scikit_learns():
    predicted, truth = np.array([0, 1, 2, 2, 4]), np.array([0, 2, 2, 0, 3])
    found = evaluate_levels(predicted, truth, 5, rng())
    assert found.mae.value == pytest.approx(4 / 5)  # 0, 1, 0, 2, 1
    assert (found.within_one.value, found.within_one.n) == (pytest.approx(4 / 5), 5)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(truth, predicted, weights="quadratic"))
    for figure in found:
        assert figure.low <= figure.value <= figure.high


def test_unknown_is_unknown_and_perfection_of_few_is_not_certainty():
    none = evaluate_levels(np.empty(0, int), np.empty(0, int), 5, rng())
    assert all(math.isnan(figure.value) and figure.n == 0 for figure in none)
    right = evaluate_levels(np.arange(4), np.arange(4), 4, rng())
    assert (right.mae.value, right.kappa.value) == (0, pytest.approx(1))
    assert right.mae.high > 0.5
    assert right.kappa.low < 0.5
    assert math.isnan(evaluate_levels(np.zeros(5, int), np.zeros(5, int), 4, rng()).kappa.value)
    with pytest.raises(InputError, match="levels lie in 0 to 7; expected 0 to 4"):
        evaluate_levels(np.array([7]), np.array([0]), 5, rng())
