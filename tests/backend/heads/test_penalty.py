"""The penalty that is used where nobody says one: by how far the features spread."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.few_new import FeTrIL
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.penalty import SHARE, penalty
from plumbline_backend.heads.tree import TreeSoftmax


def test_it_is_a_share_of_the_median_variance_times_the_columns_that_vary() -> None:
    """Spreads 1, 2, 10 and a constant column: median 2, variance 4, three columns; 0.07 x 3 x 4 = 0.84."""
    assert SHARE == 0.07
    assert penalty(None, np.array([1.0, 0.0, 10.0, 2.0])) == pytest.approx(0.84)
    assert penalty(0.0, np.array([1.0, 2.0])) == 0.0
    assert penalty(3.0, np.array([1.0, 2.0])) == 3.0
    assert penalty(None, np.zeros(2)) == 1.0


def test_the_unit_of_the_features_does_not_matter() -> None:
    draw = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = draw.normal(size=(60, 4)) + np.eye(3, 4)[y]
    one = LinearSoftmax(tolerance=1e-8).fit(x, y, 3)
    other = LinearSoftmax(tolerance=1e-8).fit(1000 * x, y, 3)
    np.testing.assert_allclose(other.proba(1000 * x), one.proba(x), atol=1e-6)
    assert other.l2_ == pytest.approx(1e6 * one.l2_)
    given = LinearSoftmax(l2=1.0, tolerance=1e-8)
    fixed = given.fit(x, y, 3).proba(x)
    assert np.abs(given.fit(1000 * x, y, 3).proba(1000 * x) - fixed).max() > 0.01


def test_heads_of_the_same_objective_come_to_the_same_penalty() -> None:
    draw = np.random.default_rng(1)
    y = np.arange(40) % 2
    x = draw.normal(size=(40, 3)) * [1, 2, 10]
    linear = LinearSoftmax().fit(x, y, 2)
    assert linear.facts()["l2"] == pytest.approx(penalty(None, x.std(axis=0)))
    assert TreeSoftmax().fit(x, np.eye(2)[y], 2).facts()["l2"] == pytest.approx(linear.l2_)
    assert FeTrIL().fit(x, y, 2).facts()["l2"] == pytest.approx(linear.l2_)


@pytest.mark.parametrize("kind", [LinearSoftmax, TreeSoftmax, FeTrIL])
def test_what_cannot_be_a_penalty_is_refused(kind: type) -> None:
    with pytest.raises(InputError, match=r"l2 is -1; expected a finite number, zero or more, or None"):
        kind(l2=-1)
