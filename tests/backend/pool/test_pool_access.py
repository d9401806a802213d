"""Items by position and key, columns in order, images; the work of one access does not grow with the pool."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.pool.fields import BATCH_ROWS


def numbered(make_pool, n):
    return make_pool(
        {
            "id": ("id", [f"k{i}" for i in range(n)]),
            "x": ("numeric", [float(i) if i % 7 else None for i in range(n)]),
            "v": ("features", np.arange(2 * n).reshape(n, 2)),
            "label": ("label", ["odd" if i % 2 else "" for i in range(n)]),
        },
        batch_rows=1777,
    )


def test_items_come_in_the_order_asked(make_pool):
    pool = numbered(make_pool, 10_000)
    positions = [9_999, 0, 4_096, 4_095, 0]
    assert [item.position for item in pool.items(positions)] == positions
    assert [item.key for item in pool.items(positions)] == [f"k{i}" for i in positions]
    assert pool.item(8).fields == {"id": "k8", "x": 8, "label": None}
    assert pool.item(7).fields == {"id": "k7", "x": None, "label": "odd"}
    assert pool.items([]) == []


def test_column_values_and_matrices(make_pool):
    pool = numbered(make_pool, 10_000)
    assert pool.column_values("x", [9_999, 1, 7]) == [9_999, 1, None]
    assert [row.tolist() for row in pool.column_values("v", [3])] == [[6, 7]]
    assert pool.column_array("label", np.array([5, 4])).to_pylist() == ["odd", None]
    assert pool.column_array("label", np.array([], dtype=np.int64)).to_pylist() == []
    assert sum(len(part) for part in pool.column("x")) == 10_000
    assert sum(len(part) for part in pool.column("v")) == 10_000
    assert pool.value_counts("label") == {"odd": 5_000}


def test_keys_lead_back_to_positions(make_pool):
    pool = numbered(make_pool, 10_000)
    assert [pool.position(pool.key(i)) for i in (0, 4_321, 9_999)] == [0, 4_321, 9_999]
    with pytest.raises(NotFoundError, match=r"^no item has the key 'k10000'$"):
        pool.position("k10000")
    with pytest.raises(NotFoundError):
        pool.position("\ud800")


@pytest.mark.parametrize("position", [-1, 10_000])
def test_positions_outside_are_refused(make_pool, position):
    pool = numbered(make_pool, 10_000)
    with pytest.raises(InputError, match=r"expected them within 0 to 9999$"):
        pool.item(position)


def test_one_item_reads_one_batch_whatever_the_size(make_pool):
    for n in (100, 40_000):
        pool = numbered(make_pool, n)
        before = pool.n_batches_read
        pool.item(n // 2)
        assert pool.n_batches_read - before == 1
        before = pool.n_batches_read
        pool.items(list(range(n))[:: max(1, n // 50)])
        assert pool.n_batches_read - before <= -(-n // BATCH_ROWS)


def test_many_threads_read_the_same(make_pool):
    pool = numbered(make_pool, 20_000)
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda i: pool.item(i).key, range(0, 20_000, 61)))
    assert keys == [f"k{i}" for i in range(0, 20_000, 61)]


def test_items_without_ids_are_called_by_their_row(make_pool):
    pool = make_pool({"x": ("numeric", [5, 6])})
    assert [pool.key(0), pool.key(1)] == ["1", "2"]
    assert pool.position("2") == 1


def test_images_are_shown_as_they_were_imported(make_pool):
    out = io.BytesIO()
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(out, "PNG")
    pool = make_pool({"id": ("id", ["a", "b"]), "photo": ("image", [out.getvalue(), None])})
    shown, mime = pool.image(0)
    assert mime == "image/png"
    assert shown == out.getvalue()
    assert "photo" not in pool.item(0).fields
    with pytest.raises(NotFoundError, match=r"^item 1 has no image in column 'photo'$"):
        pool.image(1)
    with pytest.raises(InputError, match=r"^column 'id' is not an image; Valid: photo$"):
        pool.image(0, "id")


def test_a_pool_without_images_says_so(make_pool):
    with pytest.raises(NotFoundError, match=r"^made.test has no image column$"):
        make_pool({"x": ("numeric", [1, 2])}).image(0)


def test_unknown_columns_suggest_the_nearest(make_pool):
    pool = numbered(make_pool, 10)
    with pytest.raises(NotFoundError, match="did you mean 'label'"):
        pool.column_values("lable", [0])
    with pytest.raises(NotFoundError, match="holds no vectors; it has the role numeric"):
        pool.matrix("x")
    with pytest.raises(InputError, match="holds vectors"):
        pool.field_of("v")
    with pytest.raises(InputError, match="holds double; expected a column of text, labels or categories"):
        pool.value_counts("x")
    with pytest.raises(NotFoundError, match="run fit_features first"):
        _ = pool.features
