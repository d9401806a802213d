"""What each calibrator is for: a distortion that it undoes, what it says about itself, and its saved state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from plumbline_backend.calibrators.isotonic import Isotonic
from plumbline_backend.calibrators.matrix import MAX_CLASSES, Matrix
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.calibrators.vector import Vector
from plumbline_backend.registry import CALIBRATORS

NETWORKS = Path(__file__).parents[4] / "shared" / "data" / "network_probs"


def drawn(logits: np.ndarray, seed: int = 0) -> np.ndarray:
    """Answers that follow softmax(logits)."""
    chance = np.random.default_rng(seed).random((len(logits), 1))
    return (softmax(logits, axis=1).cumsum(axis=1) > chance).argmax(axis=1)


def nll(proba: np.ndarray, targets: np.ndarray) -> float:
    return float(-np.log(proba[np.arange(len(targets)), targets]).mean())


@pytest.fixture(params=CALIBRATORS.names())
def fitted(request: pytest.FixtureRequest) -> Any:
    true = np.random.default_rng(1).normal(scale=2, size=(500, 4))
    return CALIBRATORS.get(request.param)().fit(2.5 * true, drawn(true))


def test_a_saved_calibrator_answers_the_same(fitted: Any) -> None:
    unseen = np.random.default_rng(2).normal(scale=4, size=(50, 4))
    again = type(fitted).from_state(fitted.state())
    np.testing.assert_array_equal(again.proba(unseen), fitted.proba(unseen))
    assert all(isinstance(array, np.ndarray) for array in fitted.state().values())


def test_what_keeps_predictions_keeps_them(fitted: Any) -> None:
    unseen = np.random.default_rng(3).normal(scale=4, size=(500, 4))
    if not fitted.changes_predictions:
        np.testing.assert_array_equal(fitted.proba(unseen).argmax(axis=1), unseen.argmax(axis=1))


def test_an_unfitted_one_saves_as_the_softmax(fitted: Any) -> None:
    unseen = np.random.default_rng(3).normal(size=(5, 4))
    again = type(fitted).from_state({})
    np.testing.assert_allclose(again.proba(unseen), softmax(unseen, axis=1))


def test_vector_undoes_factors_and_offsets() -> None:
    """Class 2 is stated with its logit halved and shifted: temperature alone cannot mend that."""
    true = np.random.default_rng(4).normal(scale=2, size=(4000, 3))
    targets = drawn(true)
    stated = true * [1, 1, 0.5] + [0, 0, 1.5]
    half = slice(0, 2000), slice(2000, 4000)
    vector = Vector().fit(stated[half[0]], targets[half[0]])
    one = Temperature().fit(stated[half[0]], targets[half[0]])
    best = nll(softmax(true[half[1]], axis=1), targets[half[1]])
    assert nll(vector.proba(stated[half[1]]), targets[half[1]]) < best + 0.01
    assert nll(one.proba(stated[half[1]]), targets[half[1]]) > best + 0.03
    assert vector.changes_predictions


def test_matrix_undoes_a_mixture() -> None:
    true = np.random.default_rng(5).normal(scale=2, size=(4000, 3))
    mixed = true @ np.array([[1, 0.4, 0], [0, 1, 0.4], [0.4, 0, 1]])
    targets = drawn(true)
    found = Matrix().fit(mixed[:2000], targets[:2000])
    vector = Vector().fit(mixed[:2000], targets[:2000])
    assert nll(found.proba(mixed[2000:]), targets[2000:]) < nll(vector.proba(mixed[2000:]), targets[2000:])


def test_matrix_leaves_very_many_classes_and_says_so() -> None:
    logits = np.random.default_rng(0).normal(size=(120, MAX_CLASSES + 1))
    found = Matrix().fit(logits, np.arange(120))
    assert "matrix scaling takes at most 200" in found.note_
    np.testing.assert_allclose(found.proba(logits), softmax(logits, axis=1))


def test_isotonic_never_calls_an_answer_impossible_and_warns_of_rare_classes() -> None:
    """Class 2 has 5 items of 305."""
    draw = np.random.default_rng(6)
    targets = np.r_[draw.integers(2, size=300), np.full(5, 2)]
    logits = draw.normal(size=(305, 3)) + 4 * np.eye(3)[targets]
    found = Isotonic().fit(logits, targets)
    assert (found.proba(logits) > 0).all()
    assert "1 of 3 classes have fewer than 20 items (the fewest 5)" in found.note_


def test_vector_lowers_the_nll_of_a_real_network() -> None:
    """WideResNet on CIFAR-10: from .257 with a temperature to about .23 with vector scaling (5,000 against 5,000)."""
    path = NETWORKS / "wideresnet-16-4-cifar-10.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in shared/data/network_probs")
    data = np.load(path)
    logits = np.log(np.maximum(data["predictions"].astype(np.float64), np.finfo(np.float64).tiny))
    order, targets = np.random.default_rng(0).permutation(10_000), data["ground_truth"]
    fit, shown = order[:5000], order[5000:]
    scores = {
        name: nll(CALIBRATORS.get(name)().fit(logits[fit], targets[fit]).proba(logits[shown]), targets[shown])
        for name in ("temperature", "vector")
    }
    assert scores["temperature"] == pytest.approx(0.2571, abs=0.02)
    assert scores["vector"] < scores["temperature"] - 0.015
