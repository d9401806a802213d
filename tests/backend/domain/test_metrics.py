"""Classification metrics against arithmetic done by hand, and against scikit-learn."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.metrics import (
    accuracy,
    brier,
    confusion_matrix,
    evaluate,
    nll,
    per_class,
)

PROBA = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
TARGETS = np.array([0, 1, 1, 2])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_confusion_has_truth_in_rows() -> None:
    """Predictions are 0, 1, 0, 2: the third item, truly 1, is called 0."""
    expected = [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert confusion_matrix(PROBA.argmax(axis=1), TARGETS, 3).tolist() == expected


def test_accuracy_is_a_wilson_interval() -> None:
    assert accuracy(PROBA.argmax(axis=1), TARGETS) == wilson(3, 4)


def test_nll_by_hand() -> None:
    """-(log 0.7 + log 0.8 + log 0.3 + log 0.6) / 4."""
    expected = -(log(0.7) + log(0.8) + log(0.3) + log(0.6)) / 4
    found = nll(PROBA, TARGETS)
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high
    assert found.n == 4


def test_brier_by_hand() -> None:
    """.09 + .04 + .01 = .14; .01 + .04 + .01 = .06; .25 + .49 + .04 = .78; .04 + .04 + .16 = .24; mean .305."""
    assert brier(PROBA, TARGETS).value == pytest.approx(0.305)


def test_an_impossible_answer_shows_and_stays_finite() -> None:
    """-log of the smallest positive normal double is 1022 log 2 = 708.4."""
    found = nll(np.array([[1.0, 0.0]]), np.array([1]))
    assert found.value == pytest.approx(1022 * log(2))


def test_per_class_by_hand() -> None:
    """Class 0: 1 hit of 2 predicted, of 1 true; F1 = 2 / (2 + 1 + 0) = 2/3. Class 1: 1 of 1, of 2; F1 2/3."""
    rows = per_class(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]))
    assert [(r.precision.value, r.recall.value) for r in rows] == [(0.5, 1.0), (1.0, 0.5), (1.0, 1.0)]
    assert [r.f1.value for r in rows] == pytest.approx([2 / 3, 2 / 3, 1])
    assert [(r.n_true, r.n_predicted) for r in rows] == [(1, 2), (2, 1), (1, 1)]
    assert rows[0].precision == wilson(1, 2)


def test_a_class_that_never_occurs_is_unknown() -> None:
    row = per_class(np.array([[3, 0], [0, 0]]))[1]
    assert np.isnan([row.precision.value, row.recall.value, row.f1.value]).all()
    assert (row.precision.n, row.recall.n, row.f1.n) == (0, 0, 0)
    assert (row.f1.low, row.f1.high) == (0.0, 1.0)


@given(seed=st.integers(0, 1000), n=st.integers(1, 60), k=st.integers(2, 5))
def test_per_class_equals_scikit_learn(seed: int, n: int, k: int) -> None:
    draw = np.random.default_rng(seed)
    predicted, targets = draw.integers(k, size=n), draw.integers(k, size=n)
    rows = per_class(confusion_matrix(predicted, targets, k))
    for found, theirs in (
        ([r.precision for r in rows], precision_score),
        ([r.recall for r in rows], recall_score),
        ([r.f1 for r in rows], f1_score),
    ):
        expected = theirs(targets, predicted, labels=range(k), average=None, zero_division=np.nan)
        known = np.array([i.n > 0 for i in found])
        np.testing.assert_allclose(np.array([i.value for i in found])[known], expected[known])
        assert all(i.low <= i.value <= i.high for i, sure in zip(found, known, strict=True) if sure)


def test_evaluation_is_consistent_with_itself() -> None:
    draw = np.random.default_rng(2)
    proba = draw.dirichlet(np.ones(4), size=300)
    targets = np.array([draw.choice(4, p=p) for p in proba])
    found = evaluate(proba, targets, rng(), n_resamples=100)
    assert found.n == found.accuracy.n == found.ece.n == found.nll.n == found.brier.n == 300
    assert found.confusion.sum() == found.reliability.count.sum() == 300
    assert found.accuracy.value == np.trace(found.confusion) / 300
    assert found.reliability.ece == pytest.approx(found.ece.value)
    assert len(found.per_class) == 4


def test_evaluating_nothing_is_unknown_everywhere() -> None:
    found = evaluate(np.empty((0, 3)), np.empty(0, dtype=np.int64), rng())
    for interval in (found.accuracy, found.ece, found.nll, found.brier):
        assert np.isnan(interval.value)
        assert interval.n == 0
    assert np.isnan(found.ece_null)
    assert np.isnan(found.reliability.ece)
    assert found.confusion.tolist() == np.zeros((3, 3)).tolist()
    assert len(found.reliability.count) == 0


def test_evaluation_leaves_its_arguments() -> None:
    proba, targets = PROBA.astype(np.float32), TARGETS.copy()
    evaluate(proba, targets, rng(), n_resamples=10)
    np.testing.assert_array_equal(proba, PROBA.astype(np.float32))
    np.testing.assert_array_equal(targets, TARGETS)


@pytest.mark.parametrize(
    ("proba", "targets", "message"),
    [
        (np.full((2, 2), 0.6), [0, 1], r"probabilities of row 0 are \[0.6 0.6\] with sum 1.2; expected none"),
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], "probabilities of row 1 are"),
        ([[1.5, -0.5]], [0], "expected none negative or NaN and a sum of 1"),
        ([[0.5, 0.5]], [2], "target of row 0 is 2; expected a class from 0 to 1"),
        ([[0.5, 0.5]], [-1], "target of row 0 is -1; expected a class from 0 to 1"),
        ([[0.5, 0.5]], [0.0], "targets have type float64; expected integer class indices"),
        ([[0.5, 0.5]], [0, 1], r"shape \(1, 2\) and targets \(2,\); expected \(n_items, n_classes\)"),
        ([0.5, 0.5], [0, 1], r"shape \(2,\) and targets \(2,\)"),
    ],
)
def test_refusals(proba: object, targets: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(np.array(proba), np.array(targets), rng())


def test_predictions_and_targets_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(2,\) predictions against \(3,\) targets"):
        accuracy(np.zeros(2, int), np.zeros(3, int))
