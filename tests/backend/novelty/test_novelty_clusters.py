"""New clusters beside known classes."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.novelty.clusters import discover


def blobs(centres, n=40, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(c, spread, (n, 2)) for c in centres])


KNOWN = np.array([[0.0, 0.0], [8.0, 0.0]])


@pytest.mark.parametrize("centres", [[(0, 8), (8, 8)], [(0, 8), (8, 8), (4, 14)]])
def test_new_clouds_are_told_apart_and_counted(centres):
    found = discover(blobs(centres), KNOWN, np.random.default_rng(1))
    assert found.k == len(centres)
    for k in range(len(centres)):
        assert len(np.unique(found.label[40 * k : 40 * (k + 1)])) == 1
    assert max(found.silhouette, key=found.silhouette.get) == len(centres)


def test_rows_at_a_known_mean_stay_with_it():
    found = discover(blobs([(0, 0), (0, 8), (8, 8)]), KNOWN, np.random.default_rng(1))
    assert (found.label[:40] == -1).mean() > 0.9
    assert found.k == 2


def test_one_cloud_is_one_cluster():
    found = discover(blobs([(0, 8)], spread=0.3), KNOWN, np.random.default_rng(1))
    assert found.k == 1 or found.silhouette[found.k] >= 0.25


def test_few_rows_and_none():
    assert discover(np.empty((0, 2)), KNOWN, np.random.default_rng(1)).k == 0
    few = discover(np.array([[0.0, 8], [0, 9], [1, 8]]), KNOWN, np.random.default_rng(1))
    assert few.k <= 1


def test_identical_rows_and_constant_columns_do_not_break_it():
    found = discover(np.tile([3.0, 7.0], (20, 1)), KNOWN * [1, 0] + [0, 7], np.random.default_rng(1))
    assert found.k <= 1
    assert np.isfinite(found.distance).all()


def test_without_known_classes_it_is_plain_clustering():
    found = discover(blobs([(0, 0), (9, 9)]), np.empty((0, 2)), np.random.default_rng(1))
    assert found.k == 2


def test_the_rng_alone_decides():
    rows = blobs([(0, 8), (8, 8)])
    one, two = (discover(rows, KNOWN, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.label, two.label)


@pytest.mark.parametrize(
    ("rows", "known", "message"),
    [
        (np.full((4, 2), np.nan), KNOWN, "NaN or infinite"),
        (np.zeros((4, 3)), KNOWN, "the same width"),
        (np.zeros(4), KNOWN, "the same width"),
    ],
)
def test_what_cannot_be_clustered_is_refused(rows, known, message):
    with pytest.raises(InputError, match=message):
        discover(rows, known, np.random.default_rng(1))
