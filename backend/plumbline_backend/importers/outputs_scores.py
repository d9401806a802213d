"""Score rows of other tools, to be joined to outputs that are there already, by the id that the tool uses.

LangSmith feedback {run_id, key, score, value, comment}, Phoenix annotations {span_id, name, score, label, explanation,
annotator_kind}, Langfuse scores {traceId, name, value, stringValue, comment, source}; as JSON, JSON Lines or CSV.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, Problem
from plumbline_backend.importers.outputs_json import passed_of, score_of, text_of

IDS = ("run_id", "span_id", "traceId", "trace_id", "observationId", "observation_id", "output_id", "id")
"""Where the output's id stands; the first that is there counts."""
HUMAN = ("human", "annotation", "app", "user")
"""Values of annotator_kind, source or feedback_source.type that mean a person."""


@dataclass(frozen=True)
class ScoreRow:
    """One score: of which output, by which judge (or person), and what it says. `passed` None: an error verdict."""

    key: str
    name: str
    by_person: bool
    passed: bool | None
    score: float | None
    explanation: str


def read_scores(path: Path) -> tuple[list[ScoreRow], list[Problem]]:
    """Every score of a file and what could not be read. Raises InputError when it is none of the formats."""
    if not path.is_file():
        raise InputError(f"{path.name}: no such file; expected score rows as JSON, JSON Lines or CSV")
    rows, problems = _rows(path)
    found = []
    for number, row in rows:
        made = _score(path.name, number, row)
        if isinstance(made, Problem):
            problems.append(made)
        else:
            found.append(made)
    return found, problems


def _score(file: str, number: int, row: Mapping[str, Any]) -> ScoreRow | Problem:
    key = next((text_of(row[name]) for name in IDS if row.get(name) not in (None, "")), "")
    name = text_of(row.get("key")) or text_of(row.get("name"))
    if not key or not name:
        return Problem(
            file, f"an id ({', '.join(IDS[:3])}, ...) and a name or key", number, value=str(dict(row))[:80]
        )
    value = next((row[n] for n in ("label", "stringValue", "value") if row.get(n) not in (None, "")), None)
    score = score_of(row.get("score") if row.get("score") is not None else row.get("value"))
    passed = passed_of(value)
    if passed is None and row.get("score") is not None:
        passed = passed_of(row["score"])
    explanation = text_of(row.get("explanation")) or text_of(row.get("comment"))
    return ScoreRow(key, name, _by_person(row), passed, score, explanation)


def _by_person(row: Mapping[str, Any]) -> bool:
    source = row.get("annotator_kind") or row.get("source") or row.get("feedback_source")
    kind = source.get("type") if isinstance(source, Mapping) else source
    return text_of(kind).casefold() in HUMAN


def _rows(path: Path) -> tuple[list[tuple[int, Mapping[str, Any]]], list[Problem]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: {error}; expected UTF-8") from error
    if path.suffix.lower() == ".csv":
        return list(enumerate(csv.DictReader(io.StringIO(text, newline="")), 1)), []
    try:
        document = json.loads(text)
    except ValueError:
        return _lines(path.name, text)
    rows = document.get("data", [document]) if isinstance(document, Mapping) else document
    if not isinstance(rows, list):
        raise InputError(f"{path.name}: found {type(rows).__name__}; expected a list of score rows")
    good = [(number, row) for number, row in enumerate(rows, 1) if isinstance(row, Mapping)]
    bad = [
        Problem(path.name, "an object", number, value=str(row)[:80])
        for number, row in enumerate(rows, 1)
        if not isinstance(row, Mapping)
    ]
    return good, bad


def _lines(name: str, text: str) -> tuple[list[tuple[int, Mapping[str, Any]]], list[Problem]]:
    rows: list[tuple[int, Mapping[str, Any]]] = []
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, Mapping):
            rows.append((number, row))
        else:
            problems.append(Problem(name, "one JSON object per line", number, value=line[:80]))
    return rows, problems
