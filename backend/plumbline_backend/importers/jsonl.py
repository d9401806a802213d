"""JSON Lines: one object per line. Numbers keep the digits they are written with."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from plumbline_backend.domain.errors import Problem
from plumbline_backend.domain.types import Column
from plumbline_backend.importers.encoding import TextEncoding, detect_encoding
from plumbline_backend.importers.roles import guess_columns
from plumbline_backend.importers.source import (
    BATCH_BYTES,
    BATCH_ROWS,
    PREVIEW_ROWS,
    SAMPLE_ROWS,
    Preview,
    ProblemLog,
    SourceBatch,
    refuse,
)
from plumbline_backend.importers.strict_json import Flaw, Literal, parse_object, shown

MAX_LINE_BYTES = 64 * 2**20
"""The longest line: six times the 10 MB cell that must be read."""

COUNTED_BYTES = 64 * 2**20
"""Files up to this size are counted for the preview, about two seconds of reading lines."""


class JsonlImporter:
    """One JSON object per line; members are columns, in the order in which they first appear."""

    name = "jsonl"
    suffixes: tuple[str, ...] = (".jsonl", ".ndjson")

    def inspect(self, path: Path) -> Preview:
        """See `Importer.inspect`."""
        encoding = detect_encoding(path)
        log = ProblemLog(path.name)
        sample = list(islice(objects(path, encoding, log), SAMPLE_ROWS))
        if not sample:
            log.refuse_if_any()
            raise refuse(path.name, "at least one line with a JSON object")
        members = _members(cells for _, cells, _ in sample)
        if not members:
            raise refuse(path.name, "objects with at least one member")
        arrays = [_sample_array([cells.get(name) for _, cells, _ in sample]) for name in members]
        whole = len(sample) < SAMPLE_ROWS
        columns = guess_columns(pa.Table.from_arrays(arrays, names=members), whole)
        nested = {n for n in members if any(isinstance(c.get(n), (dict, list)) for _, c, _ in sample)}
        return Preview(
            columns=tuple(
                _as_metadata(c) if c.name in nested and c.role != "features" else c for c in columns
            ),
            rows=tuple({n: shown(cells.get(n)) for n in members} for _, cells, _ in sample[:PREVIEW_ROWS]),
            n_rows=_count_lines(path, encoding) if path.stat().st_size <= COUNTED_BYTES else None,
            format=self.name,
            encoding=encoding.name,
            problems=tuple(log.problems),
            notes=(encoding.note,) if encoding.note else (),
        )

    def batches(self, path: Path, columns: Sequence[Column], log: ProblemLog) -> Iterator[SourceBatch]:
        """See `Importer.batches`. A member that the first 10,000 rows do not have is a problem of its row."""
        encoding = detect_encoding(path)
        if encoding.note:
            log.note(encoding.note)
        known: set[str] = set()
        waiting: list[tuple[int, dict[str, Any]]] = []
        n_bytes = 0
        fraction = 0.0
        for n_read, (row, cells, at) in enumerate(objects(path, encoding, log)):
            fraction = at.fraction
            if n_read < SAMPLE_ROWS:
                known.update(cells)
            elif not known.issuperset(cells):
                late = next(name for name in cells if name not in known)
                expected = f"only members that occur in the first {SAMPLE_ROWS:,} rows"
                log.reject(row, [Problem(log.file, expected, row, late, shown(cells[late]))], at.text)
                continue
            waiting.append((row, cells))
            n_bytes += len(at.text)
            if len(waiting) == BATCH_ROWS or n_bytes >= BATCH_BYTES:
                yield _batch(waiting, columns, fraction)
                waiting, n_bytes = [], 0
        if waiting:
            yield _batch(waiting, columns, 1.0)


class At:
    """Where a row came from: its line, and the share of the file before it."""

    def __init__(self, text: str, fraction: float) -> None:
        self.text = text
        self.fraction = fraction


def objects(path: Path, encoding: TextEncoding, log: ProblemLog) -> Iterator[tuple[int, dict[str, Any], At]]:
    """(row, members, where) of every readable line; the others go to the log. Blank lines are skipped."""
    size = max(path.stat().st_size, 1)
    with path.open("rb") as stream:
        stream.seek(encoding.bom_bytes)
        for row, line in enumerate(_lines(stream, encoding.name), start=1):
            text, problem = _decode(line.rstrip(b"\r\n") if encoding.name == "utf-8" else line, encoding.name)
            if problem is None and not text.strip():
                continue
            if row == 1 and text.lstrip().startswith("["):
                raise refuse(path.name, "one JSON object per line; this file is a JSON array", row=1)
            cells: dict[str, Any] = {}
            if problem is None:
                cells, problem = parse_object(text)
            if problem is not None:
                log.reject(
                    row, [Problem(log.file, problem.expected, row, problem.column, problem.value)], text
                )
            else:
                yield row, cells, At(text, stream.tell() / size)


def _lines(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Lines as bytes; a line over the limit is given in part, and its rest is skipped."""
    end = "\n".encode(encoding)
    if len(end) == 1:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                if not (rest := stream.readline(MAX_LINE_BYTES)) or rest.endswith(b"\n"):
                    break
            yield line
        return
    with io.TextIOWrapper(stream, encoding, newline="\n") as reader:
        for text in reader:
            yield text.encode(encoding)


