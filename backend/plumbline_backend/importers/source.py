"""What passes from an importer to the pool: previews, batches of rows, and a log of what was wrong."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline_backend.domain.errors import ImportRefusedError, Problem
from plumbline_backend.domain.types import Column

OnProblem = Literal["refuse", "skip"]

MAX_LISTED_PROBLEMS = 100
"""Problems kept in full; the rest are counted. A person reads at most a screen of them."""

PREVIEW_ROWS = 10
SAMPLE_ROWS = 10_000
"""Rows that the roles are guessed from: a 64-column CSV of them parses in about 0.1 s."""

BATCH_ROWS = 4096
"""Rows per batch: 64 float64 columns make 2 MiB, so that memory stays flat whatever the file's length."""

BATCH_BYTES = 64 * 2**20
"""Bytes per batch where rows are large (images, long texts)."""


@dataclass(frozen=True)
class Preview:
    """What a file looks like before anything is committed.

    `rows` are the first ten rows with their values whole; `n_rows` is None where
    counting would mean reading the whole file. `problems` were found in the rows looked at so far; `notes`
    are decisions worth a look (a guessed encoding, a renamed column).
    """

    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]
    n_rows: int | None
    format: str
    encoding: str | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


class SourceBatch(NamedTuple):
    """Consecutive rows of a source.

    batch: one column per wanted column, named as in the preview; rows: (n,) data row numbers, counted
    from 1 in the source; fraction: share of the source read so far, in [0, 1].
    """

    batch: pa.RecordBatch
    rows: NDArray[np.int64]
    fraction: float


class Importer(Protocol):
    """One file format. `suffixes` are lower case with their dot."""

    name: str
    suffixes: tuple[str, ...]

    def inspect(self, path: Path) -> Preview:
        """Columns with proposed roles and the first rows. Raises ImportRefusedError or InputError."""

    def batches(self, path: Path, columns: Sequence[Column], log: ProblemLog) -> Iterator[SourceBatch]:
        """The wanted columns, in order, in bounded memory; rows that cannot be read go to the log."""


class ProblemLog:
    """Collects what is wrong with a source; in "skip" mode also writes the rows left out to a CSV file."""

    def __init__(
        self, file: str, skipped_path: Path | None = None, max_listed: int = MAX_LISTED_PROBLEMS
    ) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.n_problems = 0
        self.n_rows = 0
        self.notes: list[str] = []
        self._skipped_path = skipped_path
        self._max_listed = max_listed
        self._stream: Any = None
        self._writer: Any = None

    def reject(self, row: int, problems: Sequence[Problem], content: object) -> None:
        """Leave one row out. `content` is what the row held: raw text, or a mapping of its cells."""
        self.n_rows += 1
        self.n_problems += len(problems)
        room = self._max_listed - len(self.problems)
        self.problems.extend(problems[: max(room, 0)])
        if self._skipped_path is not None:
            self._write(row, problems, content)

    def note(self, text: str) -> None:
        """Remember a decision that a person may want to check; repeated notes are kept once."""
        if text not in self.notes:
            self.notes.append(text)

    def refuse_if_any(self) -> None:
        """Raise ImportRefusedError when a row was rejected."""
        if self.n_problems:
            in_order = sorted(self.problems, key=lambda problem: problem.row or 0)
            raise ImportRefusedError(in_order, self.n_problems - len(self.problems))

    def close(self) -> None:
        """Close the file of skipped rows."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _write(self, row: int, problems: Sequence[Problem], content: object) -> None:
        if self._stream is None:
            assert self._skipped_path is not None
            self._stream = self._skipped_path.open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            )
            self._writer = csv.writer(self._stream)
            self._writer.writerow(["row", "problem", "content"])
        text = (
            content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=_as_text)
        )
        self._writer.writerow([row, "; ".join(str(problem) for problem in problems), text])


def refuse(file: str, expected: str, **where: Any) -> ImportRefusedError:
    """An ImportRefusedError with one problem, to be raised by the caller."""
    return ImportRefusedError([Problem(file=file, expected=expected, **where)])


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return str(value)
