"""The rows of a table from outside, for outputs and for scores: read as the rows of items are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import Problem
from plumbline_backend.importers.delimited import CsvImporter, TsvImporter
from plumbline_backend.importers.encoding import detect_encoding
from plumbline_backend.importers.jsonl import objects
from plumbline_backend.importers.source import ProblemLog


@dataclass(frozen=True)
class Rows:
    """(row number, cells) of every readable row, and what the reader had to say."""

    rows: list[tuple[int, dict[str, Any]]]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read_rows(path: Path) -> Rows:
    """By the readers of items, so that a line is refused or kept here as there."""
    log = ProblemLog(path.name, max_listed=sys.maxsize)
    read = _csv_rows if path.suffix.lower() in (".csv", ".tsv") else _json_rows
    rows = list(read(path, log))
    in_order = sorted(log.problems, key=lambda problem: problem.row or 0)
    return Rows(rows, tuple(in_order), tuple(log.notes))


def _csv_rows(path: Path, log: ProblemLog) -> Iterator[tuple[int, dict[str, Any]]]:
    importer = TsvImporter() if path.suffix.lower() == ".tsv" else CsvImporter()
    for batch, numbers, _ in importer.batches(path, importer.inspect(path).columns, log):
        yield from zip(numbers.tolist(), batch.to_pylist(), strict=True)


def _json_rows(path: Path, log: ProblemLog) -> Iterator[tuple[int, dict[str, Any]]]:
    encoding = detect_encoding(path)
    if encoding.note:
        log.note(encoding.note)
    for number, cells, _ in objects(path, encoding, log):
        yield number, cells
