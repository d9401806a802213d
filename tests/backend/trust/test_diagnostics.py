"""Diagnostics of features on made data whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.trust.diagnostics import (
    el2n,
    grand,
    intrinsic_dimension,
    neighbour_agreement,
    neural_collapse,
    separability,
    shifts,
    shortcuts,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("true", [1, 2, 5])
def test_the_dimension_of_a_flat_sheet_in_many_columns(true: int) -> None:
    draw = rng()
    rows = draw.uniform(size=(2000, true)) @ draw.normal(size=(true, 30))
    found = intrinsic_dimension(rows, rng())
    assert found.two_nn == pytest.approx(true, rel=0.15)
    assert found.mle == pytest.approx(true, rel=0.25)


def test_too_few_or_equal_rows_have_no_dimension() -> None:
    assert np.isnan(intrinsic_dimension(np.ones((500, 3)), rng()).two_nn)
    assert intrinsic_dimension(np.ones((500, 3)), rng()).n == 1


def collapsed(spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four classes around the corners of a regular simplex."""
    corners = np.eye(4) - 0.25
    targets = np.arange(400) % 4
    return corners[targets] + rng().normal(scale=spread, size=(400, 4)), targets, corners


def test_collapse_is_measured_from_none_to_full() -> None:
    tight, loose = (neural_collapse(x, y, w, y) for x, y, w in (collapsed(0.001), collapsed(0.5)))
    assert tight.nc1 < 1e-4 < 0.5 < loose.nc1
    assert tight.nc2 < 0.01 < loose.nc2
    assert tight.nc3 < 0.01
    assert tight.nc4.value == 0 < loose.nc4.value
    x, y, w = collapsed(0.1)
    with pytest.raises(InputError, match="found 3 classes; expected items of all 4"):
        neural_collapse(x[y < 3], y[y < 3], w, y[y < 3])


def test_clusters_are_told_from_noise_without_labels() -> None:
    draw = rng()
    noise = draw.normal(size=(600, 40))
    clusters = 12 * draw.normal(size=(6, 40))[draw.integers(6, size=600)] + 0.2 * noise
    assert separability(clusters, rng()) < 0.1 < 0.6 < separability(noise, rng())
    assert np.isnan(separability(noise[:2], rng()))


def test_a_new_import_that_differs_is_named_by_column() -> None:
    draw = rng()
    old = {"size": draw.normal(size=500), "site": draw.choice(["a", "b"], 500), "same": np.array(["x"] * 500)}
    new = {
        "size": draw.normal(loc=1, size=300),
        "site": draw.choice(["a", "b"], 300),
        "same": np.array(["x"] * 300),
    }
    found = {each.column: each for each in shifts(old, new)}
    assert found["size"].shifted
    assert found["size"].statistic > 0.3
    assert not found["site"].shifted
    assert not found["same"].shifted
    assert next(iter(found)) == "size"
    new["site"] = np.array(["c"] * 300)
    assert next(each for each in shifts(old, new) if each.column == "site").shifted
    assert shifts(old, {}) == []


def test_a_column_that_gives_the_label_away_is_named() -> None:
    draw = rng()
    targets = draw.integers(2, size=600)
    columns = {
        "camera": np.where(draw.random(600) < 0.9, targets, 1 - targets).astype(str),
        "size": draw.normal(size=600),
        "leak": targets + draw.normal(scale=0.1, size=600),
        "id": np.array([f"i{i}" for i in range(600)]),
    }
    found = {each.column: each for each in shortcuts(columns, targets, rng())}
    assert found["leak"].suspicious
    assert found["camera"].suspicious
    assert found["camera"].accuracy.value == pytest.approx(0.9, abs=0.04)
    assert not found["size"].suspicious
    assert not found["id"].suspicious
    assert shortcuts(columns, targets[:0], rng()) == []


def test_importance_by_hand_and_as_the_gradient() -> None:
    """p = (0.6, 0.4), class 0: |(-0.4, 0.4)| = 0.5657; with h = (2, 2): times sqrt(9) = 3."""
    proba, targets = np.array([[0.6, 0.4]]), np.array([0])
    assert el2n(proba, targets)[0] == pytest.approx(0.32**0.5)
    features = np.array([[2.0, 2.0]])
    gradient = np.outer(proba[0] - [1, 0], [*features[0], 1.0])
    assert grand(proba, targets, features)[0] == pytest.approx(np.linalg.norm(gradient))


def test_neighbours_agree_where_classes_are_apart() -> None:
    """On a line 0, 1, 2 | 10, 11, 12 every nearest item is of the same side; with labels in turn none of them."""
    line = np.array([[0.0], [1.0], [2.1], [10.0], [11.0], [12.1]])
    apart = neighbour_agreement(line, np.array([0, 0, 0, 1, 1, 1]))
    assert (apart.value, apart.n) == (1.0, 6)
    assert neighbour_agreement(line, np.array([0, 1, 0, 1, 0, 1])).value == 0.0
    twins = np.zeros((4, 2))
    assert neighbour_agreement(twins, np.zeros(4, dtype=int)).value == 1.0
    assert neighbour_agreement(line[:1], np.zeros(1, dtype=int)).n == 0


def test_numbers_that_are_all_missing_are_no_shift() -> None:
    old, new = {"x": np.full(50, np.nan)}, {"x": np.arange(50.0)}
    assert not shifts(old, new)[0].shifted
