"""Confident learning, training dynamics and duplicates, by hand and on data with known errors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.health import duplicates
from plumbline_backend.health.confident import confident_learning
from plumbline_backend.health.duplicates import labels_differ, near_duplicates
from plumbline_backend.health.dynamics import training_dynamics
from plumbline_backend.health.task import cross_validated
from plumbline_backend.pool.matrix import FeatureMatrix, MatrixWriter

DATA = Path(__file__).parents[4] / "shared" / "data" / "label_errors"


def rng(seed=0):
    return np.random.default_rng(seed)


# Confident learning


def test_thresholds_and_flags_by_hand():
    """t_0 = (.9 + .8 + .3) / 3 = .667, t_1 = (.7 + .9) / 2 = .8. Item 2 (label 0) has p_1 = .7 < .8: it reaches no
    threshold and counts nowhere. With p_1 = .85 it would be off the diagonal."""
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.3, 0.7], [0.1, 0.9]])
    found = confident_learning(proba, np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found.threshold, [2 / 3, 0.8])
    assert not found.flagged.any()
    proba[2] = [0.15, 0.85]
    found = confident_learning(proba, np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found.threshold, [(0.9 + 0.8 + 0.15) / 3, 0.8])
    assert found.flagged.tolist() == [False, False, True, False, False]
    assert found.suggested.tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_allclose(found.joint, [[2, 1], [0, 2]])  # rows 2:1 of 3, 0:1 of 2
    np.testing.assert_allclose(found.joint.sum(axis=1), [3, 2])


def by_loops(proba, labels):
    """The definition, one item at a time."""
    k = proba.shape[1]
    thresholds = [np.mean([p[j] for p, y in zip(proba, labels, strict=True) if y == j]) for j in range(k)]
    flags = []
    for p, y in zip(proba, labels, strict=True):
        reached = [j for j in range(k) if p[j] >= thresholds[j]]
        flags.append(bool(reached) and max(reached, key=lambda j: p[j]) != y)
    return flags


@pytest.mark.parametrize("seed", range(5))
def test_flags_are_those_of_the_definition(seed):
    proba = rng(seed).dirichlet(np.ones(4), size=300)
    labels = rng(seed + 10).integers(4, size=300)
    assert confident_learning(proba, labels).flagged.tolist() == by_loops(proba, labels)


@pytest.mark.skipif(not DATA.exists(), reason=f"no data at {DATA}")
@pytest.mark.parametrize(
    ("name", "n_flagged", "flags", "n_errors", "n_found"),
    [
        ("cifar10", 244, "e0ac7073d906207b03cf7eded877a8f5f13e7c11d10384712b4e265bea09cbb9", 54, 48),
        ("20news", 55, "7ba023bfc5351f3fa5c893f503965310045bc0813ed5c158669642a087dc64d4", 82, 40),
    ],
)
def test_real_labels_as_cleanlab_flags_them(name, n_flagged, flags, n_errors, n_found):
    """flags: SHA-256 of the ascending indices (little-endian int64) that cleanlab 2.9.0 flags, from
    find_label_issues(labels, proba, filter_by="confident_learning"); its licence keeps it out of the dependencies.
    Errors: items of which fewer than three of five workers kept the given label."""
    proba = np.load(DATA / f"{name}_test_set_pyx.npy")
    labels = np.load(DATA / f"{name}_test_set_original_labels.npy")
    found = confident_learning(proba, labels)
    assert found.flagged.sum() == n_flagged
    assert hashlib.sha256(np.flatnonzero(found.flagged).astype("<i8").tobytes()).hexdigest() == flags
    checked = json.loads((DATA / f"{name}_mturk.json").read_text())
    errors = [row for row in checked if row["mturk"]["given"] < 3]
    hit = [row for row in errors if found.flagged[row["id"]]]
    assert (len(errors), len(hit)) == (n_errors, n_found)
    assert all(found.suggested[row["id"]] == row["our_guessed_label"] for row in hit)


def test_a_class_without_items_flags_nothing_for_itself():
    found = confident_learning(np.array([[0.1, 0.1, 0.8], [0.6, 0.3, 0.1]]), np.array([0, 0]))
    assert np.isnan(found.threshold[1:]).all()
    assert not found.flagged.any()


def test_one_class_and_no_items():
    assert not confident_learning(np.ones((4, 1)), np.zeros(4, dtype=int)).flagged.any()
    assert confident_learning(np.empty((0, 3)), np.empty(0, dtype=int)).flagged.size == 0


@pytest.mark.parametrize(
    ("proba", "labels", "message"),
    [
        (np.full((2, 2), np.nan), np.array([0, 1]), "NaN or infinite"),
        (np.full((2, 2), 0.5), np.array([0, 2]), "expected classes from 0 to 1"),
        (np.full((2, 2), 0.5), np.array([0]), r"expected \(n, K\) and \(n,\)"),
    ],
)
def test_what_cannot_be_checked_is_refused(proba, labels, message):
    with pytest.raises(InputError, match=message):
        confident_learning(proba, labels)


# Training dynamics


def clouds(n=120, wrong=(), seed=0):
    centres = np.array([[0, 0], [6, 0], [0, 6]])
    y = np.arange(n) % 3
    x = centres[y] + rng(seed).normal(0, 0.7, (n, 2))
    given = y.copy()
    given[list(wrong)] = (given[list(wrong)] + 1) % 3
    return x, y, given


def test_wrong_labels_have_low_areas_and_large_errors():
    wrong = [3, 40, 77]
    x, _, given = clouds(wrong=wrong)
    found = training_dynamics(x, given, 3, rng())
    assert set(np.argsort(found.aum)[:3]) == set(wrong)
    assert set(np.argsort(-found.el2n)[:3]) == set(wrong)
    assert found.low_aum[wrong].all()
    assert found.low_aum.sum() <= 6
    assert ((found.el2n >= 0) & (found.el2n <= np.sqrt(2))).all()


def test_clean_labels_raise_few_alarms():
    x, _, given = clouds()
    assert training_dynamics(x, given, 3, rng()).low_aum.sum() <= 2


def test_the_rng_alone_decides():
    x, _, given = clouds()
    one, two = (training_dynamics(x, given, 3, rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.aum, two.aum)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_labels_raise_no_alarm(n):
    x, _, given = clouds()
    found = training_dynamics(x[:n], given[:n], 3, rng())
    assert found.aum.shape == (n,)
    assert not found.low_aum.any()
    assert np.isfinite(found.el2n).all()


def test_constant_and_duplicate_features_give_finite_figures():
    found = training_dynamics(np.ones((30, 4)), np.arange(30) % 3, 3, rng())
    assert np.isfinite(found.aum).all()


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.full((3, 2), np.inf), np.zeros(3, dtype=int), "NaN or infinite"),
        (np.ones((3, 2)), np.array([0, 1, 5]), "expected classes from 0 to 2"),
        (np.ones(3), np.zeros(3, dtype=int), r"expected \(n, d\) and \(n,\)"),
    ],
)
def test_dynamics_of_nonsense_are_refused(x, y, message):
    with pytest.raises(InputError, match=message):
        training_dynamics(x, y, 3, rng())


def test_cross_validation_never_sees_the_item():
    """A label that only this item has: its own fold's head has never seen the class."""
    x, y, given = clouds()
    given[7] = 3
    proba = cross_validated(x, given, 4, 1.0, rng())
    assert proba[7, 3] < 0.1
    assert (proba.argmax(axis=1) == y)[np.arange(120) != 7].mean() > 0.95
    np.testing.assert_allclose(proba.sum(axis=1), 1)


