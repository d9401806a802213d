"""What every label exporter in the registry keeps; each format is read back by another library."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from plumbline_backend.exporters.labels import COLUMNS, LabelRow, write_labels
from plumbline_backend.registry import LABEL_EXPORTERS

ROW = LabelRow(
    "k 1", 7, "Which?", 2, "c1", "galaxy, 'big'\n", "c1", "answered", "person", "Ann", 1, "NA", 1.25,
    datetime(2026, 11, 20, 9, 30, 15, 123456, tzinfo=UTC), "stream", 12, None, None, "current",
)  # fmt: skip
SKIPPED = replace(ROW, class_id=None, class_name=None, recorded_class_id=None, state="skipped", seconds=None)


@pytest.fixture(params=LABEL_EXPORTERS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(name: str, path: Path) -> list[dict[str, Any]]:
    """The rows as text; missing is None. CSV cannot tell missing from empty."""
    if name == "parquet":
        return pq.read_table(path).to_pylist()
    if name == "jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]


def test_the_suffix_says_the_format(name: str) -> None:
    assert LABEL_EXPORTERS.get(name)().suffix == f".{name}"


def test_every_column_comes_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    assert write_labels(LABEL_EXPORTERS.get(name)(), path, [ROW, SKIPPED]) == 2
    first, second = read(name, path)
    assert set(COLUMNS) <= set(first)
    assert (first["item_key"], first["class_name"], first["note"]) == ("k 1", "galaxy, 'big'\n", "NA")
    assert (int(first["position"]), float(first["seconds"])) == (7, 1.25)
    assert (second["class_id"], second["state"], second["seconds"]) == (None, "skipped", None)


def test_the_same_rows_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for file in ("one", "two"):
        write_labels(LABEL_EXPORTERS.get(name)(), tmp_path / file, [ROW, SKIPPED])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_rows_are_a_readable_file(name: str, tmp_path: Path) -> None:
    assert write_labels(LABEL_EXPORTERS.get(name)(), tmp_path / "out", []) == 0
    assert read(name, tmp_path / "out") == []


def test_columns_of_the_questions_kind_stand_behind(name: str, tmp_path: Path) -> None:
    writer = LABEL_EXPORTERS.get(name)(more=("level",))
    write_labels(writer, tmp_path / "out", [replace(ROW, more={"level": "3"})])
    assert read(name, tmp_path / "out")[0]["level"] == "3"


def test_a_failure_half_way_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("before")

    def failing() -> Any:
        yield ROW
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk is full"):
        write_labels(LABEL_EXPORTERS.get(name)(), path, failing())
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
