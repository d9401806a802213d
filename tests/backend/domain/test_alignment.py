"""Alignment of judges with grades: by hand where every output is graded, by simulation where few are."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.alignment import (
    BAD,
    GOOD,
    UNGRADED,
    Cells,
    cells_of,
    grades_needed,
    measure,
)
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.pass_rate import rogan_gladen


def rng():
    return np.random.default_rng(0)


def judged(bad_failed, bad_passed, good_failed, good_passed):
    """Verdicts and grades of fully graded outputs with these counts."""
    failed = np.repeat([True, False, True, False], [bad_failed, bad_passed, good_failed, good_passed])
    grades = np.repeat([BAD, BAD, GOOD, GOOD], [bad_failed, bad_passed, good_failed, good_passed])
    return failed, grades


def test_everything_graded_is_known_exactly():
    # 6 of 8 bad caught, 3 of 12 good failed: coverage .75, ffr .25, alignment .75, pass rate .6
    found = measure(*judged(6, 2, 3, 9), None, rng())
    assert found.coverage == (0.75, 0.75, 0.75, 8)
    assert found.ffr == (0.25, 0.25, 0.25, 12)
    assert found.alignment == pytest.approx((0.75, 0.75, 0.75, 20))
    assert found.pass_rate == pytest.approx((0.6, 0.6, 0.6, 20))
    assert (found.tpr.value, found.tnr.value) == (0.75, 0.75)
    # mcc = (9*6 - 3*2) / sqrt(12 * 11 * 9 * 8); kappa = (.75 - (.6*.55 + .4*.45)) / (1 - .51)
    assert found.mcc.value == pytest.approx(48 / np.sqrt(12 * 11 * 9 * 8))
    assert found.kappa.value == pytest.approx((0.75 - 0.51) / 0.49)
    assert found.graded == (6, 2, 3, 9)


def test_a_perfect_judge_is_perfect_and_not_nan():
    """ChainForge's EvalGen shows "coverage 25 %, FFR NaN %" for such a judge."""
    found = measure(*judged(5, 0, 0, 15), None, rng())
    assert (found.coverage.value, found.ffr.value, found.alignment.value) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "unknown", "known"),
    [
        ((0, 0, 3, 7), ("coverage", "tnr", "alignment", "mcc", "kappa"), ("ffr", "tpr", "pass_rate")),
        ((3, 7, 0, 0), ("ffr", "tpr", "alignment", "mcc", "kappa"), ("coverage", "tnr", "pass_rate")),
        ((0, 0, 0, 0), ("coverage", "ffr", "alignment", "pass_rate", "mcc", "kappa"), ()),
    ],
)
def test_an_empty_denominator_is_unknown(counts, unknown, known):
    failed, grades = judged(*counts)
    failed, grades = np.append(failed, [True, False]), np.append(grades, [UNGRADED, UNGRADED])
    found = measure(failed, grades, None, rng())
    for name in unknown:
        assert getattr(found, name)[:3] == (None, None, None), name
    for name in known:
        assert getattr(found, name).value is not None, name


def test_a_judge_that_fails_the_good_and_passes_the_bad_has_alignment_zero():
    assert measure(*judged(0, 5, 5, 0), None, rng()).alignment.value == 0.0


def test_no_outputs_at_all():
    found = measure(np.array([], dtype=bool), np.array([], dtype=int), None, rng())
    assert found.alignment.value is None
    assert found.n_outputs == 0


def test_lengths_must_agree():
    with pytest.raises(InputError, match="2 verdicts, 3 grades and 2 strata"):
        measure(np.zeros(2, dtype=bool), np.zeros(3, dtype=int), None, rng())


def test_cells_split_strata_by_verdict():
    failed = np.array([True, True, False, False, False])
    grades = np.array([BAD, UNGRADED, GOOD, BAD, UNGRADED])
    cells = cells_of(failed, grades, np.array([0, 1, 0, 1, 1]))
    rows = sorted(zip(*(part.tolist() for part in cells), strict=True))
    assert rows == [(False, 1, 0, 1), (False, 2, 1, 0), (True, 1, 0, 0), (True, 1, 1, 0)]


def pool(generator, n_outputs):
    """Outputs with known truth and one judge of random quality."""
    bad = generator.random(n_outputs) < generator.uniform(0.15, 0.6)
    caught, spoilt = generator.uniform(0.3, 0.95), generator.uniform(0.02, 0.5)
    failed = np.where(bad, generator.random(n_outputs) < caught, generator.random(n_outputs) < spoilt)
    return bad, failed


def draw_by_turns(failed, n, generator):
    """Half of the draws from what is failed, half from what is passed, uniformly inside."""
    sides = [generator.permutation(np.flatnonzero(failed == side)).tolist() for side in (True, False)]
    return [(sides[turn % 2] or sides[1 - turn % 2]).pop() for turn in range(n)]


