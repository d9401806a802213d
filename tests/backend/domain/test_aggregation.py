"""Aggregation against arithmetic by hand, made workers whose truth is known, and the bluebirds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.aggregation import (
    METHODS,
    conflicts,
    dawid_skene,
    glad,
    mace,
    majority,
    top_two,
)
from plumbline_backend.domain.agreement import MISSING
from plumbline_backend.domain.errors import InputError

DATA = Path(__file__).parents[4] / "shared" / "data" / "bluebirds_ducks"


def made(
    n: int = 300, k: int = 3, skills: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6, 0.4), gaps: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Answers of workers who are right with the given probability and else guess evenly; some are missing."""
    draw = np.random.default_rng(0)
    truth = draw.integers(k, size=n)
    right = draw.random((n, len(skills))) < skills
    ratings = np.where(right, truth[:, None], draw.integers(k, size=right.shape))
    ratings[draw.random(right.shape) < gaps] = MISSING
    return ratings, truth


def test_majority_by_hand() -> None:
    """Two of three say 1; a tie goes to the lower class; nobody answered: even odds."""
    found = majority(np.array([[1, 1, 0], [2, 0, MISSING], [MISSING] * 3]), 3)
    np.testing.assert_allclose(found.proba, [[1 / 3, 2 / 3, 0], [1 / 2, 0, 1 / 2], [1 / 3] * 3])
    assert found.label.tolist() == [1, 0, 0]
    assert found.skill.tolist() == [0.5, 1.0, 0.0]


@pytest.mark.parametrize("name", METHODS)
def test_methods_find_the_truth_and_who_is_good(name: str) -> None:
    ratings, truth = made()
    before = ratings.copy()
    found = METHODS[name](ratings, 3)
    share = (found.label == truth).mean()
    assert share >= (majority(ratings, 3).label == truth).mean() - 0.01
    assert share > 0.85
    assert found.skill[0] > found.skill[2] > found.skill[4]
    np.testing.assert_allclose(found.proba.sum(axis=1), 1)
    np.testing.assert_array_equal(ratings, before)
    np.testing.assert_array_equal(METHODS[name](ratings, 3).proba, found.proba)


@pytest.mark.parametrize("name", METHODS)
def test_items_and_workers_without_answers(name: str) -> None:
    ratings, _ = made(40)
    ratings = np.column_stack([ratings, np.full(40, MISSING)])
    ratings[0] = MISSING
    found = METHODS[name](ratings, 3)
    assert np.isnan(found.skill[-1])
    assert np.isfinite(found.skill[:-1]).all()
    assert np.isfinite(found.proba).all()
    assert found.proba[0].max() < 0.6


@pytest.mark.parametrize("name", METHODS)
def test_a_single_class_and_a_single_worker(name: str) -> None:
    assert METHODS[name](np.zeros((5, 2), dtype=int), 2).label.tolist() == [0] * 5
    assert METHODS[name](np.array([[0], [1], [1]]), 2).label.tolist() == [0, 1, 1]


def test_dawid_skene_reads_a_worker_who_says_the_opposite() -> None:
    """Three good workers and one who always swaps: the swapped answers are evidence too."""
    draw = np.random.default_rng(1)
    truth = draw.integers(2, size=200)
    good = np.where(draw.random((200, 3)) < 0.85, truth[:, None], 1 - truth[:, None])
    found = dawid_skene(np.column_stack([good, 1 - truth]), 2)
    assert (found.label == truth).mean() > 0.97
    confusion = found.more["confusion"]
    assert confusion[3, 0, 1] > 0.9
    np.testing.assert_allclose(confusion.sum(axis=2), 1)


def test_mace_tells_those_who_know_from_those_who_click() -> None:
    draw = np.random.default_rng(2)
    truth = draw.integers(3, size=300)
    known = np.where(draw.random((300, 3)) < 0.8, truth[:, None], draw.integers(3, size=(300, 3)))
    found = mace(np.column_stack([known, np.zeros(300, dtype=int)]), 3)
    assert found.skill[:3] == pytest.approx([0.8] * 3, abs=0.12)
    assert found.skill[3] < 0.1
    assert found.more["guess"][3, 0] > 0.9


def test_glad_knows_hard_items() -> None:
    """Half of the items are answered at random by everyone."""
    draw = np.random.default_rng(3)
    truth = draw.integers(2, size=200)
    chance = np.where(np.arange(200) < 100, 0.95, 0.5)
    ratings = np.where(draw.random((200, 8)) < chance[:, None], truth[:, None], 1 - truth[:, None])
    found = glad(ratings, 2)
    assert found.more["easiness"][:100].mean() > 1.5 * found.more["easiness"][100:].mean()


def test_top_two_finds_answer_and_rival() -> None:
    """Of five classes each item has a truth (70 %) and one rival (30 %); workers guess in a fifth of their answers."""
    draw = np.random.default_rng(4)
    n, k = 400, 5
    truth = draw.integers(k, size=n)
    rival = (truth + draw.integers(1, k, size=n)) % k
    told = np.where(draw.random((n, 20)) < 0.7, truth[:, None], rival[:, None])
    ratings = np.where(draw.random((n, 20)) < 0.8, told, draw.integers(k, size=(n, 20)))
    found = top_two(ratings, k)
    assert (found.first == truth).mean() > 0.9
    assert ((found.first == truth) & (found.second == rival)).mean() > 0.85
    assert found.confusion.mean() == pytest.approx(0.7, abs=0.1)
    assert found.skill.mean() == pytest.approx(0.8, abs=0.12)
    with pytest.raises(InputError, match="2 classes and 20 workers"):
        top_two(ratings % 2, 2)


def test_conflicts_are_queued_from_the_least_certain() -> None:
    ratings = np.array([[0, 0, 0], [0, 1, 1], [0, 1, MISSING], [MISSING] * 3])
    assert conflicts(ratings, majority(ratings, 2)).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ([[0, 3]], "rating of item 0 by worker 1 is 3; expected a class from 0 to 2, or -1 for none"),
        ([0, 1], r"ratings have shape \(2,\)"),
    ],
)
def test_refusals(ratings: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        majority(np.array(ratings), 3)


def bluebirds() -> tuple[np.ndarray, np.ndarray]:
    if not DATA.exists():
        pytest.skip("bluebirds_ducks is not in shared/data")
    yaml = pytest.importorskip("yaml")
    truth = yaml.safe_load((DATA / "bluebirds_gt.yaml").read_text())
    labels = yaml.safe_load((DATA / "bluebirds_labels.yaml").read_text())
    items = sorted(truth)
    ratings = np.array([[int(labels[worker][item]) for worker in labels] for item in items])
    return ratings, np.array([int(truth[item]) for item in items])


@pytest.mark.parametrize(("name", "least"), [("majority", 0.759), ("dawid_skene", 0.898), ("mace", 0.898)])
def test_bluebirds(name: str, least: float) -> None:
    """108 pictures, 39 workers: majority .759, Dawid-Skene .898, MACE .898."""
    ratings, truth = bluebirds()
    assert ratings.shape == (108, 39)
    share = (METHODS[name](ratings, 2).label == truth).mean()
    assert share >= least - 5e-4
