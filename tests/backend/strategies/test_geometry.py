"""Distances, clusters and typicality against direct computation."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.selection import spread
from plumbline_backend.strategies import geometry
from plumbline_backend.strategies.coverage import squared_radius
from plumbline_backend.strategies.geometry import distance_blocks, k_means, nearest, typicality


def drawn(n: int, d: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("cells", [7, 100, 10_000])
def test_blocks_of_distances_equal_the_whole_matrix(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "_CELLS", cells)
    a, b = drawn(13), drawn(6, seed=1)
    found = np.concatenate([d2 for _, d2 in distance_blocks(a, b)])
    np.testing.assert_allclose(found, ((a[:, None] - b[None]) ** 2).sum(axis=2), atol=1e-4)


def test_the_nearest_is_the_nearest() -> None:
    which, d2 = nearest(np.array([[0.0, 0], [9, 0]], np.float32), np.array([[8.0, 0], [1, 0]], np.float32))
    assert which.tolist() == [1, 0]
    np.testing.assert_allclose(d2, [1, 1], atol=1e-5)


def test_k_means_finds_separate_blobs() -> None:
    """Three blobs twenty deviations apart, in any order of the seeds."""
    truth = np.arange(90) % 3
    x = drawn(90, 2) + 20 * truth[:, None]
    for seed in range(10):
        found = k_means(x, 3, np.random.default_rng(seed))
        assert len(found.size) == 3
        assert all(len(np.unique(found.member[truth == c])) == 1 for c in range(3))
        assert found.size.sum() == 90


def test_k_means_of_equal_rows_is_one_cluster() -> None:
    found = k_means(np.ones((20, 3), np.float32), 5, np.random.default_rng(0))
    assert found.size.tolist() == [20]
    assert np.bincount(found.member).tolist() == [20]


def test_no_cluster_is_empty() -> None:
    x = np.repeat(drawn(6), 10, axis=0)
    for seed in range(20):
        found = k_means(x, 12, np.random.default_rng(seed))
        assert (np.bincount(found.member, minlength=len(found.size)) > 0).all()
        assert len(found.centres) == len(found.size) <= 6


def test_typicality_is_one_over_the_mean_distance() -> None:
    """On a line at 0, 1, 3 with one neighbour: distances 1, 1, 2."""
    found = typicality(np.array([[0.0], [1.0], [3.0]], np.float32), neighbours=1)
    np.testing.assert_allclose(found, [1, 1, 0.5], rtol=1e-4)
    assert typicality(np.zeros((1, 2), np.float32)).tolist() == [0]


def test_the_radius_stays_inside_clusters() -> None:
    """Two blobs of width 1 that are 20 apart: a pure ball reaches far, but not across."""
    x = drawn(200, 2)
    x[100:, 0] += 20
    radius = np.sqrt(squared_radius(x, 2, np.random.default_rng(0)))
    assert 10 < radius < 20
    assert squared_radius(np.ones((30, 2), np.float32), 4, np.random.default_rng(0)) == 0.0


def test_spread_puts_copies_last_and_keeps_the_order() -> None:
    x = np.array([[0.0, 0], [5, 5], [0, 0.001], [9, 0], [5, 5]])
    assert spread(x).tolist() == [0, 1, 3, 2, 4]
    assert spread(np.ones((4, 2))).tolist() == [0, 1, 2, 3]
    assert spread(x[:1]).tolist() == [0]
