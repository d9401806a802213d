"""Temperature scaling: worked optimum, honest cross-fitting, and published networks' figures."""

from __future__ import annotations

from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from plumbline_backend.calibrators.temperature import HIGH, LOW, Temperature
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.metrics import evaluate

NETWORKS = Path(__file__).resolve().parents[4] / "shared" / "data" / "network_probs"


def logits_of(n: int, k: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose true temperature is known: answers are drawn from softmax(logits / temperature)."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(scale=3, size=(n, k))
    proba = softmax(logits / temperature, axis=1)
    return logits, (proba.cumsum(axis=1) > draw.random((n, 1))).argmax(axis=1)


def test_two_classes_by_hand() -> None:
    """1,000 items with logits (0, 2), 750 of class 1: sigmoid(2 / T) = 3/4 gives 2 / T = log 3, T = 1.8205.

    The prior pulls log T = 0.599 towards 0 with slope 0.599; the likelihood's curvature in log T is
    1000 p q (2 / T)^2 = 1000 * 3/16 * 1.2069 = 226, so T falls by 1.8205 * 0.599 / 227 = 0.0048.
    """
    logits = np.tile([0.0, 2.0], (1000, 1))
    found = Temperature().fit(logits, np.r_[np.ones(750, int), np.zeros(250, int)])
    assert found.temperature_ == pytest.approx(2 / log(3) - 0.0048, abs=2e-4)
    assert found.n_ == 1000
    assert found.note_ == ""


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_true_temperature_is_found(temperature: float) -> None:
    logits, targets = logits_of(20_000, 5, temperature, seed=1)
    assert Temperature().fit(logits, targets).temperature_ == pytest.approx(temperature, rel=0.03)


@given(seed=st.integers(0, 200), n=st.integers(20, 80), k=st.integers(2, 6), scale=st.floats(0.05, 30))
def test_no_other_temperature_has_a_lower_objective(seed: int, n: int, k: int, scale: float) -> None:
    draw = np.random.default_rng(seed)
    logits, targets = draw.normal(scale=scale, size=(n, k)), draw.integers(k, size=n)

    def objective(t: float) -> float:
        log_proba = logits / t - np.logaddexp.reduce(logits / t, axis=1, keepdims=True)
        return float(-log_proba[np.arange(n), targets].sum() + log(t) ** 2 / 2)

    best = Temperature().fit(logits, targets).temperature_
    assert all(objective(best) <= objective(t) + 1e-6 for t in np.geomspace(LOW, HIGH, 200))


@given(seed=st.integers(0, 50), t=st.floats(0.06, 19))
def test_the_predicted_class_never_changes(seed: int, t: float) -> None:
    calibrator = Temperature()
    calibrator.temperature_ = t
    logits = np.random.default_rng(seed).normal(size=(30, 4))
    proba = calibrator.proba(logits)
    np.testing.assert_array_equal(proba.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_all_right_does_not_mean_certain() -> None:
    """The likelihood alone would send T to its bound. Margin 1, n = 40: slope 40 q / T = -log T."""
    logits = np.tile([1.0, 0.0], (40, 1))
    t = Temperature().fit(logits, np.zeros(40, int)).temperature_
    q = 1 / (1 + np.exp(1 / t))
    assert LOW < t < 1
    assert 40 * q / t == pytest.approx(-log(t), rel=1e-6)


def test_hopeless_logits_reach_the_upper_bound() -> None:
    logits = np.tile([50.0, -50.0], (200, 1))
    assert Temperature().fit(logits, np.ones(200, int)).temperature_ == HIGH


def test_too_few_items_change_nothing_and_say_so() -> None:
    logits, targets = logits_of(7, 3, 4.0, seed=2)
    found = Temperature(min_items=20).fit(logits, targets)
    assert found.temperature_ == 1.0
    assert found.note_ == "7 of the 20 stream answers needed: probabilities are the head's own"
    np.testing.assert_allclose(found.proba(logits), softmax(logits, axis=1))


def test_cross_fitting_never_uses_an_items_own_answer() -> None:
    """Changing one answer changes the probabilities of other folds, never of its own item."""
    logits, targets = logits_of(60, 3, 2.0, seed=3)
    changed = targets.copy()
    changed[11] = (changed[11] + 1) % 3
    before, after = (
        Temperature().cross_fitted(logits, answers, 5, np.random.default_rng(0))
        for answers in (targets, changed)
    )
    np.testing.assert_array_equal(before[11], after[11])
    assert (np.abs(before - after).max(axis=1) > 0).sum() == 48


def test_cross_fitting_leaves_the_calibrator() -> None:
    logits, targets = logits_of(60, 3, 2.0, seed=3)
    calibrator = Temperature().fit(logits, targets)
    kept = calibrator.temperature_
    calibrator.cross_fitted(logits, targets, 3, np.random.default_rng(0))
    assert calibrator.temperature_ == kept
    with pytest.raises(InputError, match="folds is 1; expected at least 2"):
        calibrator.cross_fitted(logits, targets, 1, np.random.default_rng(0))


@pytest.mark.skipif(not NETWORKS.is_dir(), reason="needs ../shared/data/network_probs, which is not here")
@pytest.mark.parametrize(
    ("name", "temperature", "before", "after"),
    [
        ("wideresnet-16-4-cifar-10", 2.07, 0.0508, 0.0075),
        ("densenet-bc-100-cifar-100", 2.12, 0.1399, 0.0130),
    ],
)
def test_published_networks(name: str, temperature: float, before: float, after: float) -> None:
    """Half of 10,000 test items fit T, the other half are measured (15 equal-mass bins)."""
    with np.load(NETWORKS / f"{name}.npz") as arrays:
        proba, targets = arrays["predictions"].astype(np.float64), arrays["ground_truth"]
    logits = np.log(np.maximum(proba, 1e-45))
    order = np.random.default_rng(0).permutation(len(targets))
    fit, shown = order[:5000], order[5000:]
    found = Temperature().fit(logits[fit], targets[fit])
    assert round(found.temperature_, 2) == temperature
    raw = evaluate(softmax(logits[shown], axis=1), targets[shown], np.random.default_rng(0), 50)
    calibrated = evaluate(found.proba(logits[shown]), targets[shown], np.random.default_rng(0), 50)
    assert raw.ece.value == pytest.approx(before, abs=1e-4)
    assert calibrated.ece.value == pytest.approx(after, abs=5e-4)
    assert calibrated.accuracy == raw.accuracy
    assert raw.ece.low > raw.ece_null
    assert calibrated.ece.low == 0.0
