"""What every pace policy in the registry keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.pace.policy import LARGEST, SMALLEST, START, PaceView
from plumbline_backend.registry import PACES


@pytest.fixture(params=PACES.names())
def pace(request: pytest.FixtureRequest) -> Any:
    return PACES.get(request.param)()


def view(n: int = 200, k: int = 4, lam: float = START, sharp: float = 0.3) -> PaceView:
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(k, sharp), size=n)
    return PaceView(proba, np.full(k, lam), rng.integers(5, size=n))


def test_it_is_called_what_the_registry_calls_it(pace: Any) -> None:
    assert PACES.get(pace.name) is type(pace)


def test_it_explains_itself_in_one_sentence(pace: Any) -> None:
    assert pace.explanation.endswith(".")
    assert 20 < len(pace.explanation) < 120


def test_it_says_what_it_needs_and_its_constants(pace: Any) -> None:
    assert pace.needs <= {"groups"}
    assert all(isinstance(name, str) for name in pace.parameters())


@pytest.mark.parametrize(("n", "k"), [(0, 3), (1, 3), (2, 2), (50, 1), (200, 7)])
def test_one_weight_in_0_to_1_per_item_and_class(pace: Any, n: int, k: int) -> None:
    weights = pace.weights(view(n, k))
    assert weights.shape == (n, k)
    assert ((weights >= 0) & (weights <= 1)).all()


def test_the_same_view_gives_the_same_weights_and_stays_as_it_was(pace: Any) -> None:
    given = view()
    kept = [given.proba.copy(), given.lam.copy(), given.groups.copy()]
    for array in (given.proba, given.lam, given.groups):
        array.flags.writeable = False
    first, second = pace.weights(given), pace.weights(given)
    np.testing.assert_array_equal(first, second)
    for before, after in zip(kept, (given.proba, given.lam, given.groups), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_row_with_nan_is_never_taken(pace: Any) -> None:
    given = view(20)
    given.proba[3, 0] = np.nan
    given.proba[7] = np.nan
    weights = pace.weights(given)
    assert (weights[[3, 7]] == 0).all()
    assert np.isfinite(weights).all()


def test_all_rows_nan_take_nothing(pace: Any) -> None:
    given = PaceView(np.full((5, 3), np.nan), np.full(3, START), np.zeros(5, dtype=np.int64))
    assert (pace.weights(given) == 0).all()


def test_a_certain_item_is_taken_and_an_even_one_is_not(pace: Any) -> None:
    """10 items that are certain, one that is even: every policy takes some certain ones and never the even one."""
    proba = np.vstack([np.tile([1 - 2e-6, 1e-6, 1e-6], (10, 1)), np.full((1, 3), 1 / 3)])
    weights = pace.weights(PaceView(proba, np.full(3, START), np.zeros(11, dtype=np.int64)))
    assert (weights[:10, 0] > 0).any()
    assert (weights[10] == 0).all()


def test_a_faster_pace_takes_no_fewer_items(pace: Any) -> None:
    taken = [(pace.weights(view(lam=lam)) > 0).sum() for lam in (SMALLEST, START, 0.3, LARGEST)]
    assert taken == sorted(taken)


def test_identical_items_are_treated_alike_unless_diversity_is_wanted(pace: Any) -> None:
    proba = np.tile([0.97, 0.02, 0.01], (30, 1))
    weights = pace.weights(PaceView(proba, np.full(3, START), np.zeros(30, dtype=np.int64)))
    if "groups" not in pace.needs:
        assert (weights == weights[0]).all()


def test_float32_probabilities_serve_too(pace: Any) -> None:
    double = view()
    single = PaceView(double.proba.astype(np.float32), double.lam, double.groups)
    np.testing.assert_allclose(pace.weights(single), pace.weights(double), atol=1e-3)


@pytest.mark.parametrize(
    ("lam", "groups", "message"),
    [
        (np.full(3, START), np.zeros(5, dtype=np.int64), "lam"),
        (np.full(4, START), np.zeros(4, dtype=np.int64), "groups"),
        (np.full(4, 2.0), np.zeros(5, dtype=np.int64), "expected values from 0"),
        (np.full(4, np.nan), np.zeros(5, dtype=np.int64), "expected values from 0"),
    ],
)
def test_a_view_that_cannot_be_is_refused(lam: Any, groups: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PaceView(np.full((5, 4), 0.25), lam, groups)
