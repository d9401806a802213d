"""Pseudo-labels with human labels held out: what is compared, that nothing leaks, and the awkward sizes."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.heads.nearest_mean import NearestMean
from plumbline_backend.pace.held_out import FOLDS, on_held_out
from plumbline_backend.pace.policy import START
from plumbline_backend.registry import PACES

HARD = PACES.get("hard")()


def rng():
    return np.random.default_rng(0)


def clouds(n, apart, seed=1):
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return np.c_[y * apart, np.zeros(n)] + draw.normal(size=(n, 2)), y


class Recorded:
    """Fits a nearest-mean head and keeps what it was given."""

    def __init__(self):
        self.calls = []

    def __call__(self, x, targets, weight):
        self.calls.append((x, targets, weight))
        return NearestMean().fit(x, targets, 2, sample_weight=weight).proba


def compared(human, targets, pool, fit, lam=START, groups=None):
    groups = np.zeros(len(pool), dtype=np.int64) if groups is None else groups
    return on_held_out(HARD, np.full(2, lam), human, targets, pool, groups, fit, rng())


def test_every_label_is_held_out_once_and_never_seen_by_the_heads_that_predict_it():
    human, targets = clouds(30, 6)
    pool, _ = clouds(80, 6, seed=2)
    fit = Recorded()
    found = compared(human, targets, pool, fit)
    assert found.n == 30
    assert len(fit.calls) == 2 * FOLDS
    known = {tuple(row) for row in human}
    seen = [{tuple(row) for row in x} & known for x, _, _ in fit.calls]
    assert [len(rows) for rows in seen] == [20] * 6
    assert seen[0] == seen[1] != seen[2]
    assert set.union(*({*known} - rows for rows in seen)) == known
    taught, weights = fit.calls[1][0], fit.calls[1][2]
    assert len(taught) > 20
    assert weights[20:].sum() <= 2 * 20 + 1e-9


def test_helpful_pseudo_labels_win_and_wrong_ones_lose():
    """One answer of each class in six lies on the wrong side of the middle; the pool shows where the clouds are."""
    human, targets = clouds(12, 3, seed=4)
    pool, _ = clouds(400, 3, seed=5)
    alone = compared(human, targets, np.empty((0, 2)), Recorded())
    assert (alone.only_with, alone.only_without) == (0, 0)  # no pool, no difference
    upside_down = compared(human, targets, pool, _liar)
    assert upside_down.only_without > upside_down.only_with


def _liar(x, targets, weight):
    """Right from human labels alone, always wrong once it has pseudo-labels."""
    true = NearestMean().fit(x, targets, 2).proba
    return true if weight is None else lambda rows: true(rows)[:, ::-1]


@pytest.mark.parametrize(
    ("targets", "n"),
    [([0, 1], 0), ([0, 0, 0, 1], 3), ([0, 0, 0], 0), ([], 0)],
)
def test_awkward_sizes_hold_out_what_they_can(targets, n):
    targets = np.array(targets, dtype=np.int64)
    human = np.random.default_rng(3).normal(size=(len(targets), 2)) + targets[:, None]
    pool, _ = clouds(20, 6)
    assert compared(human, targets, pool, Recorded()).n == n


def test_the_generator_alone_decides():
    human, targets = clouds(30, 2)
    pool, _ = clouds(60, 2, seed=2)
    assert compared(human, targets, pool, Recorded()) == compared(human, targets, pool, Recorded())
