"""Axes, outlines, colours, pictures and neighbours, each on numbers worked by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import LabelClass, Question
from plumbline_backend.map.colours import (
    MOST_CLASSES,
    Colours,
    LegendEntry,
    by_class,
    by_confidence,
    by_error,
    class_places,
    newest_answers,
)
from plumbline_backend.map.inside import inside
from plumbline_backend.map.pca import in_unit_square, principal_axes, project
from plumbline_backend.map.raster import View, picture
from plumbline_backend.pool import neighbours
from plumbline_backend.pool.matrix import FeatureMatrix, MatrixWriter
from plumbline_backend.pool.neighbours import build_index, more_like, nearest_rows
from plumbline_backend.store.current import CurrentArrays


def matrix(folder, rows):
    writer = MatrixWriter(folder, rows.shape[1])
    writer.append(rows.astype(np.float32))
    writer.close()
    return FeatureMatrix(folder)


def rng():
    return np.random.default_rng(0)


# Principal components


def test_the_first_axis_is_the_longest(tmp_path):
    rows = rng().normal(size=(500, 3)) * [1, 9, 3] + [5, 5, 5]
    _, axes = principal_axes(rows, 2)
    np.testing.assert_allclose(np.abs(axes), [[0, 1, 0], [0, 0, 1]], atol=0.1)
    assert (axes[np.arange(2), np.abs(axes).argmax(axis=1)] > 0).all()
    points = project(matrix(tmp_path, rows), rng())
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-3)
    assert points[:, 0].std() > points[:, 1].std() > 2


@pytest.mark.parametrize(
    "rows", [np.zeros((5, 3)), np.ones((1, 3)), np.tile([1.0, 2, 3], (4, 1)), np.ones((3, 1))]
)
def test_pools_without_directions_lie_in_one_place(tmp_path, rows):
    points = in_unit_square(project(matrix(tmp_path, rows), rng()))
    assert points.shape == (len(rows), 2)
    np.testing.assert_allclose(points, 0.5, atol=1e-5)


def test_nearly_all_points_are_in_the_unit_square_and_nothing_is_stretched():
    points = rng().normal(size=(10_000, 2)) * [5, 1]
    placed = in_unit_square(points)
    assert ((placed >= 0) & (placed <= 1)).all(axis=1).mean() > 0.998
    np.testing.assert_allclose(
        placed[:, 0].std() / placed[:, 1].std(), points[:, 0].std() / points[:, 1].std(), rtol=1e-3
    )


# Outlines


def by_hand(points, corners):
    """The textbook loop, one point at a time."""
    found = []
    for i, (x, y) in enumerate(points.astype(float)):
        odd = False
        for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                odd = not odd
        found += [i] if odd else []
    return found


@pytest.mark.parametrize(
    "corners",
    [
        [(0.1, 0.1), (0.9, 0.2), (0.5, 0.9)],
        [(0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)],  # crosses itself
        [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.5, 0.3), (0.2, 0.8)],
        [(0.3, 0.3), (0.3, 0.3), (0.7, 0.3), (0.7, 0.7)],
        [(-5.0, 0.45), (5.0, 0.5), (5.0, 0.55)],
    ],
)
def test_inside_is_the_even_odd_rule(corners):
    points = rng().random((4_000, 2)).astype(np.float32)
    assert inside(points, np.array(corners)).tolist() == by_hand(points, corners)


def test_a_wild_lasso_is_exact_too():
    corners = [tuple(c) for c in np.random.default_rng(3).random((60, 2))]
    points = rng().random((2_000, 2)).astype(np.float32)
    assert inside(points, np.array(corners)).tolist() == by_hand(points, corners)


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        (np.zeros((2, 2)), "expected 3 to 5,000 corners"),
        (np.zeros((5, 3)), "expected 3 to 5,000 corners"),
        (np.array([[0, 0], [1, np.nan], [1, 1]]), "NaN or infinite"),
        (np.zeros((6_000, 2)), "expected 3 to 5,000 corners"),
    ],
)
def test_an_outline_that_is_none_is_refused(corners, message):
    with pytest.raises(InputError, match=message):
        inside(np.zeros((3, 2), dtype=np.float32), corners)


def test_a_line_and_an_empty_map_hold_nothing():
    points = rng().random((50, 2)).astype(np.float32)
    assert inside(points, np.array([(0.1, 0.1), (0.9, 0.9), (0.5, 0.5)])).size == 0
    assert inside(np.empty((0, 2), dtype=np.float32), np.array([(0, 0), (1, 0), (1, 1)])).size == 0


# Colours


def question(n=3, merged=False):
    classes = [LabelClass(f"c{i}", f"class {i}", "#0072b2") for i in range(n)]
    if merged:
        classes[2] = LabelClass("c2", "class 2", "#0072b2", merged_into="c0")
    return Question(1, 1, 1, "choice", "?", "", tuple(classes))


def current(rows):
    columns = list(zip(*rows, strict=True)) if rows else [[], [], [], [], []]
    item, judge, answer, state, stratum = columns
    return CurrentArrays(
        id=np.arange(len(item), dtype=np.int64),
        item=np.array(item, dtype=np.int64),
        judge_id=np.array(judge, dtype=np.int64),
        answer=np.array(answer, dtype=object),
        state=np.array(state, dtype=object),
        stratum=np.array(stratum, dtype=object),
    )


def test_the_newest_answer_counts_and_merges_are_followed():
    rows = current(
        [
            (4, 1, "c1", "answered", "stream"),
            (2, 9, "c0", "answered", "browse"),
            (7, 1, None, "skipped", "model"),
            (4, 2, "c2", "answered", "model"),
        ]
    )
    found = newest_answers(rows, question(merged=True), {9})
    assert found.items.tolist() == [2, 4]
    assert found.place.tolist() == [1, 1]  # c2 reads as c0
    assert found.source.tolist() == [7, 2]  # imported; the model's choice


def test_no_answers_colour_nothing():
    found = newest_answers(current([]), question(), set())
    assert found.items.size == 0
    assert by_error(3, found, np.zeros(3, dtype=np.uint8)).index.tolist() == [0, 0, 0]


def test_legends_count_and_share_the_last_colour():
    many = question(MOST_CLASSES + 20)
    places = class_places(many)
    assert max(places.values()) == MOST_CLASSES + 1 <= 255
    found = by_class(np.array([0, 1, 251, 251], dtype=np.uint8), many, "not answered")
    assert found.legend[0] == LegendEntry("not answered", "#9a978f", 1)
    assert found.legend[-1][::2] == ("other classes", 2)


def test_unknown_confidence_is_unknown():
    found = by_confidence(np.array([0.0, 0.05, 0.55, 1.0, np.nan]))
    assert found.index.tolist() == [1, 1, 6, 10, 0]
    assert found.legend[0].words == "not scored"


# Pictures

VIEW = View(0, 1, 0, 1, 20, 10)


def drawn(points, index):
    legend = (LegendEntry("unknown", "#808080", 0), LegendEntry("a", "#ff0000", 0))
    png = picture(np.array(points, dtype=np.float32), Colours(np.array(index, dtype=np.uint8), legend), VIEW)
    return np.array(Image.open(io.BytesIO(png)))


def test_a_known_point_is_drawn_in_its_colour_where_it_lies():
    image = drawn([(0.05, 0.95), (0.9, 0.1)], [1, 0])
    assert image.shape == (10, 20, 4)
    top_left, bottom_right = image[:2, :3].reshape(-1, 4), image[-2:, -4:].reshape(-1, 4)
    assert [255, 0, 0] in top_left[top_left[:, 3] > 0][:, :3].tolist()
    assert [128, 128, 128] in bottom_right[bottom_right[:, 3] > 0][:, :3].tolist()
    assert (image[:, :, 3] > 0).sum() == 2


def test_one_known_item_shows_among_unknown_ones():
    image = drawn([(0.5, 0.5)] * 20, [0] * 19 + [1])
    (pixel,) = image[image[:, :, 3] > 0]
    assert pixel[0] > 180 > 70 > pixel[1]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View(1, 0, 0, 1, 5, 5), "x0 < x1"),
        (View(0, float("nan"), 0, 1, 5, 5), "x0 < x1"),
        (View(0, 1, 0, 1, 0, 5), "expected 1 to 4000"),
        (View(0, 1, 0, 1, 5, 10**6), "expected 1 to 4000"),
    ],
)
def test_a_view_that_cannot_be_drawn_is_refused(view, message):
    colours = Colours(np.zeros(1, dtype=np.uint8), (LegendEntry("unknown", "#808080", 1),))
    with pytest.raises(InputError, match=message):
        picture(np.zeros((1, 2), dtype=np.float32), colours, view)


# Neighbours


def test_neighbours_are_those_of_the_plain_distance(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 64)
    rows = rng().normal(size=(500, 8)).astype(np.float32)
    features = matrix(tmp_path, rows)
    near, distance = nearest_rows(features, rows[:20], 7)
    plain = np.linalg.norm(rows[:20, None] - rows[None], axis=2)
    expected = np.argsort(plain, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(near, expected)
    np.testing.assert_allclose(distance, np.take_along_axis(plain, expected, axis=1), atol=2e-3)


def test_more_like_leaves_the_item_and_the_answered_out(tmp_path):
    features = matrix(tmp_path, np.arange(10.0)[:, None])
    found = more_like(features, 3, 4, left_out=np.array([4]))
    assert found.items.tolist()[:3] == [2, 1, 5]
    assert found.distance.tolist() == [1, 2, 2, 3]
    assert found.exact
    assert more_like(features, 3, 100).items.tolist() == [2, 4, 1, 5, 0, 6, 7, 8, 9]
    assert more_like(features, 3, 0).items.size == 0


def test_of_duplicates_none_comes_twice_and_never_the_item_itself(tmp_path):
    found = more_like(matrix(tmp_path, np.zeros((6, 2))), 2, 3)
    assert len(set(found.items.tolist()) - {2}) == 3
    assert found.distance.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("item", "k", "message"), [(-1, 3, "item: found -1"), (9, 3, "found 9"), (1, -2, "k: found -2")]
)
def test_neighbours_of_nothing_are_refused(tmp_path, item, k, message):
    with pytest.raises(InputError, match=message):
        more_like(matrix(tmp_path, np.zeros((5, 2))), item, k)


def test_above_the_limit_a_faiss_index_answers(tmp_path, monkeypatch):
    """50 clusters of 80: the index finds nearly all of the true ten nearest, and says that it is not exact."""
    pytest.importorskip("faiss", reason="pip install 'plumbline[large]'")
    monkeypatch.setattr(neighbours, "EXACT_UP_TO", 1_000)
    centres = rng().normal(size=(50, 16)) * 10
    rows = np.repeat(centres, 80, axis=0) + rng().normal(size=(4_000, 16))
    features = matrix(tmp_path, rows)
    assert more_like(features, 5, 10).exact  # no index yet
    assert build_index({"features": str(tmp_path), "seed": 0}, lambda *_: None)["n_items"] == 4_000
    recalled = 0
    for item in range(0, 4_000, 200):
        found = more_like(features, item, 10)
        assert not found.exact
        true = nearest_rows(features, features.gather([item]), 11)[0][0]
        recalled += len(set(found.items.tolist()) & set(true.tolist()))
    assert recalled / 200 > 0.95
