"""Wilson and bootstrap intervals: worked values, and coverage where it can be simulated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import bootstrap, bootstrap_mean, wilson


def test_wilson_by_hand() -> None:
    """8 of 10, z = 1.959964, z^2 = 3.841459.

    centre (0.8 + 3.841459 / 20) / (1 + 0.3841459) = 0.9920730 / 1.3841459 = 0.7167402
    half   1.959964 / 1.3841459 * sqrt(0.8 * 0.2 / 10 + 3.841459 / 400) = 1.4160098 * 0.1600114 = 0.2265778
    """
    found = wilson(8, 10)
    assert found.value == 0.8
    assert found.low == pytest.approx(0.7167402 - 0.2265778, abs=2e-6)
    assert found.high == pytest.approx(0.7167402 + 0.2265778, abs=2e-6)
    assert found.n == 10


def test_wilson_at_the_ends() -> None:
    """0 of n: the upper end is z^2 / (n + z^2) = 3.841459 / 13.841459 = 0.2775."""
    assert wilson(0, 10)[:2] == (0.0, 0.0)
    assert wilson(0, 10).high == pytest.approx(0.27753, abs=1e-5)
    assert wilson(10, 10).low == pytest.approx(1 - 0.27753, abs=1e-5)
    assert wilson(10, 10).high == 1.0


def test_nothing_is_known_of_nothing() -> None:
    found = wilson(0, 0)
    assert np.isnan(found.value)
    assert found[1:] == (0.0, 1.0, 0)


@given(n=st.integers(1, 10**6), share=st.floats(0, 1))
def test_wilson_contains_its_value(n: int, share: float) -> None:
    found = wilson(share * n, n)
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_wilson_covers(p: float) -> None:
    """Exact coverage of the 95 % interval at n = 40: between 92 and 98 %."""
    n = 40
    hits = [wilson(k, n).low <= p <= wilson(k, n).high for k in range(n + 1)]
    log_binomial = np.cumsum(np.log(np.r_[1, np.arange(n, 0, -1)] / np.r_[1, np.arange(1, n + 1)]))
    weight = np.exp(log_binomial + np.arange(n + 1) * np.log(p) + np.arange(n, -1, -1) * np.log(1 - p))
    assert 0.92 < float(weight @ hits) < 0.98


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (float("nan"), 5)])
def test_impossible_counts_are_refused(k: float, n: int) -> None:
    with pytest.raises(InputError, match="expected a count from 0 to 5"):
        wilson(k, n)


def test_confidence_is_checked() -> None:
    with pytest.raises(InputError, match="confidence is 95; expected a number between 0 and 1"):
        wilson(1, 2, confidence=95)


def test_bootstrap_of_a_mean_agrees_with_theory() -> None:
    """100 values of sd 1: the interval is about +- 1.96 * 0.1."""
    values = np.random.default_rng(0).normal(size=100)
    values = (values - values.mean()) / values.std()
    for found in (
        bootstrap(lambda rows: float(values[rows].mean()), 100, np.random.default_rng(1)),
        bootstrap_mean(values, np.random.default_rng(1)),
    ):
        assert found.value == pytest.approx(0, abs=1e-12)
        assert found.low == pytest.approx(-0.196, abs=0.02)
        assert found.high == pytest.approx(0.196, abs=0.02)
        assert found.n == 100


def test_bootstrap_of_constant_values_has_no_width() -> None:
    assert bootstrap_mean(np.full(7, 2.5), np.random.default_rng(0)) == (2.5, 2.5, 2.5, 7)


def test_bootstrap_stays_in_range_and_contains_its_value() -> None:
    """The maximum can only be resampled downwards; the basic interval then lies above and is clipped at 1."""
    values = np.array([0.2, 0.4, 1.0])
    found = bootstrap(lambda rows: float(values[rows].max()), 3, np.random.default_rng(0), low=0, high=1)
    assert found == (1.0, 1.0, 1.0, 3)


def test_bootstrap_of_nothing_is_unknown() -> None:
    for found in (
        bootstrap(lambda rows: float(len(rows)), 0, np.random.default_rng(0), low=0, high=1),
        bootstrap_mean(np.empty(0), np.random.default_rng(0), low=0, high=1),
    ):
        assert np.isnan(found.value)
        assert found[1:] == (0, 1, 0)
    with pytest.raises(InputError, match="n is -1"):
        bootstrap(lambda rows: float(len(rows)), -1, np.random.default_rng(0))
