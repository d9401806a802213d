"""The random-sampling reference curve, with heads simple enough to follow by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.curves import random_reference
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson


class Nearest:
    """Answers the class of the nearest training item."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, n_classes: int) -> None:
        assert set(targets) == set(range(n_classes))
        self.features, self.answers = features, np.eye(n_classes)[targets]

    def logits(self, features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return self.answers[np.abs(features - self.features.T).argmin(axis=1)]


FEATURES = np.r_[np.zeros(10), np.ones(10)][:, None]
TARGETS = np.repeat([3, 5], 10)


def test_separable_items_are_learned_from_both_classes() -> None:
    """From 19 items both classes are known, and the 20th is answered rightly: 1 of 1 in every repeat."""
    (point,) = random_reference(FEATURES, TARGETS, Nearest, [19], 5, np.random.default_rng(0))
    assert point.n_train == 19
    assert point.accuracy == wilson(1, 1)


def test_one_item_knows_one_class() -> None:
    """A head of one class is right on the 9 others of its class out of 19, whichever was drawn."""
    (point,) = random_reference(FEATURES, TARGETS, Nearest, [1], 7, np.random.default_rng(0))
    assert point.accuracy.value == pytest.approx(9 / 19)
    assert point.accuracy.n == 19


def test_two_items_by_hand() -> None:
    """Both of one class with probability 9/19 (then 8/18 right), of both with 10/19 (then all right):
    9/19 * 8/18 + 10/19 = 4/19 + 10/19 = 14/19 = 0.737; 2,000 repeats, sd 0.277 / sqrt(2000) = 0.006."""
    (point,) = random_reference(FEATURES, TARGETS, Nearest, [2], 2000, np.random.default_rng(0))
    assert point.accuracy.value == pytest.approx(14 / 19, abs=0.02)


def test_it_is_repeatable_and_paired() -> None:
    first, again = (
        random_reference(FEATURES, TARGETS, Nearest, [2, 5, 9], 3, np.random.default_rng(4)) for _ in range(2)
    )
    assert first == again
    assert [p.n_train for p in first] == [2, 5, 9]


def test_no_sizes_no_points() -> None:
    assert random_reference(FEATURES, TARGETS, Nearest, [], 3, np.random.default_rng(0)) == []


@pytest.mark.parametrize(("sizes", "repeats"), [([0], 1), ([20], 1), ([2], 0)])
def test_refusals(sizes: list[int], repeats: int) -> None:
    with pytest.raises(InputError, match="expected sizes from 1 to one less than the items"):
        random_reference(FEATURES, TARGETS, Nearest, sizes, repeats, np.random.default_rng(0))
