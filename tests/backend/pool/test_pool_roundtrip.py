"""Whatever text a file holds comes back as it was (Hypothesis), through CSV, JSON Lines, Parquet and NPZ."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline_backend.importers import inspect_file
from plumbline_backend.pool import Pool, build_pool, with_roles

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TABLE = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=30)
NUMBERS = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30)

QUIET = settings(deadline=None, max_examples=25)


def imported(folder: Path, name: str, roles: dict[str, str]) -> Pool:
    path = folder / name
    build_pool(path, folder / "pool", with_roles(inspect_file(path).columns, roles))
    return Pool.open(folder / "pool")


@QUIET
@given(TABLE)
def test_csv_text(rows):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "a.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(
                [("n", "a", "b"), *((i, *r) for i, r in enumerate(rows))]
            )
        pool = imported(folder, "a.csv", {"n": "id", "a": "text", "b": "text"})
        assert pool.column_values("a", range(len(rows))) == [row[0] for row in rows]
        assert pool.column_values("b", range(len(rows))) == [row[1] for row in rows]


@QUIET
@given(TABLE)
def test_json_lines_text(rows):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [json.dumps({"a": a, "b": b}, ensure_ascii=bool(i % 2)) for i, (a, b) in enumerate(rows)]
        (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
        pool = imported(folder, "a.jsonl", {"a": "text", "b": "text"})
        assert pool.column_values("a", range(len(rows))) == [row[0] for row in rows]
        assert pool.column_values("b", range(len(rows))) == [row[1] for row in rows]


@QUIET
@given(st.lists(st.none() | TEXT, min_size=1, max_size=30), st.data())
def test_parquet_text_and_numbers(texts, data):
    numbers = data.draw(st.lists(st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
                                 min_size=len(texts), max_size=len(texts)))  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = pa.table({"t": pa.array(texts, pa.string()), "x": pa.array(numbers, pa.float64())})
        pq.write_table(table, folder / "a.parquet")
        pool = imported(folder, "a.parquet", {"t": "text", "x": "numeric"})
        assert pool.column_values("t", range(len(texts))) == texts
        assert pool.column_values("x", range(len(texts))) == numbers


@QUIET
@given(NUMBERS)
def test_csv_numbers(numbers):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = ["" if value is None else repr(value) for value in numbers]
        (folder / "a.csv").write_text("n,x\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
        pool = imported(folder, "a.csv", {"x": "numeric"})
        assert pool.column_values("x", range(len(numbers))) == numbers


@QUIET
@given(
    st.lists(
        st.lists(st.floats(width=32, allow_infinity=False), min_size=3, max_size=3), min_size=1, max_size=20
    )
)
def test_npz_vectors(rows):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        X = np.array(rows, dtype=np.float32)
        np.savez(folder / "a.npz", X=X)
        pool = imported(folder, "a.npz", {})
        assert np.array_equal(pool.matrix("X").gather(range(len(rows))), X, equal_nan=True)
