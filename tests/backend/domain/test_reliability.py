"""Calibration error and its bins, down to the ties and the noise floor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.stats import binom

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.reliability import bin_starts, ece, ece_interval, null_ece, reliability

CONFIDENCES = npst.arrays(
    np.float64,
    st.integers(1, 200),
    elements=st.sampled_from([0.3, 0.5, 0.6, 0.75, 0.9, 1.0]) | st.floats(0, 1),
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_ece_by_hand() -> None:
    """Twenty items in two bins of ten: at 0.6 with 5 right and at 0.9 with 8 right.

    (10 * |0.5 - 0.6| + 10 * |0.8 - 0.9|) / 20 = 0.1
    """
    confidence = np.repeat([0.6, 0.9], 10)
    correct = np.arange(20) % 10 < np.repeat([5, 8], 10)
    assert ece(confidence, correct) == pytest.approx(0.1)
    bins = reliability(confidence, correct, rng())
    assert bins.confidence == pytest.approx([0.6, 0.9])
    assert bins.accuracy == pytest.approx([0.5, 0.8])
    assert bins.count.tolist() == [10, 10]
    assert (bins.low[0], bins.high[0]) == wilson(5, 10)[1:3]


def test_opposite_errors_in_one_bin_cancel_and_say_why_bins_matter() -> None:
    """One bin for fewer than twenty items: mean confidence 0.75, 6 of 8 right."""
    confidence = np.repeat([0.6, 0.9], 4)
    correct = np.array([1, 1, 1, 1, 1, 1, 0, 0], dtype=bool)
    assert ece(confidence, correct) == pytest.approx(0)


@pytest.mark.parametrize(("n", "bins"), [(0, 0), (1, 1), (19, 1), (20, 2), (100, 10), (150, 15), (5000, 15)])
def test_fewer_bins_for_few_items(n: int, bins: int) -> None:
    assert len(bin_starts(np.linspace(0, 1, n))) == bins


@given(confidence=CONFIDENCES, n_bins=st.integers(1, 20))
def test_equal_confidences_share_a_bin(confidence: np.ndarray, n_bins: int) -> None:
    ordered = np.sort(confidence)
    starts = bin_starts(ordered, n_bins)
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert (ordered[starts[1:]] > ordered[starts[1:] - 1]).all()


@given(confidence=CONFIDENCES, seed=st.integers(0, 9))
def test_the_drawn_bins_add_up_to_the_figure(confidence: np.ndarray, seed: int) -> None:
    correct = np.random.default_rng(seed).random(len(confidence)) < confidence
    bins = reliability(confidence, correct, rng(), n_resamples=20)
    assert bins.ece == pytest.approx(ece(confidence, correct), abs=1e-12)
    assert bins.count.sum() == len(confidence)
    slack = 1e-12
    assert (bins.edge_low <= bins.confidence + slack).all()
    assert (bins.confidence <= bins.edge_high + slack).all()
    assert (bins.low <= bins.accuracy).all()
    assert (bins.accuracy <= bins.high).all()
    assert (bins.band_low <= bins.band_high).all()


def test_a_quarter_of_exact_ones_is_one_bin() -> None:
    """30 of 120 confidences are 1: the last bin has all of them, and no bin is empty."""
    confidence = np.r_[np.linspace(0.4, 0.99, 90), np.ones(30)]
    bins = reliability(confidence, np.ones(120, dtype=bool), rng(), n_resamples=10)
    assert bins.count[-1] == 30
    assert bins.edge_low[-1] == bins.edge_high[-1] == 1.0
    assert (bins.count > 0).all()
    assert (bins.band_low[-1], bins.band_high[-1]) == (1.0, 1.0)


def test_the_order_of_items_does_not_matter() -> None:
    draw = np.random.default_rng(1)
    confidence = draw.choice([0.5, 0.7, 0.9], size=90)
    correct = draw.random(90) < confidence
    order = draw.permutation(90)
    assert ece(confidence, correct) == pytest.approx(ece(confidence[order], correct[order]), abs=1e-12)


def test_the_null_is_what_perfect_calibration_gives() -> None:
    """One bin of 100 at 0.5: E|k/100 - 0.5| for k ~ Binomial(100, 0.5) is sqrt(0.25 / 100 * 2 / pi) = 0.0399."""
    confidence = np.full(100, 0.5)
    assert null_ece(confidence, rng(), n_resamples=20_000) == pytest.approx(0.0399, abs=0.0006)
    draws = [ece(confidence, np.random.default_rng(s).random(100) < 0.5) for s in range(400)]
    assert np.mean(draws) == pytest.approx(0.0399, abs=0.005)


def test_the_band_holds_19_of_20_calibrated_accuracies() -> None:
    """0.8 in one bin of 150: binomial sd sqrt(0.16 / 150) = 0.0327, so about 0.8 -+ 0.064."""
    bins = reliability(np.full(150, 0.8), np.ones(150, dtype=bool), rng(), n_resamples=5000)
    assert bins.band_low[0] == pytest.approx(0.736, abs=0.01)
    assert bins.band_high[0] == pytest.approx(0.864, abs=0.01)


def test_the_interval_corrects_the_upward_bias() -> None:
    """Perfectly calibrated: the true error is 0, the measured one is noise, and the interval reaches 0."""
    draw = np.random.default_rng(5)
    reached = []
    for _ in range(20):
        confidence = draw.uniform(0.5, 1, size=400)
        found = ece_interval(confidence, draw.random(400) < confidence, draw)
        assert found.low <= found.value <= found.high
        reached.append(found.low == 0)
    assert sum(reached) >= 18


def test_the_interval_covers_a_real_error() -> None:
    """Stated 0.9, true 0.7: the error is 0.2 in every bin. 95 % intervals hold it in most of 40 draws."""
    draw = np.random.default_rng(6)
    hits = 0
    for _ in range(40):
        confidence = np.full(200, 0.9) + draw.uniform(-1e-3, 1e-3, 200)
        found = ece_interval(confidence, draw.random(200) < 0.7, draw)
        hits += found.low <= 0.2 <= found.high
    assert hits >= 34


def test_nothing_measured_is_unknown() -> None:
    nothing, none = np.empty(0), np.empty(0, dtype=bool)
    assert np.isnan(ece(nothing, none))
    assert np.isnan(null_ece(nothing, rng()))
    assert len(reliability(nothing, none, rng()).count) == 0
    assert ece_interval(nothing, none, rng())[1:] == (0, 1, 0)


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([0.5, np.nan], [1, 1], r"confidence of row 1 is nan; expected a probability in \[0, 1\]"),
        ([1.5], [1], "confidence of row 0 is 1.5"),
        ([0.5], [1, 0], r"confidence has shape \(1,\) and correct \(2,\); expected \(n,\) for both"),
    ],
)
def test_refusals(confidence: list[float], correct: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ece(np.array(confidence), np.array(correct, dtype=bool))


@pytest.mark.parametrize(
    ("n", "accuracy", "by_wilson", "by_bootstrap"),
    [(20, 0.5, 0.959, 0.959), (20, 0.95, 0.925, 0.639), (67, 0.99, 0.970, 0.485), (333, 0.95, 0.957, 0.954)],
)
def test_bars_hold_the_true_accuracy_where_a_bootstrap_would_not(
    n: int, accuracy: float, by_wilson: float, by_bootstrap: float
) -> None:
    """Exact, over all counts of right answers: the percentile bootstrap of a share is the binomial's quantiles at it.

    The table of docs/decisions/0008-reliability-intervals.md; the bars are those that the diagram draws.
    """
    right = np.arange(n + 1)
    chance = binom.pmf(right, n, accuracy)
    bars = [reliability(np.full(n, 0.9), np.arange(n) < k, np.random.default_rng(0), 1, 1) for k in right]
    inside = np.array([bar.low[0] <= accuracy <= bar.high[0] for bar in bars])
    low, high = (binom.ppf(q, n, right / n) / n for q in (0.025, 0.975))
    assert chance[inside].sum() == pytest.approx(by_wilson, abs=5e-4)
    assert chance[(low <= accuracy) & (accuracy <= high)].sum() == pytest.approx(by_bootstrap, abs=5e-4)
