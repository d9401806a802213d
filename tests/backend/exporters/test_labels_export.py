"""Labels as CSV, Parquet and JSON lines: exact round trips, spreadsheet safety, whole files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Judgement, LabelClass, Question
from plumbline_backend.exporters.labels import COLUMNS, LabelRow, label_rows, write_labels
from plumbline_backend.exporters.labels_csv import CsvLabels, could_run, restore_row
from plumbline_backend.exporters.labels_jsonl import JsonlLabels
from plumbline_backend.exporters.labels_parquet import ParquetLabels
from plumbline_backend.registry import LABEL_EXPORTERS

AT = datetime(2026, 11, 20, 9, 30, 15, 123456, tzinfo=UTC)
NUMERIC = {"position", "question_version", "judge_version", "judgement_id", "supersedes", "revokes"}


def row(**changes: Any) -> LabelRow:
    """A label of item "m 31", with some values changed."""
    values: dict[str, Any] = {
        "item_key": "m 31", "position": 7, "question": "Which?", "question_version": 2, "class_id": "c1",
        "class_name": "galaxy", "recorded_class_id": "c1", "state": "answered", "judge_kind": "person",
        "judge_name": "Ann", "judge_version": 1, "note": "", "seconds": 1.25, "time": AT, "stratum": "stream",
        "judgement_id": 12, "supersedes": None, "revokes": None, "standing": "current",
    }  # fmt: skip
    return LabelRow(**{**values, **changes})


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [restore_row(each) for each in csv.DictReader(file)]


def as_csv(label: LabelRow) -> dict[str, str]:
    """What a reader of the CSV gets back: text as it was, missing as empty, the time in ISO 8601."""
    values = {name: getattr(label, name) for name in COLUMNS}
    return {
        name: "" if v is None else v.isoformat() if isinstance(v, datetime) else str(v)
        for name, v in values.items()
    }


def as_json(label: LabelRow) -> dict[str, Any]:
    values = {name: getattr(label, name) for name in COLUMNS}
    return {**values, "time": None if label.time is None else label.time.isoformat()}


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().decode().split("\n") if line]


EDGE_TEXT = [
    "NA", "None", "null", "nan", "N/A", "007", "9007199254740993", " padded ", "a,b", 'say "hi"', "two\nlines",
    "two\r\nlines", "\r", "\t", "\0", "'quoted", "=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "＝1", "\u2028",
    "\u202eright", "\ufeffbom",
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "👩\u200d🚀", "é", "e\u0301", "",
]  # fmt: skip


@pytest.mark.parametrize("text", EDGE_TEXT)
def test_odd_text_comes_back_exactly(tmp_path: Path, text: str) -> None:
    label = row(note=text, class_name=text, judge_name=text)
    write_labels(CsvLabels(), tmp_path / "a.csv", [label])
    write_labels(CsvLabels(spreadsheet_safe=False), tmp_path / "raw.csv", [label])
    write_labels(JsonlLabels(), tmp_path / "a.jsonl", [label])
    write_labels(ParquetLabels(), tmp_path / "a.parquet", [label])
    assert read_csv(tmp_path / "a.csv") == [as_csv(label)]
    assert read_csv(tmp_path / "raw.csv") == [as_csv(label)]
    assert read_jsonl(tmp_path / "a.jsonl") == [as_json(label)]
    assert [LabelRow(**each) for each in pq.read_table(tmp_path / "a.parquet").to_pylist()] == [label]


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(EDGE_TEXT)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(
        st.builds(
            row,
            item_key=text,
            note=text,
            class_name=st.none() | text,
            judge_name=text,
            question=text,
            seconds=st.none() | st.floats(0, 1e9),
            supersedes=st.none() | st.integers(1, 2**62),
        ),
        max_size=4,
    )
)
def test_any_text_comes_back_exactly(tmp_path: Path, labels: list[LabelRow]) -> None:
    write_labels(CsvLabels(), tmp_path / "a.csv", labels)
    write_labels(JsonlLabels(), tmp_path / "a.jsonl", labels)
    write_labels(ParquetLabels(), tmp_path / "a.parquet", labels)
    assert read_csv(tmp_path / "a.csv") == [as_csv(label) for label in labels]
    assert read_jsonl(tmp_path / "a.jsonl") == [as_json(label) for label in labels]
    assert [LabelRow(**each) for each in pq.read_table(tmp_path / "a.parquet").to_pylist()] == labels


@settings(max_examples=200, deadline=None)
@given(text)
def test_no_text_cell_of_the_csv_can_run(value: str) -> None:
    cells = CsvLabels()._cells(row(note=value, item_key=value))
    note = cells[COLUMNS.index("note")]
    assert not could_run(note)
    assert note in (value, "'" + value)


def test_the_file_says_what_was_escaped(tmp_path: Path) -> None:
    write_labels(CsvLabels(), tmp_path / "a.csv", [row(note="=1+1", judge_name="-Ann"), row(note="'=1+1")])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["note"], first["judge_name"], first["escaped_columns"]) == (
        "'=1+1",
        "'-Ann",
        "judge_name note",
    )
    assert (second["note"], second["escaped_columns"]) == ("'=1+1", "")
    write_labels(CsvLabels(spreadsheet_safe=False), tmp_path / "raw.csv", [row(note="=1+1")])
    lines = (tmp_path / "raw.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert "=1+1" in lines[1]
    assert "'=1+1" not in lines[1]


def test_half_a_surrogate_pair_is_kept_by_jsonl_and_refused_by_name_elsewhere(tmp_path: Path) -> None:
    label = row(note="\ud83d broken")
    write_labels(JsonlLabels(), tmp_path / "a.jsonl", [row(), label])
    assert read_jsonl(tmp_path / "a.jsonl")[1]["note"] == "\ud83d broken"
    for writer in (CsvLabels(), ParquetLabels()):
        with pytest.raises(
            InputError, match=r"row 2, column 'note': .* half a surrogate pair; expected text"
        ):
            write_labels(writer, tmp_path / "refused", [row(), label])
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("name", LABEL_EXPORTERS.names())
def test_every_exporter_streams_and_counts(tmp_path: Path, name: str) -> None:
    """Contract of the registry: no rows, then many; the suffix names the format."""
    writer = LABEL_EXPORTERS.get(name)()
    assert writer.suffix == f".{name}"
    assert write_labels(writer, tmp_path / "none", []) == 0
    taken: list[int] = []

    def rows() -> Iterator[LabelRow]:
        for n in range(5_000):
            taken.append(n)
            yield row(position=n)

    assert write_labels(writer, tmp_path / "many", rows()) == 5_000
    assert len(taken) == 5_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "none"]


@pytest.mark.parametrize("name", LABEL_EXPORTERS.names())
def test_a_failure_keeps_the_file_that_was_there(tmp_path: Path, name: str) -> None:
    def rows() -> Iterator[LabelRow]:
        yield row()
        raise InputError("the database went away")

    (tmp_path / "labels").write_text("before")
    with pytest.raises(InputError, match="went away"):
        write_labels(LABEL_EXPORTERS.get(name)(), tmp_path / "labels", rows())
    assert (tmp_path / "labels").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


class Recorded(NamedTuple):
    """A ledger row as the store streams it."""

    judgement: Judgement
    judge_name: str = "Ann"
    judge_kind: Any = "person"
    judge_version: int = 1
    standing: str = "current"


def judgement(item: int, answer: str | None, state: Any = "answered") -> Judgement:
    return Judgement(item, 1, 1, 1, f"u{item}", state, answer, id=item + 1, created_at=AT)


QUESTION = Question(
    1, 1, 3, "choice", "Which?", "",
    (LabelClass("a", "galaxy", "#000"), LabelClass("b", "nebula", "#111", merged_into="a")),
)  # fmt: skip


def numbered(positions: Any) -> list[str]:
    return [f"key {p}" for p in positions]


def test_merged_classes_are_exported_as_what_they_are_today() -> None:
    """Item 1 was answered b, since merged into a; item 2 was skipped."""
    ledger = [Recorded(judgement(1, "b")), Recorded(judgement(2, None, "skipped"))]
    first, second = label_rows(ledger, QUESTION, numbered)
    assert (first.item_key, first.class_id, first.class_name, first.recorded_class_id) == (
        "key 1",
        "a",
        "galaxy",
        "b",
    )
    assert (second.class_id, second.class_name, second.state) == (None, None, "skipped")


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(
        InputError, match=r"judgement 2: class 'zz' is not one of question 'Which\?'; expected one of a, b"
    ):
        list(label_rows([Recorded(judgement(1, "zz"))], QUESTION, numbered))


def test_rows_are_taken_a_chunk_at_a_time() -> None:
    """A ledger that would never end gives its first row after one chunk."""
    asked: list[int] = []

    def endless() -> Iterator[Recorded]:
        item = 0
        while True:
            yield Recorded(judgement(item, "a"))
            item += 1

    def keys(positions: Any) -> list[str]:
        asked.append(len(positions))
        return numbered(positions)

    lookup: Callable[[Any], list[str]] = keys
    assert next(label_rows(endless(), QUESTION, lookup)).item_key == "key 0"
    assert asked == [2_000]
