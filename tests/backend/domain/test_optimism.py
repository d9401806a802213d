"""The figures of a chosen judge, without the luck of having been chosen."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.alignment import BAD, GOOD, N_DRAWS, UNGRADED, measure, weights_of
from plumbline_backend.domain.optimism import cross_validated


def rng():
    return np.random.default_rng(0)


def best_of_many(verdicts):
    """Chooses the judge with the best alignment on the grades it is shown."""

    def choose(grades):
        bad, good = grades == BAD, grades == GOOD
        if not bad.any() or not good.any():
            return None
        caught = (verdicts[:, bad].sum(axis=1) + 0.5) / (bad.sum() + 1)
        spared = ((~verdicts[:, good]).sum(axis=1) + 0.5) / (good.sum() + 1)
        chosen = verdicts[np.argmax(2 * caught * spared / (caught + spared))]
        return chosen, np.ones(len(grades), dtype=bool)

    return choose


def some_graded(bad, n, generator):
    """The grades of n outputs drawn at random, and which they are."""
    grades = np.full(len(bad), UNGRADED, dtype=np.int8)
    drawn = generator.choice(len(bad), n, replace=False)
    grades[drawn] = bad[drawn]
    return grades, drawn


def test_the_winners_curse_is_gone():
    """20 judges, 16 grades: the apparent alignment is 0.1 too good in the mean, the corrected one is not."""
    generator = np.random.default_rng(4)
    apparent, corrected, holds = [], [], []
    for _ in range(120):
        bad = generator.random(80) < generator.uniform(0.25, 0.55)
        rates = generator.beta(2, 2, 20)[:, None], generator.beta(1.2, 4, 20)[:, None]
        draws = generator.random((20, 80))
        verdicts = np.where(bad, draws < rates[0], draws < rates[1])
        grades, drawn = some_graded(bad, 16, generator)
        chosen = best_of_many(verdicts)(grades)
        if chosen is None:
            continue
        failed = chosen[0]
        coverage, ffr = failed[bad].mean(), failed[~bad].mean()
        truth = 2 * coverage * (1 - ffr) / (coverage + 1 - ffr)
        strata = np.zeros(80, dtype=int)
        known = measure(failed[drawn], grades[drawn], None, generator, 10).alignment.value
        found = cross_validated(best_of_many(verdicts), failed, grades, strata, generator, n_draws=500)
        apparent.append(known - truth)
        corrected.append(found.alignment.value - truth)
        holds.append(found.alignment.low <= truth <= found.alignment.high)
    assert np.mean(apparent) > 0.08
    assert abs(np.mean(corrected)) < 0.03
    assert np.mean(holds) > 0.88


def test_judges_that_are_no_good_are_not_flattered():
    """30 judges that say nothing about the outputs, 10 grades: on those the best looks 0.3 too good."""
    generator = np.random.default_rng(5)
    apparent, corrected = [], []
    for _ in range(250):
        bad = generator.random(300) < 0.4
        verdicts = generator.random((30, 300)) < generator.uniform(0.1, 0.9, 30)[:, None]
        grades, _ = some_graded(bad, 10, generator)
        chosen = best_of_many(verdicts)(grades)
        if chosen is None:
            continue
        coverage, specific = chosen[0][bad].mean(), 1 - chosen[0][~bad].mean()
        truth = 2 * coverage * specific / (coverage + specific)
        zeros = np.zeros(300, dtype=int)
        shown = measure(chosen[0], grades, zeros, generator, 200).alignment.value
        found = cross_validated(best_of_many(verdicts), chosen[0], grades, zeros, generator, n_draws=200)
        apparent.append(shown - truth)
        corrected.append(found.alignment.value - truth)
    assert np.mean(apparent) > 0.2
    assert abs(np.mean(corrected)) < 0.03


def test_a_held_out_grade_counts_by_what_it_stands_for():
    """One judge: stratum 0 has 90 outputs, 2 graded, both bad; stratum 1 has 10, 8 graded, all good; it fails all.

    The weights are 45 and 1.25: of the failed the share that is bad is 90 / 100, not the 2 / 10 that were counted.
    """
    strata = np.repeat([0, 1], [90, 10])
    grades = np.full(100, UNGRADED, dtype=np.int8)
    grades[:2], grades[90:98] = BAD, GOOD
    assert weights_of(grades, strata)[[0, 1, 2, 90, 98]].tolist() == [45, 45, 0, 1.25, 0]
    fails = np.ones(100, dtype=bool)
    found = cross_validated(lambda _: (fails, fails), fails, grades, strata, rng())
    # n_eff = 100^2 / (2 * 45^2 + 8 * 1.25^2) = 2.46, of them 2.22 bad; Beta(0.35 * 2.72, 0.35 * 0.75) for the other 90
    share = rng().beta(0.35 * (0.5 + 2.2153), 0.35 * (0.5 + 0.2461), N_DRAWS)
    assert 1 - found.pass_rate.value == pytest.approx((2 + 90 * np.median(share)) / 100, abs=0.02)
    assert found.ffr.value == 1.0


def test_nothing_to_choose_by_is_unknown():
    verdicts = np.zeros((2, 6), dtype=bool)
    all_good = np.array([GOOD, GOOD, GOOD, UNGRADED, UNGRADED, UNGRADED], dtype=np.int8)
    zeros = np.zeros(6, dtype=int)
    assert cross_validated(best_of_many(verdicts), verdicts[0], all_good, zeros, rng()) is None
    one = np.array([GOOD, *[UNGRADED] * 5], dtype=np.int8)
    assert cross_validated(best_of_many(verdicts), verdicts[0], one, zeros, rng()) is None
