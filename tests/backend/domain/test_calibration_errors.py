"""Calibration errors against arithmetic done by hand, exact sums and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from plumbline_backend.domain import calibration_errors as errors
from plumbline_backend.domain.calibration_cells import Cells, cells_of, compressed, isotonic, mass_starts
from plumbline_backend.domain.calibration_scores import aurc, brier_parts, excess_aurc, risk_coverage


def sample(seed: int = 0, n: int = 2000, ones: float = 0.25) -> Cells:
    """Overconfident answers, a quarter of them stated as exactly 1."""
    draw = np.random.default_rng(seed)
    confidence = np.where(draw.random(n) < ones, 1.0, draw.uniform(0.2, 1, n))
    return cells_of(confidence, draw.random(n) < 0.9 * confidence)


def test_equal_confidences_are_one_cell_in_ascending_order() -> None:
    """0 and -0 are equal; a part in a million above 1 counts as 1; the least number above 0 is one of its own."""
    least = np.nextafter(0.0, 1.0)
    cells = cells_of(
        np.array([1.0, 0.5, -0.0, 1 + 5e-7, least, 0.0, 0.5]),
        np.array([True, True, False, False, True, True, True]),
    )
    assert cells.confidence.tolist() == [0.0, least, 0.5, 1.0]
    assert cells.count.tolist() == [2, 1, 2, 2]
    assert cells.right.tolist() == [1, 1, 2, 1]


def test_cells_merge_ties_and_keep_counts() -> None:
    cells = cells_of(np.array([0.9, 0.5, 0.9, 1.0]), np.array([1, 0, 0, 1], dtype=bool))
    assert cells.confidence.tolist() == [0.5, 0.9, 1.0]
    assert cells.count.tolist() == [1, 2, 1]
    assert cells.right.tolist() == [0, 1, 1]


def test_bins_are_dealt_as_evenly_as_array_split_does() -> None:
    """5,000 items in 15 bins: five of 334, ten of 333."""
    starts = mass_starts(np.ones(5000), 15)
    sizes = np.diff(np.append(starts, 5000)).tolist()
    assert sizes == [len(part) for part in np.array_split(np.arange(5000), 15)]


def test_grouping_keeps_every_item_and_the_mean() -> None:
    cells = sample(n=20_000)
    grouped = compressed(cells, 100)
    assert len(grouped.count) <= 100
    assert (grouped.n, grouped.right.sum()) == (cells.n, cells.right.sum())
    assert grouped.count @ grouped.confidence == pytest.approx(cells.count @ cells.confidence)
    assert grouped.confidence[-1] == pytest.approx(1.0)
    assert errors.ece(grouped) == pytest.approx(errors.ece(cells), abs=1e-3)


@given(seed=st.integers(0, 500), n=st.integers(1, 80))
def test_isotonic_is_scikit_learns(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    confidence, correct = draw.choice([0.1, 0.4, 0.5, 0.7, 0.9, 1.0], n), draw.random(n) < 0.6
    theirs = IsotonicRegression().fit_transform(confidence, correct)
    cells = cells_of(confidence, correct)
    ours = isotonic(cells)[np.searchsorted(cells.confidence, confidence)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_equal_width_by_hand() -> None:
    """Bins (1/3, 2/3] and (2/3, 1]: |1 - (0.4 + 0.6)| = 0 and |1 - (0.9 + 1)| = 0.9 of 4 items."""
    cells = cells_of(np.array([0.4, 0.6, 0.9, 1.0]), np.array([1, 0, 0, 1], dtype=bool))
    assert errors.ece_equal_width(cells, 3) == pytest.approx(0.9 / 4)


def test_the_debiased_error_by_hand() -> None:
    """Ten items at 0.6, 5 right: gap^2 = 0.01, noise 0.25 / 9."""
    cells = cells_of(np.full(10, 0.6), np.arange(10) < 5)
    assert errors.squared_error(cells) == pytest.approx(0.01 - 0.25 / 9)
    assert errors.squared_error(cells, debiased=False) == pytest.approx(0.01)


def test_the_sweep_stops_where_accuracies_fall() -> None:
    """At 0.2, 0.4, 0.6, 0.8 with 1, 0, 1, 1 right: two bins (0.5, 1) rise, three (0.5 .. 1) would not be equal.

    One bin: |3 - 2| / 4; two bins: |1 - 0.6| + |2 - 1.4| over 4 = 0.25; four bins fall from 1 to 0.
    """
    cells = cells_of(np.array([0.2, 0.4, 0.6, 0.8]), np.array([1, 0, 1, 1], dtype=bool))
    assert errors.ece_sweep(cells) == pytest.approx(0.25)


def exact_smooth(cells: Cells, width: float) -> float:
    """The definition, by sums over all items and six mirror images on a fine grid."""
    t = np.linspace(0, 1, 4001)[:, None]
    total = np.zeros(len(t))
    for shift in (-2, 0, 2):
        for image in (shift + cells.confidence, shift - cells.confidence):
            kernel = np.exp(-0.5 * ((t - image) / width) ** 2) / (width * np.sqrt(2 * np.pi))
            total += kernel @ cells.gap / cells.n
    return float(np.trapezoid(np.abs(total), t[:, 0]))


def test_the_sweep_ends_at_the_most_bins() -> None:
    """Wrong below one half, right above: accuracies ascend over any number of bins; two bins are .25 off each."""
    confidence = (np.arange(40) + 0.5) / 40
    cells = cells_of(confidence, confidence > 0.5)
    assert errors.ece_sweep(cells, most_bins=1) == pytest.approx(0)
    assert errors.ece_sweep(cells, most_bins=2) == pytest.approx(0.25)
    assert errors.ece_sweep(cells) == pytest.approx(0.25)


@pytest.mark.parametrize("ones", [0.0, 0.25, 1.0])
def test_smooth_ece_is_its_definition_also_with_mass_at_one(ones: float) -> None:
    cells = sample(n=300, ones=ones)
    found = errors.smooth_ece(cells)
    assert exact_smooth(cells, found) == pytest.approx(found, abs=2e-6)


def test_smooth_ece_of_certain_answers_is_the_error_rate() -> None:
    """Everything stated as exactly 1 and a tenth wrong: no mass may be lost over the border."""
    assert errors.smooth_ece(cells_of(np.ones(100), np.arange(100) >= 10)) == pytest.approx(0.1, abs=1e-6)


@given(seed=st.integers(0, 200), n=st.integers(1, 300))
def test_brier_parts_add_up(seed: int, n: int) -> None:
    cells = sample(seed, n)
    parts = brier_parts(cells)
    total = (
        parts.reliability
        - parts.resolution
        + parts.uncertainty
        + parts.within_variance
        - parts.within_covariance
    )
    assert total == pytest.approx(parts.score, abs=1e-12)
    corp = errors.corp_miscalibration(cells) - errors.corp_discrimination(cells) + parts.uncertainty
    assert corp == pytest.approx(parts.score, abs=1e-12)
    assert errors.corp_miscalibration(cells) >= -1e-12
    assert errors.corp_discrimination(cells) >= -1e-12


def test_aurc_by_hand() -> None:
    """From the most confident: right, wrong, right, wrong: (0 + 1/2 + 1/3 + 2/4) / 4; best (0 + 0 + 1/3 + 2/4) / 4."""
    cells = cells_of(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0], dtype=bool))
    assert aurc(cells) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert excess_aurc(cells) == pytest.approx((1 / 2) / 4)
    curve = risk_coverage(cells)
    assert [(p.threshold, p.coverage, p.risk.value) for p in curve] == [
        (0.9, 0.25, 0.0),
        (0.8, 0.5, 0.5),
        (0.7, 0.75, pytest.approx(1 / 3)),
        (0.6, 1.0, 0.5),
    ]


def test_aurc_of_ties_is_the_mean_over_their_orders() -> None:
    """Two items at one confidence, one right: risks (0, 1/2) or (1, 1/2), so (1/2 + 1/2) / 2."""
    assert aurc(cells_of(np.full(2, 0.7), np.array([True, False]))) == pytest.approx(0.5)


def test_without_items_everything_is_unknown() -> None:
    empty = cells_of(np.empty(0), np.empty(0, dtype=bool))
    measures = (
        errors.ece, errors.ece_equal_width, errors.squared_error, errors.ece_sweep, errors.smooth_ece,
        errors.corp_miscalibration, errors.corp_discrimination, aurc, excess_aurc,
    )  # fmt: skip
    assert all(np.isnan(measure(empty)) for measure in measures)
    assert np.isnan(brier_parts(empty)).all()
    assert risk_coverage(empty) == []
