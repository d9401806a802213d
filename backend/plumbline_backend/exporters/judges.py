"""Exports of a grading project: each format is an entry here; files appear whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.grades import Criterion, GradingJudge
from plumbline_backend.exporters.atomic import folder_written_whole, written_whole
from plumbline_backend.exporters.judges_promptfoo import promptfoo_config, promptfoo_notes, promptfoo_yaml
from plumbline_backend.exporters.judges_pytest import OUTPUTS_NAME, pytest_file
from plumbline_backend.exporters.judges_rows import (
    GRADE_COLUMNS,
    grade_rows,
    in_words,
    output_row,
    project_document,
)
from plumbline_backend.exporters.labels_csv import could_run

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

TESTS_NAME = "test_outputs.py"


def export_judges(project: GradingProject, what: str, path: Path) -> Path:
    """Write an export: "pytest" makes a folder, the others ("promptfoo", "json", "grades") a file.

    Raises InputError for an unknown format, ConflictError where there is nothing to export or a folder is in the way.
    """
    if what not in FORMATS:
        raise InputError(f"export: found {what!r}; {did_you_mean(what, FORMATS)}")
    FORMATS[what](project, path)
    return path


def _pytest(project: GradingProject, folder: Path) -> None:
    report = project.alignment_report()
    measured = {each.judge.id: each for part in (report.overall, *report.criteria) for each in part.judges}
    judges = [judge for judge in project.chosen_judges() if judge.kind == "assertion"]
    outputs = project.outputs()
    table = project.verdict_table(judges)
    known = {
        judge.name: [o for o in outputs if table.state(o.position, judge.id) in ("fail", "error")]
        for judge in judges
    }
    text = pytest_file(
        [(j, project.criterion(j.criterion_id), in_words(measured[j.id].alignment)) for j in judges], known
    )
    with folder_written_whole(folder) as unfinished:
        (unfinished / TESTS_NAME).write_text(text, encoding="utf-8")
        rows = [output_row(output) for output in outputs]
        (unfinished / OUTPUTS_NAME).write_text(_json(rows), encoding="utf-8")


def _promptfoo(project: GradingProject, path: Path) -> None:
    judges, outputs = _with_criteria(project), project.outputs()
    config = promptfoo_config(project.name, outputs, judges)
    _write(path, promptfoo_yaml(config, promptfoo_notes(outputs, judges)))


def export_notes(project: GradingProject, what: str) -> list[str]:
    """What an export leaves out of the chosen judges, in sentences for the person."""
    judges = _with_criteria(project)
    if what == "promptfoo":
        return promptfoo_notes(project.outputs(), judges)
    return _pytest_notes(project, [judge for judge, _ in judges]) if what == "pytest" else []


def _pytest_notes(project: GradingProject, judges: list[GradingJudge]) -> list[str]:
    notes = [f"{judge.name}: left out: it is no code." for judge in judges if judge.kind != "assertion"]
    assertions = [judge for judge in judges if judge.kind == "assertion"]
    table, n_outputs = project.verdict_table(assertions), len(project.outputs())
    not_run = {judge.name: table.counts(judge.id)["not run"] for judge in assertions}
    return notes + [
        f"{name}: was not run on {n:,} of {n_outputs:,} outputs; those that it fails are not marked as known, and "
        "their tests will be red."
        for name, n in not_run.items()
        if n
    ]


def _with_criteria(project: GradingProject) -> list[tuple[GradingJudge, Criterion]]:
    return [(judge, project.criterion(judge.criterion_id)) for judge in project.chosen_judges()]


def _document(project: GradingProject, path: Path) -> None:
    _write(path, _json(project_document(project)))


def _grades(project: GradingProject, path: Path) -> None:
    """By the name's end: .jsonl, else CSV with cells that a spreadsheet would run made harmless."""
    rows = grade_rows(project)
    if path.suffix == ".jsonl":
        _write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return
    with written_whole(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, GRADE_COLUMNS)
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and could_run(value) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    with written_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


FORMATS: dict[str, Callable[[GradingProject, Path], None]] = {
    "pytest": _pytest,
    "promptfoo": _promptfoo,
    "json": _document,
    "grades": _grades,
}