def errors_of(n_grades, repeats, changing):
    """(estimate - truth, interval holds the truth) of coverage, ffr and alignment."""
    generator = np.random.default_rng(n_grades)
    found = {"coverage": [], "ffr": [], "alignment": []}
    for _ in range(repeats):
        bad, failed = pool(generator, 90)
        other = np.where(generator.random(90) < 0.7, failed, ~failed)
        grades, strata = np.full(90, UNGRADED), np.zeros(90, dtype=int)
        first = draw_by_turns(other, n_grades // 2, generator) if changing else []
        left = np.setdiff1d(np.arange(90), first)
        second = left[draw_by_turns(failed[left], n_grades - len(first), generator)]
        drawn = np.concatenate([first, second]).astype(int)
        grades[drawn] = bad[drawn]
        if changing:
            strata = 2 * other + failed
        measured = measure(failed, grades, strata, generator, 500)
        coverage, ffr = failed[bad].mean(), failed[~bad].mean()
        truth = {"coverage": coverage, "ffr": ffr}
        truth["alignment"] = 2 * coverage * (1 - ffr) / (coverage + 1 - ffr)
        for name, rows in found.items():
            value, low, high, _ = getattr(measured, name)
            if value is not None:
                rows.append((value - truth[name], low <= truth[name] <= high))
    return {name: np.array(rows).mean(axis=0) for name, rows in found.items()}


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("n_grades", [16, 30])
def test_intervals_hold_the_truth_under_the_sampling_design(n_grades, changing):
    """Also when the judges, and so the strata, change half way."""
    for name, (bias, holds) in errors_of(n_grades, 300, changing).items():
        assert abs(bias) < 0.035, name  # 300 pools: the mean error itself is known to about 0.008
        assert 0.90 < holds <= 1.0, name  # four standard errors below 0.95 at 300


def test_grades_needed_falls_as_grades_come_and_ends_at_zero():
    none = Cells(np.array([True, False]), np.array([60, 60]), np.array([0, 0]), np.array([0, 0]))
    some = Cells(np.array([True, False]), np.array([60, 60]), np.array([12, 2]), np.array([3, 13]))
    every = Cells(np.array([True, False]), np.array([60, 60]), np.array([50, 10]), np.array([10, 50]))
    assert grades_needed(every, "alignment", 0.2, rng()) == 0
    more = grades_needed(some, "alignment", 0.2, rng())
    assert 0 < more < grades_needed(none, "alignment", 0.2, rng()) <= 120
    assert grades_needed(some, "alignment", 0.1, rng()) > more


def test_grades_needed_is_unknown_where_the_figure_stays_undefined():
    all_good = Cells(np.array([False]), np.array([20]), np.array([0]), np.array([20]))
    assert grades_needed(all_good, "coverage", 0.2, rng()) is None


@pytest.mark.parametrize(("figure", "width"), [("coverages", 0.2), ("coverage", 0.0), ("coverage", 1.5)])
def test_grades_needed_refuses(figure, width):
    cells = Cells(np.array([True]), np.array([5]), np.array([1]), np.array([1]))
    with pytest.raises(InputError, match="expected"):
        grades_needed(cells, figure, width, rng())


def test_the_corrected_pass_rate_by_hand():
    # Se' = 46/52, Sp' = 41/52, P' = (300 + 1.921) / (500 + 3.841): theta = (P' + Sp' - 1) / (Se' + Sp' - 1)
    found = rogan_gladen(300, 500, 45, 50, 40, 50)
    z2 = 1.959964**2
    expected = ((300 + z2 / 2) / (500 + z2) + 41 / 52 - 1) / (46 / 52 + 41 / 52 - 1)
    assert found.value == pytest.approx(expected, abs=1e-6)
    assert found.low < 0.6 < found.high
    assert found.n == 100


def test_the_corrected_pass_rate_holds_the_truth():
    generator = np.random.default_rng(0)
    holds = []
    for _ in range(1000):
        good = generator.random(400) < 0.5
        passed = np.where(good, generator.random(400) < 0.85, generator.random(400) < 0.25)
        found = rogan_gladen(
            int(passed.sum()), 400, generator.binomial(30, 0.85), 30, generator.binomial(30, 0.75), 30
        )
        holds.append(found.low <= 0.5 <= found.high)
    assert 0.92 < np.mean(holds) < 0.985


def test_a_judge_near_chance_cannot_be_corrected():
    assert rogan_gladen(50, 100, 25, 50, 26, 50)[:3] == (None, None, None)
    assert rogan_gladen(50, 100, 0, 0, 26, 50)[:3] == (None, None, None)
    with pytest.raises(InputError, match="found 11 of 10"):
        rogan_gladen(5, 10, 11, 10, 5, 10)
