"""Policies, common rules and the controller of the pace, with numbers worked by hand."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.pace.policy import START, PaceView
from plumbline_backend.pace.proposals import (
    DISAGREES,
    SEVERAL,
    TAKEN,
    TOO_FEW,
    UNCLEAR,
    nearest_human,
    propose,
    training_weights,
)
from plumbline_backend.registry import PACES


def seen(proba, lam=START, groups=None):
    proba = np.array(proba, dtype=float)
    k = proba.shape[1]
    lam = np.full(k, lam) if np.isscalar(lam) else np.array(lam)
    return PaceView(proba, lam, np.zeros(len(proba), dtype=np.int64) if groups is None else np.array(groups))


def two(p):
    return [p, 1 - p]


def weight_of(name, loss, lam):
    """Weight of the first of two classes at a loss."""
    return PACES.get(name)().weights(seen([two(exp(-loss))], lam))[0, 0]


@pytest.mark.parametrize(
    ("name", "loss", "lam", "expected"),
    [
        ("hard", 0.1, 0.2, 1.0),
        ("hard", 0.3, 0.2, 0.0),
        ("linear", 0.1, 0.4, 0.75),  # 1 - 0.1 / 0.4
        ("linear", 0.5, 0.4, 0.0),
        ("log", 0.2, 0.5, log(0.7) / log(0.5)),  # z = 0.5: ln(0.2 + 0.5) / ln 0.5 = 0.5146
        ("log", 0.6, 0.5, 0.0),
        ("mixture", 0.1, 0.4, 1.0),  # below l2 = 0.2
        ("mixture", 0.3, 0.4, 0.4 / 0.3 - 1),  # z = 0.4 * 0.2 / 0.2 = 0.4: 0.4 / 0.3 - 0.4 / 0.4
        ("mixture", 0.5, 0.4, 0.0),
    ],
)
def test_self_paced_weights_are_their_formulas(name, loss, lam, expected):
    assert weight_of(name, loss, lam) == pytest.approx(expected)


def test_spld_gives_the_first_of_each_cluster_a_bonus():
    """lambda 0.1, gamma 0.1: bars 0.2 for rank 1, 0.1 + 0.1 / (sqrt 2 + 1) = 0.1414 for rank 2."""
    losses = [0.19, 0.18, 0.15, 0.05, 0.14]
    weights = PACES.get("spld")().weights(
        seen([two(exp(-loss)) for loss in losses], [0.1, 0.0], [0, 1, 1, 2, 2])
    )
    assert 0.1 + 0.1 / (sqrt(2) + 1) == pytest.approx(0.1414, abs=1e-4)
    assert weights[:, 0].tolist() == [1, 0, 1, 1, 1]  # 0.18 is second of cluster 1, 0.14 second of cluster 2


def test_fixed_is_fixmatch_at_the_start():
    weights = PACES.get("fixed")().weights(seen([two(0.951), two(0.949), two(0.04)]))
    assert weights.tolist() == [[1, 0], [0, 0], [0, 1]]


def test_flexmatch_lowers_the_bar_of_a_slow_class():
    """t = .95. Above it: 4 of class 0, 2 of class 1; 1 below. b = (1, .5), t_1 = .95 * .5 / 1.5 = .317 -> 0.8."""
    proba = [two(0.99)] * 4 + [two(0.01)] * 2 + [two(0.15)]
    weights = PACES.get("flexmatch")().weights(seen(proba))
    assert weights[:, 0].tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert weights[:, 1].tolist() == [0, 0, 0, 0, 1, 1, 1]  # 0.85 >= 0.8 although below .95
    below = PACES.get("flexmatch")().weights(seen([*proba[:-1], two(0.3)]))
    assert below[-1].tolist() == [0, 0]


def test_freematch_scales_the_mean_certainty_by_class():
    """Mean p = (.6, .4), mean p_max = (.9 + .7 + .8) / 3 = .8: thresholds .8 and .8 * .4 / .6 = .533."""
    proba = [two(0.9), two(0.7), two(0.2)]
    weights = PACES.get("freematch")().weights(seen(proba))
    assert weights.tolist() == [[1, 0], [0, 0], [0, 1]]


def test_softmatch_falls_off_below_the_mean():
    """p_max = .9, .8, .7: mu = .8, s = .08165; .7 weighs exp(-(.1 * 2 / .08165)^2 / 2) = exp(-3) = .0498 -> 0."""
    weights = PACES.get("softmatch")().weights(seen([two(0.9), two(0.8), two(0.7)]))
    assert weights[:2, 0].tolist() == [1, 1]
    assert weights[2, 0] == 0
    milder = PACES.get("softmatch")().weights(seen([two(0.9), two(0.8), two(0.75), two(0.75)]))
    mu, s = np.mean([0.9, 0.8, 0.75, 0.75]), np.std([0.9, 0.8, 0.75, 0.75])
    assert milder[2, 0] == pytest.approx(exp(-((2 * (mu - 0.75) / s) ** 2) / 2))


def test_dynamic_entropy_takes_the_surest_half():
    weights = PACES.get("dynamic_entropy")().weights(
        seen([two(0.99), two(0.9), two(0.7), two(0.6), two(0.55)])
    )
    assert weights[:, 0].tolist() == [1, 1, 1, 0, 0]  # the median of five is the third


def test_margin_pair_wants_a_gap_too():
    """t = .95, d = (3 * .95 - 1) / 2 = .925: p1 .955 with p2 .045 has a gap of .91, with p2 .025 of .93."""
    weights = PACES.get("margin_pair")().weights(seen([[0.955, 0.045, 0.0], [0.955, 0.025, 0.02]]))
    assert weights[:, 0].tolist() == [0, 1]


def test_the_transductive_bound_leaves_the_tail_of_doubt_out():
    proba = [two(0.999)] * 50 + [two(0.55)] * 10
    weights = PACES.get("transductive_bound")().weights(seen(proba))
    assert weights[:50, 0].sum() == 50
    assert weights[50:].sum() == 0


# The rules that hold for every policy.

HUMAN = np.array([5, 5, 2])


def near(classes):
    return lambda rows: np.array(classes)[rows]


def status_of(rows, nearest, policy="hard", lam=0.8):
    return propose(PACES.get(policy)(), seen(rows, lam), HUMAN, near(nearest))


def test_exactly_one_class_or_nothing():
    """At lambda .8 a class is inside from p > .449: two of .46 are both inside, .4 is not."""
    found = status_of(
        [[0.9, 0.1, 0], [0.46, 0.46, 0.08], [0.4, 0.35, 0.25], [0.1, 0.9, 0], [0, 0, 1]], [0, 0, 0, 0, 2]
    )
    assert found.status.tolist() == [TAKEN, SEVERAL, UNCLEAR, DISAGREES, TOO_FEW]
    assert found.target.tolist() == [0, -1, -1, -1, -1]
    assert found.weight.tolist() == [1, 0, 0, 0, 0]
    assert found.taken.tolist() == [0]


def test_without_human_labels_nothing_is_proposed():
    assert status_of([[1.0, 0, 0]], [-1]).taken.size == 0


def test_nothing_is_remembered_between_rounds():
    policy = PACES.get("hard")()
    sure, doubtful = seen([two(0.99)]), seen([two(0.7)])
    human = np.array([5, 5])
    assert propose(policy, sure, human, near([0])).taken.size == 1
    assert propose(policy, doubtful, human, near([0])).taken.size == 0


def test_the_nearest_label_is_found_whatever_the_units():
    """The second column is in thousands: standardised, the item at (0.9, 0) is nearest to (1, 500), not to (0, 0)."""
    human = np.array([[0, 0], [1, 500], [0, 500], [1, 0]], dtype=float)
    assert nearest_human(np.array([[0.9, 480.0]]), human, np.array([0, 1, 2, 3])).tolist() == [1]
    assert nearest_human(np.array([[0.1, 20.0]]), human, np.array([0, 1, 2, 3]), block=1).tolist() == [0]
    assert nearest_human(np.ones((2, 2)), np.empty((0, 2)), np.empty(0, dtype=int)).tolist() == [-1, -1]


def test_a_constant_column_does_not_break_the_neighbours():
    human = np.array([[7.0, 0], [7.0, 1]])
    assert nearest_human(np.array([[9.0, 0.9]]), human, np.array([0, 1])).tolist() == [1]


def test_pseudo_labels_weigh_at_most_twice_the_human_ones():
    np.testing.assert_allclose(training_weights(np.ones(100), 10), np.full(100, 0.2))
    assert training_weights(np.array([0.5, 1.0]), 10).tolist() == [0.5, 1.0]


class Broken:
    name = "broken"
    needs = frozenset()
    explanation = "Answers with what it was given."

    def __init__(self, answer):
        self.answer = answer

    def weights(self, view):  # noqa: ARG002
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((3, 2)), r"weights of shape \(3, 2\); expected \(1, 2\)"),
        (np.full((1, 2), 1.5), "outside 0 to 1"),
        (np.full((1, 2), np.nan), "outside 0 to 1"),
    ],
)
def test_a_policy_that_answers_wrongly_is_refused(answer, message):
    with pytest.raises(InputError, match=message):
        propose(Broken(answer), seen([two(0.9)]), np.array([5, 5]), near([0]))
