"""Agreement against published examples and cases worked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from plumbline_backend.domain.agreement import (
    MISSING,
    alpha_interval,
    cohen_kappa,
    fleiss_kappa,
    kappa_interval,
    krippendorff_alpha,
)
from plumbline_backend.domain.errors import InputError

RECIPES = Path(__file__).parents[4] / "shared" / "data" / "recipes" / "cleaned_data_anonymized.csv"
_ = 0
FOUR_OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]).T - 1  # fmt: skip
"""Krippendorff 2011, section C: four observers, twelve units, gaps; -1 is a gap."""

FLEISS = (
    (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
)  # fmt: skip
"""Ten subjects, fourteen raters, five categories: counts; kappa 0.210."""


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_krippendorffs_own_example(level, alpha):
    assert krippendorff_alpha(FOUR_OBSERVERS, level) == pytest.approx(alpha, abs=5e-4)


@pytest.mark.skipif(not RECIPES.exists(), reason="needs ../shared/data/recipes, which is not here")
def test_alpha_of_88_people_is_that_of_all_pairs_of_their_answers():
    """52 recipes with gaps, rated 1 to 6: the definition's double sums over pairs, nothing counted together."""
    table = pd.read_csv(RECIPES, sep="\t")
    ratings = np.full((52, 88), MISSING)
    people = pd.factorize(table["participant"])[0]
    recipes = pd.factorize(table["recipeid"] + " " + table["condition"])[0]
    ratings[recipes, people] = table["overall"] - 1
    units = [row[row != MISSING] for row in ratings]
    within = sum(np.sum(u[:, None] != u) / (len(u) - 1) for u in units)
    everything = np.concatenate(units)
    n = len(everything)
    expected = np.sum(everything[:, None] != everything) / (n - 1)
    alpha = alpha_interval(ratings, np.random.default_rng(0))
    assert n == len(table) == 1056
    assert alpha.value == pytest.approx(1 - within / expected)
    assert 0 < alpha.low < alpha.value < alpha.high < 0.2


def test_fleiss_example():
    ratings = np.array([np.repeat(np.arange(5), counts) for counts in FLEISS])
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_cohen_by_hand():
    # 20 both yes, 5 yes/no, 10 no/yes, 15 both no: p_o = 35/50, p_e = .5 * .6 + .5 * .4 = .5, kappa = .2/.5
    first = np.repeat([0, 0, 1, 1], [20, 5, 10, 15])
    second = np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_alpha_of_two_complete_raters_by_hand():
    # (0,0) (0,1) (1,1): coincidences 0-0: 2, 0-1: 1 each way, 1-1: 2; D_o = 2/6, D_e = 2*3*3/(6*5) = .6
    ratings = np.array([[0, 0], [0, 1], [1, 1]])
    assert krippendorff_alpha(ratings) == pytest.approx(1 - (2 / 6) / 0.6)


@pytest.mark.parametrize(
    "ratings",
    [np.empty((0, 2), dtype=int), np.array([[0, MISSING], [MISSING, 1]]), np.zeros((5, 2), dtype=int)],
)
def test_undefined_is_nan_with_the_widest_interval(ratings):
    found = alpha_interval(ratings, np.random.default_rng(0))
    assert np.isnan(found.value)
    assert (found.low, found.high) == (-1.0, 1.0)
    assert np.isnan(cohen_kappa(ratings[:, 0], ratings[:, 1]))


def test_perfect_agreement_on_few_items_is_not_certain():
    answers = np.array([0, 1, 0, 1, 1, 0])
    found = kappa_interval(answers, answers, np.random.default_rng(0))
    assert (found.value, found.high, found.n) == (1.0, 1.0, 6)
    assert found.low <= 0.0  # 3 of 6 may differ, by the rule of three
    assert kappa_interval(np.tile(answers, 50), np.tile(answers, 50), np.random.default_rng(0)).low > 0.95


def test_the_interval_narrows_with_more_items():
    rng = np.random.default_rng(1)
    first = rng.integers(2, size=400)
    second = np.where(rng.random(400) < 0.8, first, 1 - first)
    few = kappa_interval(first[:40], second[:40], np.random.default_rng(0))
    many = kappa_interval(first, second, np.random.default_rng(0))
    assert many.high - many.low < (few.high - few.low) / 2
    assert many.low < 0.6 < many.high  # truth: 80 % equal answers of two balanced classes


def test_bad_input_is_named():
    with pytest.raises(InputError, match="gaps"):
        fleiss_kappa(FOUR_OBSERVERS)
    with pytest.raises(InputError, match="2 raters or more"):
        fleiss_kappa(np.zeros((3, 1), dtype=int))
    with pytest.raises(InputError, match="expected nominal, ordinal or interval"):
        krippendorff_alpha(FOUR_OBSERVERS, "ratio")
