"""F1, mAP and their intervals over items, against hand-worked numbers and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.multi_label_metrics import average_precision, evaluate_labels


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_hand_worked():
    proba = np.array([[0.9, 0.1], [0.8, 0.7], [0.2, 0.6], [0.4, 0.2]])
    truth = np.array([[1, 0], [0, 1], [0, -1], [1, 0]])
    found = evaluate_labels(proba, truth, rng())
    # given: class 0 to items 0, 1; class 1 to items 1, 2 (of 2 nothing is said).
    # hits 1 + 1; yes 2 + 1; given and said 2 + 1. Micro F1 = 2 * 2 / (3 + 3).
    assert found.micro_f1.value == pytest.approx(2 / 3)
    # class 0: 2 * 1 / (2 + 2) = 1/2, class 1: 1
    assert found.macro_f1.value == pytest.approx(0.75)
    # 7 pairs are said; wrong: (1, 0) and (3, 0)
    assert found.label_accuracy.value == pytest.approx(5 / 7)
    # three items are fully said; item 0 alone is wholly right
    assert (found.exact.value, found.exact.n) == (pytest.approx(1 / 3), 3)
    # class 0 ranked: .9 yes, .8 no, .4 yes: (1 + 2/3) / 2
    assert found.per_class[0].average_precision.value == pytest.approx((1 + 2 / 3) / 2)
    assert (found.per_class[1].n_said, found.per_class[1].n_yes, found.per_class[1].n_predicted) == (3, 1, 1)


def test_agrees_with_scikit_learn_and_intervals_hold_the_values():
    draw = rng()
    truth = (draw.random((300, 5)) < [0.5, 0.4, 0.3, 0.1, 0.02]).astype(int)
    proba = np.clip(truth * 0.3 + draw.random((300, 5)) * 0.7, 0, 1)
    found = evaluate_labels(proba, truth, rng())
    given = proba >= 0.5
    assert found.micro_f1.value == pytest.approx(f1_score(truth, given, average="micro"))
    assert found.macro_f1.value == pytest.approx(f1_score(truth, given, average="macro"))
    assert found.map.value == pytest.approx(average_precision_score(truth, proba, average="macro"))
    for figure in (found.micro_f1, found.macro_f1, found.map, found.label_accuracy):
        assert figure.low < figure.value < figure.high
        assert figure.n == 300


def test_tied_scores_share_one_place():
    yes = np.array([True, False, True, False])
    score = np.array([0.5, 0.5, 0.5, 0.1])
    assert average_precision(score, yes, np.ones((1, 4)))[0] == pytest.approx(2 / 3)


def test_an_interval_covers_what_it_estimates():
    """Micro F1 of 60 items, repeated: the truth of 200,000 lies inside about as often as promised."""

    def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        r = np.random.default_rng(seed)
        truth = (r.random((n, 3)) < 0.4).astype(int)
        return np.clip(0.35 * truth + 0.65 * r.random((n, 3)), 0, 1), truth

    wanted = evaluate_labels(*draw(200_000, 1), rng(), n_resamples=2).micro_f1.value
    inside = 0
    for seed in range(150):
        found = evaluate_labels(*draw(60, 100 + seed), rng(), n_resamples=200).micro_f1
        inside += found.low <= wanted <= found.high
    assert inside >= 133  # 95 % of 150 is 142.5; 133 is 3.6 standard deviations below


def test_nothing_known_is_unknown_and_all_right_is_not_certainty():
    empty = evaluate_labels(np.empty((0, 2)), np.empty((0, 2), int), rng())
    assert all(math.isnan(f.value) and f.n == 0 for f in (empty.micro_f1, empty.map, empty.exact))
    never = evaluate_labels(np.full((4, 1), 0.2), np.zeros((4, 1), int), rng())
    assert math.isnan(never.micro_f1.value)
    assert never.n_classes == 0
    right = evaluate_labels(np.array([[0.9], [0.1]]), np.array([[1], [0]]), rng())
    assert right.micro_f1.value == 1
    assert right.micro_f1.low < 0.5  # two items prove little


@pytest.mark.parametrize(
    ("proba", "truth", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 3), int), "expected .n, K. both"),
        (np.full((1, 1), 1.5), np.ones((1, 1), int), "outside 0 to 1"),
        (np.ones((1, 1)), np.full((1, 1), 2), "other values than 1"),
    ],
)
def test_bad_input(proba, truth, message):
    with pytest.raises(InputError, match=message):
        evaluate_labels(proba, truth, rng())
