"""The signs for stopping against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.stopping import (
    Ahead,
    class_separability,
    classification_change,
    is_stable,
    kappa,
    labels_ahead,
    overall_uncertainty,
    target_verdict,
)
from plumbline_backend.domain.types import Interval


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def exact(value: float, n: int = 100) -> Interval:
    return Interval(value, value, value, n)


def test_kappa_by_hand() -> None:
    """Both give 50 : 50 and agree on 90 of 100: (0.9 - 0.5) / (1 - 0.5) = 0.8."""
    before = np.repeat([0, 1], 50)
    after = before.copy()
    after[[0, 1, 2, 3, 4, 50, 51, 52, 53, 54]] = [1] * 5 + [0] * 5
    found = kappa(before, after, rng())
    assert found.value == pytest.approx(0.8)
    assert found.low < 0.8 < found.high
    assert found.n == 100


def test_kappa_of_equal_answers_is_one_and_of_one_class_unknown() -> None:
    assert kappa(np.array([0, 1, 2]), np.array([0, 1, 2]), rng()).value == 1
    alone = kappa(np.zeros(5, int), np.zeros(5, int), rng())
    assert np.isnan(alone.value)
    assert alone.n == 5
    assert np.isnan(kappa(np.zeros(0, int), np.zeros(0, int), rng()).value)


def test_stable_takes_three_rounds() -> None:
    assert is_stable([exact(1.0), exact(0.995)]) is None
    assert is_stable([exact(0.5), exact(0.99), exact(0.995), exact(1.0)]) is True
    assert is_stable([exact(1.0), exact(0.98), exact(1.0)]) is False
    assert is_stable([exact(1.0), exact(1.0), Interval(float("nan"), -1, 1, 5)]) is None


def test_uncertainty_is_entropy_over_its_largest_value() -> None:
    """Two of four items are open (entropy ln 2 over ln 2 = 1) and two certain (0)."""
    proba = np.array([[0.5, 0.5], [0.5, 0.5], [1, 0], [0, 1], [np.nan, np.nan]])
    found = overall_uncertainty(proba, rng())
    assert found.value == pytest.approx(0.5)
    assert found.n == 4
    assert overall_uncertainty(np.ones((3, 1)), rng()).value == 0
    assert np.isnan(overall_uncertainty(np.ones((0, 2)), rng()).value)


def test_change_is_a_share_with_its_interval() -> None:
    found = classification_change(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    assert (found.value, found.n) == (0.25, 4)
    assert 0 <= found.low < 0.25 < found.high <= 1


def test_separability_by_hand() -> None:
    """On a line at 0, 1, 2, 10, 11: the nearest of each is in its own group, but 2 is predicted as the other class.

    Nearest: 0-1, 1-0 (or 2), 2-1, 10-11, 11-10. Predicted a a b b b: right for 0, 1, 10, 11. Chance 0.4^2 + 0.6^2.
    """
    x = np.array([[0.0], [1.0], [2.2], [10.0], [11.0]])
    found, chance = class_separability(x, np.array([0, 0, 1, 1, 1]))
    assert (found.value, found.n) == (0.8, 5)
    assert chance == pytest.approx(0.52)
    assert class_separability(x[:1], np.array([0]))[1] is None


def test_separability_in_blocks_equals_the_whole() -> None:
    x = rng().normal(size=(2100, 3))
    predicted = (x[:, 0] > 0).astype(int)
    d2 = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    np.fill_diagonal(d2, np.inf)
    expected = (predicted[d2.argmin(axis=1)] == predicted).mean()
    assert class_separability(x, predicted)[0].value == pytest.approx(expected, abs=2 / 2100)


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        (Interval(0.97, 0.951, 0.98, 400), "reached"),
        (Interval(0.96, 0.93, 0.98, 200), "cannot tell"),
        (Interval(0.90, 0.87, 0.93, 300), "not yet"),
        (Interval(float("nan"), 0, 1, 0), "cannot tell"),
    ],
)
def test_the_target_is_judged_by_the_interval(accuracy: Interval, verdict: str) -> None:
    assert target_verdict(accuracy, 0.95) == verdict


def test_labels_ahead_follow_the_power_law() -> None:
    """error = n^-1: 0.1 at 10, 0.05 at 20, 0.025 at 40; 0.01 needs 100, so 60 more than the 40 there are."""
    accuracy = [exact(1 - 1 / n) for n in (10, 20, 40)]
    assert labels_ahead([10, 20, 40], accuracy, 0.99) == Ahead(60, 60, 60)
    assert labels_ahead([40, 10, 20], [accuracy[2], accuracy[0], accuracy[1]], 0.99) == Ahead(60, 60, 60)


def test_labels_ahead_carry_the_newest_interval() -> None:
    """At 40 labels the error is 0.025, between 0.02 and 0.05: n = error / 0.01 x 40, so 80, 100 and 200."""
    accuracy = [exact(0.9), exact(0.95), Interval(0.975, 0.95, 0.98, 200)]
    assert labels_ahead([10, 20, 40], accuracy, 0.99) == Ahead(60, 40, 160)


def test_labels_ahead_are_silent_where_the_curve_is() -> None:
    good = [exact(0.8), exact(0.9), exact(0.95)]
    assert labels_ahead([10, 20], good[:2], 0.99) is None
    assert labels_ahead([10, 10, 10], good, 0.99) is None
    assert labels_ahead([10, 20, 40], good[::-1], 0.99) is None  # the error rises
    assert labels_ahead([10, 20, 40], good, 1.0) is None
    assert labels_ahead([10, 1000, 100_000], [exact(0.5), exact(0.51), exact(0.52)], 0.99) is None
    assert labels_ahead([], [], 0.9) is None
    assert labels_ahead([10, 20, 40], good, 0.9) == Ahead(0, 0, 0)


def test_an_interval_without_an_end_says_so() -> None:
    """Error 0.5 to 0.0101 with b = 0.5: the low end needs far more than a hundred times the labels."""
    accuracy = [exact(0.8), exact(0.9), Interval(0.95, 0.5, 0.9899, 20)]
    found = labels_ahead([10, 40, 160], accuracy, 0.99)
    assert found is not None
    assert found.high is None


@pytest.mark.parametrize("target", [0.0, -1, 1.5, float("nan")])
def test_impossible_targets_are_refused(target: float) -> None:
    with pytest.raises(InputError, match="expected a share above 0 and at most 1"):
        target_verdict(exact(0.9), target)
    with pytest.raises(InputError, match="target accuracy"):
        labels_ahead([10], [exact(0.9)], target)


def test_shapes_that_differ_are_refused() -> None:
    for compare in (lambda a, b: kappa(a, b, rng()), classification_change):
        with pytest.raises(InputError, match=r"shapes \(2,\) and \(3,\)"):
            compare(np.zeros(2, int), np.zeros(3, int))
