"""Thresholds, costs and conformal sets by hand; intervals by what they cover."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain import calibration_errors as errors
from plumbline_backend.domain.calibration_cells import cells_of
from plumbline_backend.domain.calibration_classes import class_bins, class_figures, classwise_ece
from plumbline_backend.domain.calibration_intervals import error_figure, skewed_mean, worlds
from plumbline_backend.domain.calibration_scores import bayes_threshold, cost_curve, operating_point
from plumbline_backend.domain.calibration_sets import SET_RULES, evaluate_sets, set_scores, set_threshold
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson

PROBA = np.array([0.1, 0.4, 0.6, 0.9])
HAPPENED = np.array([False, True, False, True])


def test_costs_by_hand() -> None:
    """A false alarm costs 1, a miss 4. From 0.5 on: one alarm (0.6), one miss (0.4): (1 + 4) / 4."""
    curve = cost_curve(PROBA, HAPPENED, 1, 4)
    assert curve.bayes == pytest.approx(0.2)
    assert np.interp(0.5, curve.threshold, curve.cost) == pytest.approx(1.25)
    assert curve.cost.min() == pytest.approx(0.25)  # from 0.1+ to 0.4: only the alarm at 0.6
    assert 0.1 < curve.cheapest <= 0.4
    point = operating_point(PROBA, HAPPENED, 0.5, 1, 4)
    assert point.cost.value == pytest.approx(1.25)
    assert (point.precision, point.recall, point.n_yes) == (wilson(1, 2), wilson(1, 2), 2)
    assert point.false_positive_rate == wilson(1, 2)


@pytest.mark.parametrize(
    ("costs", "message"),
    [((0, 1), "cost of a false positive is 0"), ((1, float("inf")), "cost of a false negative is inf")],
)
def test_costs_must_be_positive(costs: tuple[float, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bayes_threshold(*costs)


def test_set_scores_by_hand() -> None:
    proba = np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(set_scores(proba, "lac"), [[0.8, 0.5, 0.7]])
    np.testing.assert_allclose(set_scores(proba, "aps"), [[1.0, 0.5, 0.8]])
    six = np.full((1, 6), 1 / 6)
    np.testing.assert_allclose(
        set_scores(six, "raps")[0] - set_scores(six, "aps")[0], [0, 0, 0, 0, 0, 0.01], atol=1e-12
    )
    with pytest.raises(InputError, match="did you mean 'raps'"):
        set_scores(proba, "rasp")  # type: ignore[arg-type]


def test_the_threshold_is_the_conformal_quantile() -> None:
    """n = 9, 80 %: the ceil(10 * 0.8) = 8th least of 0.1 .. 0.9; n = 3 cannot promise 80 %: 4 * 0.8 > 3."""
    scores = np.arange(1, 10)[:, None] / 10
    assert set_threshold(scores, np.zeros(9, int), 0.8) == pytest.approx(0.8)
    assert set_threshold(scores[:3], np.zeros(3, int), 0.8) == np.inf
    with pytest.raises(InputError, match="promised coverage is 1"):
        set_threshold(scores, np.zeros(9, int), 1.0)


@pytest.mark.parametrize("rule", SET_RULES)
def test_sets_cover_what_they_promise_on_other_items(rule: str) -> None:
    draw = np.random.default_rng(0)
    proba = draw.dirichlet(np.full(5, 0.3), size=6000)
    targets = (proba.cumsum(axis=1) > draw.random((6000, 1))).argmax(axis=1)
    found = evaluate_sets((proba[:3000], targets[:3000]), (proba[3000:], targets[3000:]), rule, 0.9)  # type: ignore[arg-type]
    assert found.coverage.value == pytest.approx(0.9, abs=0.015)
    assert found.size.value == found.sizes.mean()
    assert sum(each.n for each in found.by_class) == 3000
    assert found.by_class[found.worst].value == min(each.value for each in found.by_class)


def test_classwise_by_hand_and_in_parts() -> None:
    """20 items at (0.6, 0.4), 10 of class 0: each class is 0.1 off."""
    proba, targets = np.tile([0.6, 0.4], (20, 1)), np.arange(20) % 2
    bins = class_bins(proba, targets)
    assert classwise_ece(bins) == pytest.approx(0.1)
    together, per_class = class_figures(bins, np.random.default_rng(0))
    assert together.value == pytest.approx(0.1)
    assert [f.value for f in per_class] == pytest.approx([0.1, 0.1])


def test_the_intervals_of_errors_cover() -> None:
    """Stated c, true 0.85 c: the error is 0.15 E[c]. Of 100 intervals 95 should hold it, 89 at the least."""
    draw = np.random.default_rng(2)
    hits, calibrated = 0, 0
    for _ in range(100):
        confidence = draw.uniform(0.4, 1, 400)
        cells = cells_of(confidence, draw.random(400) < 0.85 * confidence)
        found = error_figure(errors.ece, cells, worlds(cells, draw, 30))
        hits += found.low <= 0.15 * 0.7 <= found.high
        cells = cells_of(confidence, draw.random(400) < confidence)
        calibrated += error_figure(errors.ece, cells, worlds(cells, draw, 30)).low == 0
    assert hits >= 89
    assert calibrated >= 92


def test_the_interval_of_a_skewed_mean_covers() -> None:
    """Exponential values, n = 50: Student's interval covers 92.7 % (5,000 draws), Hall's 94 %."""
    draw = np.random.default_rng(3)
    hits = sum(
        found.low <= 1 <= found.high
        for found in (skewed_mean(draw.exponential(size=50), low=0.0) for _ in range(2000))
    )
    assert hits / 2000 == pytest.approx(0.94, abs=0.015)
    assert skewed_mean(np.full(5, 2.0)) == (2.0, 2.0, 2.0, 5)
    assert skewed_mean(np.array([0.3]), 0.0, 2.0) == (0.3, 0.0, 2.0, 1)
    assert skewed_mean(np.empty(0), 0.0)[1:] == (0.0, np.inf, 0)