# Duplicates


def matrix(folder, rows):
    writer = MatrixWriter(folder, rows.shape[1])
    writer.append(rows.astype(np.float32))
    writer.close()
    return FeatureMatrix(folder)


def check(features, first=()):
    return near_duplicates(features, np.array(first, dtype=np.int64), rng(), lambda *_: None)


def test_copies_and_near_copies_are_grouped(tmp_path):
    rows = rng().normal(size=(200, 5)) * 10
    rows[50] = rows[3]
    rows[51] = rows[3] + 0.01
    rows[120] = rows[119] + 0.02
    found = check(matrix(tmp_path, rows))
    assert found.groups == [[3, 50, 51], [119, 120]]
    assert found.n_checked == 200


def test_all_alike_are_no_duplicates_but_features_that_say_nothing(tmp_path):
    assert check(matrix(tmp_path, np.ones((40, 3)))).groups == []


@pytest.mark.parametrize("n", [1, 2])
def test_a_pool_of_one_or_two(tmp_path, n):
    assert check(matrix(tmp_path, rng().normal(size=(n, 3)))).groups == []


def test_large_pools_check_the_answered_first(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "QUERIES", 50)
    rows = rng().normal(size=(2_000, 5)) * 10
    rows[1_900] = rows[7]
    found = check(matrix(tmp_path, rows), first=[1_900])
    assert found.n_checked == 50
    assert found.groups == [[7, 1_900]]


def test_groups_know_whether_their_labels_differ():
    assert labels_differ([1, 2, 3], {1: "a", 3: "b"})
    assert not labels_differ([1, 2, 3], {1: "a", 9: "b"})
    assert not labels_differ([1, 2], {})
