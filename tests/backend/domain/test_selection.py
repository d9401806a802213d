"""Top-n selection: exact, bounded, fair to ties, deaf to NaN."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from plumbline_backend.domain import selection
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.selection import PoolScores, TopN, rank

UTILITIES = npst.arrays(
    np.float64,
    st.integers(0, 60),
    elements=st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.0, 0.25, 0.5, 1.0]),
)


def test_the_best_come_first() -> None:
    found = rank(np.array([0.1, 0.9, 0.5, 0.7]), None, 3, np.random.default_rng(0))
    assert found.tolist() == [1, 3, 2]


def test_only_candidates_win() -> None:
    mask = np.array([True, False, True, True])
    assert rank(np.array([0.1, 0.9, 0.5, 0.7]), mask, 9, np.random.default_rng(0)).tolist() == [3, 2, 0]


@given(utility=UTILITIES, n=st.integers(0, 20), block=st.integers(1, 70), seed=st.integers(0, 5))
def test_it_equals_a_full_sort(utility: np.ndarray, n: int, block: int, seed: int) -> None:
    best = TopN(n, np.random.default_rng(seed))
    for start in range(0, len(utility), block):
        best.add(utility[start : start + block], start)
    found = best.positions()
    finite = utility[np.isfinite(utility)]
    np.testing.assert_array_equal(utility[found], np.sort(finite)[::-1][:n])
    assert len(np.unique(found)) == len(found)


@given(utility=UTILITIES)
def test_nan_and_infinity_never_win(utility: np.ndarray) -> None:
    found = rank(utility, None, len(utility), np.random.default_rng(0))
    assert np.isfinite(utility[found]).all()
    assert len(found) == np.isfinite(utility).sum()


def test_ties_are_taken_and_ordered_uniformly() -> None:
    """One of 8 equal items in 4,000 draws: each is first 500 times, +- 5 sd of sqrt(500 * 7 / 8) = 21."""
    rng = np.random.default_rng(3)
    utility = np.zeros(8)
    draws = np.array([rank(utility, None, 3, rng) for _ in range(4000)])
    for place in range(3):
        assert (np.abs(np.bincount(draws[:, place], minlength=8) - 500) < 105).all()


def test_ties_across_blocks_are_fair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of late blocks win as often as those of the first: 8 items in blocks of 3, as above."""
    monkeypatch.setattr(selection, "_BLOCK", 3)
    rng = np.random.default_rng(4)
    first = np.bincount([rank(np.ones(8), None, 2, rng)[0] for _ in range(4000)], minlength=8)
    assert (np.abs(first - 500) < 105).all()


def test_arguments_are_unchanged_and_the_rng_decides() -> None:
    utility, mask = np.array([1.0, np.nan, 1.0, 1.0]), np.array([True, True, True, False])
    before = utility.copy(), mask.copy()
    one, two = (rank(utility, mask, 2, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(utility, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("kind", ["distinct", "equal", "ascending"])
def test_memory_does_not_grow_with_the_pool(kind: str) -> None:
    """1,000,000 float32 utilities take 4 MB; the selection of ten adds less than 4 MiB to that."""
    n = 1_000_000
    utility = {
        "distinct": np.random.default_rng(0).random(n, dtype=np.float32),
        "equal": np.zeros(n, dtype=np.float32),
        "ascending": np.arange(n, dtype=np.float32),
    }[kind]
    tracemalloc.start()
    found = rank(utility, None, 10, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 10
    assert peak < 4 * 2**20


def test_scores_of_chunks_join() -> None:
    part = PoolScores(np.array([0.6]), np.array([0.4]), np.array([0.67]), np.array([1]))
    joined = PoolScores.concatenate([part, PoolScores.unknown(2)])
    assert len(joined) == 3
    assert joined.argmax.tolist() == [1, -1, -1]
    assert np.isnan(joined.top1[1:]).all()
    assert len(PoolScores.concatenate([])) == 0


@pytest.mark.parametrize(
    ("utility", "mask", "n", "message"),
    [
        (np.zeros((2, 2)), None, 1, r"utility has shape \(2, 2\); expected \(n_items,\)"),
        (np.zeros(3), np.ones(2, bool), 1, r"candidates mask has shape \(2,\); expected \(3,\)"),
        (np.zeros(3), None, -1, "n is -1; expected zero or more items"),
    ],
)
def test_refusals(utility: np.ndarray, mask: np.ndarray | None, n: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rank(utility, mask, n, np.random.default_rng(0))


def test_scores_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="scores have shapes"):
        PoolScores(np.zeros(2), np.zeros(2), np.zeros(3), np.zeros(2, int))
