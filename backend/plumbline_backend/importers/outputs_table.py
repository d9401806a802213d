"""LLM outputs as CSV, TSV or JSON Lines: one output per row, with a mapping from columns to what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, Problem, did_you_mean
from plumbline_backend.importers.outputs import FoundGrade, FoundOutput, FoundVerdict, OutputsFile
from plumbline_backend.importers.outputs_json import passed_of, score_of, state_of, text_of, texts_of
from plumbline_backend.importers.outputs_mapping import OutputMapping, VerdictColumn, propose
from plumbline_backend.importers.outputs_rows import read_rows
from plumbline_backend.importers.strict_json import NotJsonError, parse_value, plain


@dataclass(frozen=True)
class TablePreview:
    """The columns, the first rows, and the mapping that the names suggest (None: no column looks like a response)."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    proposed: OutputMapping | None
    n_rows: int
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def inspect_table(path: Path, n_rows: int = 10) -> TablePreview:
    """Look at a table without importing anything. Raises InputError when it cannot be read."""
    read = read_rows(path)
    columns = _columns(row for _, row in read.rows)
    shown = tuple(row for _, row in read.rows[:n_rows])
    proposed = propose(columns, [row for _, row in read.rows])
    return TablePreview(columns, shown, proposed, len(read.rows), read.problems, read.notes)


def read(path: Path, mapping: Mapping[str, Any] | None) -> OutputsFile:
    """Every row as an output. Raises InputError for a mapping that names columns the file does not have."""
    found_rows = read_rows(path)
    rows, problems = found_rows.rows, list(found_rows.problems)
    if problems and not rows:
        return OutputsFile("table", (), tuple(problems), found_rows.notes)
    columns = _columns(row for _, row in rows)
    chosen = propose(columns, [r for _, r in rows]) if mapping is None else OutputMapping.from_dict(mapping)
    if chosen is None:
        raise InputError(
            f"{path.name}: no column looks like a response (columns: {', '.join(columns)}); say which one it is"
        )
    missing = sorted(chosen.columns - set(columns))
    if missing:
        raise InputError(
            f"{path.name}: column {missing[0]!r} does not exist; {did_you_mean(missing[0], columns)}"
        )
    outputs = []
    for number, row in rows:
        found = _output(path.name, number, row, chosen)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            outputs.append(found)
    return OutputsFile("table", tuple(outputs), tuple(problems), found_rows.notes, chosen.template)


def _output(file: str, number: int, row: Mapping[str, Any], mapping: OutputMapping) -> FoundOutput | Problem:
    response = row.get(mapping.response)
    if response is None:
        return Problem(file, "a response", number, mapping.response, "nothing")
    grades = []
    for column in mapping.grades:
        value = row.get(column.column)
        passed = passed_of(value, column.pass_from)
        if passed is None and value not in (None, ""):
            wanted = "good or bad, true or false, 1 or 0" if column.pass_from is None else "a number"
            return Problem(file, wanted, number, column.column, str(value))
        if passed is not None:
            note = text_of(row.get(column.note)) if column.note else ""
            grades.append(FoundGrade(column.grader, passed, column.criterion, note))
    return FoundOutput(
        row=number,
        response=text_of(response),
        key=text_of(row.get(mapping.id)) if mapping.id else "",
        prompt=text_of(row.get(mapping.prompt)) if mapping.prompt else "",
        variables=_variables(row, mapping),
        system=text_of(row.get(mapping.system)) if mapping.system else "",
        reference=text_of(row.get(mapping.reference)) if mapping.reference else "",
        metadata={name: plain(value) for name, value in row.items() if name not in mapping.columns},
        grades=tuple(grades),
        verdicts=tuple(_verdict(row, column) for column in mapping.verdicts),
    )


def _verdict(row: Mapping[str, Any], column: VerdictColumn) -> FoundVerdict:
    return FoundVerdict(
        column.judge,
        state_of(row.get(column.column), column.pass_from),
        score_of(row.get(column.score)) if column.score else _score(row, column),
        text_of(row.get(column.explanation)) if column.explanation else "",
        column.criterion,
    )


def _score(row: Mapping[str, Any], column: VerdictColumn) -> float | None:
    """Verdicts that are numbers are their own scores."""
    return None if column.pass_from is None else score_of(row.get(column.column))


def _variables(row: Mapping[str, Any], mapping: OutputMapping) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in mapping.variables:
        value = row.get(column)
        parsed = _object(value)
        if parsed is not None:
            found |= texts_of(parsed)
        elif value is not None:
            found[re.sub(r"^vars?[_:.]", "", column)] = text_of(value)
    return found


def _object(value: Any) -> Mapping[str, Any] | None:
    """An object, or the object that a text in JSON holds."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = parse_value(value)
        except NotJsonError:
            return None
    return value if isinstance(value, Mapping) else None


def _columns(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for row in rows for name in row))
