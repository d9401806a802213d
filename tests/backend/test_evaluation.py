"""What a head is worth on the stream with the calibrator that serves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from plumbline_backend.calibrators.making import make_calibrator
from plumbline_backend.domain.errors import InputError
from plumbline_backend.evaluation import evaluate_on_stream

N, K = 100, 3


@pytest.mark.parametrize(
    ("name", "calibrate_from", "waits_for"),
    [
        ("temperature", 5, 5),
        ("temperature", 200, 200),
        ("vector", 5, 50),  # six numbers for three classes: it waits for more of its own accord
        ("vector", 200, 200),
        ("matrix", 20, 100),
        ("matrix", 200, 200),
    ],
)
def test_a_calibrator_waits_for_what_the_setting_says_and_never_for_less_than_it_needs(
    name: str, calibrate_from: int, waits_for: int
) -> None:
    calibrator = make_calibrator(name, calibrate_from)
    assert (calibrator.name, calibrator.min_items) == (name, waits_for)


def test_an_unknown_calibrator_is_named() -> None:
    with pytest.raises(InputError, match="did you mean 'temperature'"):
        make_calibrator("temprature", 20)


@pytest.mark.parametrize("serving", ["temperature", "vector"])
@pytest.mark.parametrize(("calibrate_from", "fitted"), [(20, True), (101, False)])
def test_the_evaluation_is_of_the_softmax_until_the_setting_is_reached(
    serving: str, calibrate_from: int, fitted: bool
) -> None:
    """Logits three times too large. Each fold leaves 80 of the 100 items: enough for 20 and for vector's 50."""
    draw = np.random.default_rng(0)
    true = draw.normal(size=(N, K))
    targets = (true + draw.gumbel(size=(N, K))).argmax(axis=1).astype(np.int64)
    own = -log_softmax(3 * true, axis=1)[np.arange(N), targets].mean()
    found = evaluate_on_stream(
        3 * true, range(K), targets, K, calibrate_from, 0, serving
    ).evaluation.nll.value
    if fitted:
        assert found < own - 0.2
    else:
        assert found == pytest.approx(own, abs=1e-9)
