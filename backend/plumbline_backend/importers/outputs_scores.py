"""Score rows of other tools, to be joined to outputs that are there already, by the id that the tool uses.

LangSmith feedback {run_id, key, score, value, comment}, Phoenix annotations {span_id, name, score, label, explanation,
annotator_kind}, Langfuse scores {traceId, name, value, stringValue, comment, source}; as JSON, JSON Lines or CSV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, Problem
from plumbline_backend.importers.outputs_json import parse_document, passed_of, read_text, score_of, text_of
from plumbline_backend.importers.outputs_rows import read_rows
from plumbline_backend.importers.strict_json import parse_object

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
    """(row number, members) of every score, and what could not be read; a JSON document or one object per line."""
    document = _document(path) if path.suffix.lower() == ".json" else None
    if document is None:
        read = read_rows(path)
        return list(read.rows), list(read.problems)
    rows = document.get("data", [document]) if isinstance(document, Mapping) else document
    if not isinstance(rows, list):
        raise InputError(f"{path.name}: found {text_of(rows)[:80]}; expected a list of score rows")
    good = [(number, row) for number, row in enumerate(rows, 1) if isinstance(row, Mapping)]
    bad = [
        Problem(path.name, "an object", number, value=text_of(row)[:80])
        for number, row in enumerate(rows, 1)
        if not isinstance(row, Mapping)
    ]
    return good, bad


def _document(path: Path) -> Any:
    """The whole file as JSON; None where it is JSON Lines, of which the first line is whole."""
    text = read_text(path)
    first, _, rest = text.strip().partition("\n")
    if rest and first.startswith("{") and parse_object(first)[1] is None:
        return None
    return parse_document(path.name, text)
