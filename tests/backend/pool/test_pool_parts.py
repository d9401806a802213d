"""The pieces: matrices in shards, fields in shards, and the key index."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline_backend.domain.errors import InputError
from plumbline_backend.pool.fields import FieldStore, FieldWriter
from plumbline_backend.pool.keys import KeyIndex, KeyIndexBuilder, digests_of, write_index
from plumbline_backend.pool.matrix import FeatureMatrix, MatrixWriter


@pytest.mark.parametrize("pieces", [[0], [1], [3, 4], [7, 1, 12], [10, 10]])
def test_a_matrix_over_several_shards(tmp_path, pieces):
    n = sum(pieces)
    whole = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    writer = MatrixWriter(tmp_path, 3, shard_rows=5)
    for stop, size in zip(np.cumsum(pieces), pieces, strict=True):
        writer.append(whole[stop - size : stop])
    writer.close()
    matrix = FeatureMatrix(tmp_path, ["a", "b", "c"])
    assert matrix.shape == (n, 3)
    assert matrix.names == ("a", "b", "c")
    order = np.random.default_rng(1).permutation(n)
    assert np.array_equal(matrix.gather(order), whole[order])
    chunks = list(matrix.chunks(2))
    assert [start for start, _ in chunks] == list(np.cumsum([0, *(len(c) for _, c in chunks)])[:-1])
    assert np.array_equal(np.concatenate([c for _, c in chunks]) if chunks else whole, whole)
    for path in tmp_path.glob("*.npy"):
        assert np.load(path).shape[1] == 3, "every shard is a .npy file that NumPy reads"


def test_a_gather_is_the_callers_own(tmp_path):
    writer = MatrixWriter(tmp_path, 1)
    writer.append(np.ones((4, 1), np.float32))
    writer.close()
    matrix = FeatureMatrix(tmp_path)
    matrix.gather([0])[:] = 7
    assert matrix.gather([0])[0, 0] == 1
    next(iter(matrix.chunks()))[1][0, 0] = 7
    assert FeatureMatrix(tmp_path).gather([0])[0, 0] == 1, "what is written to a view never reaches the file"


@pytest.mark.parametrize("positions", [[-1], [4], [0, 9]])
def test_rows_outside_are_refused(tmp_path, positions):
    writer = MatrixWriter(tmp_path, 1)
    writer.append(np.ones((4, 1), np.float32))
    writer.close()
    with pytest.raises(InputError, match="expected them within 0 to 3"):
        FeatureMatrix(tmp_path).gather(positions)
    with pytest.raises(InputError, match=r"^matrix rows of shape \(2, 2\); expected \(n, 1\)$"):
        writer.append(np.ones((2, 2), np.float32))


def test_fields_over_several_shards(tmp_path):
    schema = pa.schema([("key", pa.string())])
    writer = FieldWriter(tmp_path, schema, shard_rows=5_000)
    keys = [f"k{i}" for i in range(20_000)]
    for start in range(0, 20_000, 777):
        writer.append(pa.record_batch([pa.array(keys[start : start + 777])], schema=schema))
    writer.close()
    assert len(writer.batch_rows) > 1
    store = FieldStore(tmp_path, writer.batch_rows)
    assert store.n == 20_000
    read = [batch.column(0).to_pylist() for _, batch in store.scan()]
    assert [key for part in read for key in part] == keys


def test_large_cells_make_small_batches(tmp_path):
    schema = pa.schema([("key", pa.binary())])
    writer = FieldWriter(tmp_path, schema)
    for _ in range(5):
        writer.append(pa.record_batch([pa.array([b"x" * 2**25])], schema=schema))
    writer.close()
    assert writer.batch_rows == ((2, 2, 1),)


@given(st.lists(st.text(max_size=3), max_size=40), st.integers(1, 7))
def test_duplicates_are_found_across_batches(keys, size):
    builder = KeyIndexBuilder()
    first: dict[str, int] = {}
    for start in range(0, len(keys), size):
        batch = [key.encode("utf-8", "replace").decode() for key in keys[start : start + size]]
        rows = np.arange(start + 1, start + 1 + len(batch))
        digests = digests_of(batch)
        earlier = builder.earlier_rows(digests, rows)
        for key, row, found in zip(batch, rows, earlier, strict=True):
            assert found == first.get(key, -1)
            first.setdefault(key, int(row))
        builder.add(digests[earlier < 0], rows[earlier < 0])
    assert builder.n_keys == len(first)


def test_keys_with_the_same_hash_are_told_apart(tmp_path):
    """Two keys whose stored 64 bits collide: the key itself decides."""
    keys = ["a", "b", "c"]
    hashes = digests_of(keys)[:, 0].copy()
    hashes[1] = hashes[0]
    write_index(tmp_path, hashes)
    index = KeyIndex(tmp_path, keys.__getitem__)
    assert index.position("a") == 0
    assert index.position("c") == 2
    assert index.position("d") is None
    reversed_keys = ["x", "a", "c"]
    assert KeyIndex(tmp_path, reversed_keys.__getitem__).position("a") == 1


def test_a_false_match_of_half_the_digest_is_not_a_duplicate():
    builder = KeyIndexBuilder()
    digests = digests_of(["a", "b"]).copy()
    digests[1, 0] = digests[0, 0]
    rows = np.array([1, 2])
    assert builder.earlier_rows(digests[:1], rows[:1]).tolist() == [-1]
    builder.add(digests[:1], rows[:1])
    assert builder.earlier_rows(digests[1:], rows[1:]).tolist() == [-1]
    builder.add(digests[1:], rows[1:])
    assert builder.earlier_rows(digests[::-1].copy(), np.array([3, 4])).tolist() == [2, 1]
