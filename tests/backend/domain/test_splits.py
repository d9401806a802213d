"""The random stream: which items are set aside, and which asks go to them."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.splits import draw_reserve, is_stream_ask


@given(n=st.integers(0, 500), percent=st.integers(0, 100), seed=st.integers(0, 9))
def test_the_reserve_has_the_stated_size_and_no_repeats(n: int, percent: int, seed: int) -> None:
    reserve = draw_reserve(n, percent / 100, np.random.default_rng(seed))
    expected = 0 if percent == 0 or n < 2 else min(max(round(n * percent / 100), 1), n - 1)
    assert len(reserve) == expected
    assert len(np.unique(reserve)) == expected
    assert reserve.dtype == np.int64
    assert ((reserve >= 0) & (reserve < n)).all()


@pytest.mark.parametrize(
    ("n", "share", "size"), [(0, 0.1, 0), (1, 0.5, 0), (2, 0.1, 1), (10, 1.0, 9), (95, 0.1, 10)]
)
def test_the_reserve_of_small_pools(n: int, share: float, size: int) -> None:
    """95 * 0.1 = 9.5 rounds to the even 10; a pool of two keeps one item to train on."""
    assert len(draw_reserve(n, share, np.random.default_rng(0))) == size


def test_every_prefix_of_the_reserve_is_a_uniform_sample() -> None:
    """Of 4,000 draws of 5 from 10, each item is first in a tenth: 400 +- 5 sd of sqrt(400 * 0.9) = 19."""
    rng = np.random.default_rng(1)
    first = np.bincount([draw_reserve(10, 0.5, rng)[0] for _ in range(4000)], minlength=10)
    assert (np.abs(first - 400) < 95).all()


def test_the_same_rng_gives_the_same_reserve() -> None:
    one, two = (draw_reserve(100, 0.2, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_one_ask_in_ten() -> None:
    """With share 1/10 the floor of (t + 1) / 10 rises at t = 9, 19, 29."""
    assert [t for t in range(30) if is_stream_ask(t, 0.1)] == [9, 19, 29]
    assert [t for t in range(10) if is_stream_ask(t, 0.1, offset=0.5)] == [4]


@given(
    start=st.integers(0, 10**9),
    length=st.integers(1, 300),
    percent=st.integers(0, 100),
    offset=st.floats(0, 0.999),
)
def test_the_share_is_exact_over_any_window(start: int, length: int, percent: int, offset: float) -> None:
    asks = sum(is_stream_ask(t, percent / 100, offset) for t in range(start, start + length))
    assert floor(length * percent / 100 - 1e-9) <= asks <= ceil(length * percent / 100 + 1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: draw_reserve(-1, 0.1, np.random.default_rng(0)),
            "n_items is -1; expected a number of items",
        ),
        (
            lambda: draw_reserve(5, 1.5, np.random.default_rng(0)),
            "stream share is 1.5; expected a number from 0 to 1",
        ),
        (lambda: is_stream_ask(0, float("nan")), "stream share is nan; expected a number from 0 to 1"),
        (lambda: is_stream_ask(-1, 0.1), "ask number is -1; expected zero or more"),
        (lambda: is_stream_ask(0, 0.1, 1.0), "offset is 1.0; expected a number from 0 up to"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]
