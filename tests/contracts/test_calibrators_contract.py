"""What every calibrator in the registry keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.program import run
from plumbline_backend.registry import CALIBRATORS


@pytest.fixture(params=CALIBRATORS.names())
def calibrator(request: pytest.FixtureRequest) -> Any:
    return CALIBRATORS.get(request.param)()


def items(n: int = 400, k: int = 4, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident logits: answers are drawn from softer probabilities than the logits state."""
    draw = np.random.default_rng(0)
    logits = draw.normal(scale=2, size=(n, k))
    proba = softmax(logits, axis=1)
    return sharpness * logits, (proba.cumsum(axis=1) > draw.random((n, 1))).argmax(axis=1)


def nll(proba: np.ndarray, targets: np.ndarray) -> float:
    return float(-np.log(proba[np.arange(len(targets)), targets]).mean())


def test_it_is_called_what_the_registry_calls_it(calibrator: Any) -> None:
    assert CALIBRATORS.get(calibrator.name) is type(calibrator)


def test_proba_are_probabilities(calibrator: Any) -> None:
    logits, targets = items()
    proba = calibrator.fit(logits, targets).proba(logits)
    assert proba.shape == logits.shape
    assert proba.dtype == np.float64
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_it_improves_overconfident_logits_on_other_items(calibrator: Any) -> None:
    logits, targets = items(2000)
    calibrator.fit(logits[:1000], targets[:1000])
    before, after = softmax(logits[1000:], axis=1), calibrator.proba(logits[1000:])
    assert nll(after, targets[1000:]) < nll(before, targets[1000:]) - 0.05


def test_before_it_is_fitted_it_changes_nothing(calibrator: Any) -> None:
    logits, _ = items(10)
    np.testing.assert_allclose(calibrator.proba(logits), softmax(logits, axis=1))


@pytest.mark.parametrize("n", [0, 1, 3])
def test_hardly_any_items_change_nothing_and_are_explained(calibrator: Any, n: int) -> None:
    logits, targets = items(10)
    calibrator.fit(logits[:n], targets[:n])
    np.testing.assert_allclose(calibrator.proba(logits), softmax(logits, axis=1))
    assert str(n) in calibrator.note_


def test_a_single_class_among_the_answers_stays_finite(calibrator: Any) -> None:
    logits, _ = items()
    proba = calibrator.fit(logits, np.zeros(len(logits), int)).proba(logits)
    assert np.isfinite(proba).all()
    assert all(np.isfinite(value) for value in calibrator.parameters().values())


def test_extreme_and_equal_logits_stay_finite(calibrator: Any) -> None:
    logits, targets = items()
    for hard in (1e4 * logits, np.zeros_like(logits), logits - 1e6):
        assert np.isfinite(calibrator.fit(hard, targets).proba(hard)).all()


def test_float32_logits_are_worked_in_float64(calibrator: Any) -> None:
    logits, targets = items()
    single = calibrator.fit(logits.astype(np.float32), targets).parameters()
    double = calibrator.fit(logits, targets).parameters()
    assert single == pytest.approx(double, rel=1e-5)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_its_steps_say_what_it_says(calibrator: Any, k: int) -> None:
    """Also for sharp logits, for equal ones, and for items that it was fitted to."""
    logits, targets = items(400, k)
    calibrator.fit(logits, targets)
    assert calibrator.fitted_
    shown = np.concatenate([logits, 8 * logits[:100], 0 * logits[:2]])
    scores = run(calibrator.program(k), shown)
    np.testing.assert_allclose(softmax(scores, axis=1), calibrator.proba(shown), rtol=0, atol=1e-9)


def test_without_a_fit_there_are_no_steps(calibrator: Any) -> None:
    assert calibrator.program(4) == ()


def test_an_empty_pool_gives_empty_probabilities(calibrator: Any) -> None:
    logits, targets = items()
    assert calibrator.fit(logits, targets).proba(logits[:0]).shape == (0, 4)


def test_cross_fitting_is_repeatable_and_changes_nothing(calibrator: Any) -> None:
    logits, targets = items()
    before = logits.copy(), targets.copy(), dict(calibrator.parameters())
    one, two = (calibrator.cross_fitted(logits, targets, 5, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one.sum(axis=1), 1)
    np.testing.assert_array_equal(logits, before[0])
    np.testing.assert_array_equal(targets, before[1])
    assert dict(calibrator.parameters()) == before[2]


@pytest.mark.parametrize(
    ("logits", "targets", "message"),
    [
        ([[0.0, np.nan]], [0], "logits of row 0 are"),
        ([[0.0, np.inf]], [0], "expected finite numbers"),
        ([[0.0, 1.0]], [2], "target of row 0 is 2; expected a class from 0 to 1"),
        ([[0.0, 1.0]], [0, 1], r"logits have shape \(1, 2\) and targets \(2,\)"),
        ([0.0, 1.0], [0, 1], r"expected \(n, n_classes\) and \(n,\)"),
    ],
)
def test_refusals(calibrator: Any, logits: list[float], targets: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibrator.fit(np.array(logits), np.array(targets))