def _decode(line: bytes, encoding: str) -> tuple[str, Flaw | None]:
    if len(line) > MAX_LINE_BYTES:
        return "", Flaw(
            None, f"a line of at most {MAX_LINE_BYTES // 2**20} MiB", f"{len(line):,} bytes or more"
        )
    try:
        return line.decode(encoding), None
    except UnicodeDecodeError as error:
        text = line.decode(encoding, errors="backslashreplace")
        return text, Flaw(
            None, f"text in {encoding.upper()}", text[max(0, error.start - 10) : error.start + 20]
        )


def _members(rows: Iterator[Mapping[str, Any]]) -> list[str]:
    names: dict[str, None] = {}
    for cells in rows:
        names.update(dict.fromkeys(cells))
    return list(names)


def _sample_array(cells: list[Any]) -> pa.Array:
    """Lists of numbers as lists, everything else as text."""
    present = [cell for cell in cells if cell is not None]
    if present and all(_is_vector(cell) for cell in present):
        return _vector_array(cells)
    return pa.array([shown(cell) for cell in cells], pa.string())


def _batch(rows: list[tuple[int, dict[str, Any]]], columns: Sequence[Column], fraction: float) -> SourceBatch:
    arrays = []
    for column in columns:
        cells = [members.get(column.name) for _, members in rows]
        if column.role == "features" and all(cell is None or _is_vector(cell) for cell in cells):
            arrays.append(_vector_array(cells))
        else:
            arrays.append(pa.array([shown(cell) for cell in cells], pa.string()))
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    return SourceBatch(batch, np.array([row for row, _ in rows], dtype=np.int64), fraction)


def _is_vector(cell: Any) -> bool:
    return isinstance(cell, list) and all(isinstance(v, Literal) or v is None for v in cell)


def _vector_array(cells: list[Any]) -> pa.Array:
    numbers = [None if cell is None else [None if v is None else float(v) for v in cell] for cell in cells]
    return pa.array(numbers, pa.list_(pa.float64()))


def _as_metadata(column: Column) -> Column:
    why = "nested values, kept as JSON text"
    return Column(column.name, "string", "metadata", why, column.examples, column.n_missing)


def _count_lines(path: Path, encoding: TextEncoding) -> int:
    with path.open("rb") as stream:
        stream.seek(encoding.bom_bytes)
        return sum(
            1 for line in _lines(stream, encoding.name) if line.decode(encoding.name, "replace").strip()
        )
