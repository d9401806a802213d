"""CSV and TSV: every cell is read as text; rows that do not have the header's number of cells are named."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from plumbline_backend.domain.errors import Problem
from plumbline_backend.domain.types import Column
from plumbline_backend.importers.convert import to_text
from plumbline_backend.importers.encoding import PIECE_BYTES, TextEncoding, detect_encoding
from plumbline_backend.importers.names import distinct_names
from plumbline_backend.importers.roles import guess_columns
from plumbline_backend.importers.source import (
    PREVIEW_ROWS,
    SAMPLE_ROWS,
    Preview,
    ProblemLog,
    SourceBatch,
    refuse,
)

BLOCK_BYTES = (4 * 2**20, 32 * 2**20)
"""Bytes parsed at a time. The parser reads some sixteen blocks ahead, so that small ones keep memory low
(0.35 against 1.4 GB on a million rows of 64 numbers); a row that does not fit starts over with the large ones,
which are three times the 10 MB cell that must be read."""

HEAD_BYTES = 2**20
COUNTED_BYTES = 64 * 2**20
"""Files up to this size are counted for the preview: parsing them takes under a second."""


class CsvImporter:
    """Comma-separated text; semicolons, tabs and bars are recognised by the header."""

    name = "csv"
    suffixes: tuple[str, ...] = (".csv",)
    delimiters = ",;\t|"

    def inspect(self, path: Path) -> Preview:
        """See `Importer.inspect`."""
        layout = _Layout(path, self.delimiters)
        log = ProblemLog(path.name)
        whole = path.stat().st_size <= COUNTED_BYTES
        parts: list[pa.RecordBatch] = []
        n_sampled = n_rows = 0
        for source in layout.read(log, layout.names):
            n_rows += source.batch.num_rows
            if n_sampled < SAMPLE_ROWS:
                parts.append(source.batch.slice(0, SAMPLE_ROWS - n_sampled))
                n_sampled += parts[-1].num_rows
            elif not whole:
                break
        if n_rows == 0 and log.n_rows == 0:
            raise refuse(path.name, "at least one row of data below the header")
        schema = pa.schema([(name, pa.string()) for name in layout.names])
        sample = pa.Table.from_batches(parts, schema)
        return Preview(
            columns=guess_columns(sample, whole and n_rows <= SAMPLE_ROWS),
            rows=tuple(sample.slice(0, PREVIEW_ROWS).to_pylist()),
            n_rows=n_rows + log.n_rows if whole else None,
            format=self.name,
            encoding=layout.encoding.name,
            problems=tuple(log.problems),
            notes=tuple(layout.notes),
        )

    def batches(self, path: Path, columns: Sequence[Column], log: ProblemLog) -> Iterator[SourceBatch]:
        """See `Importer.batches`."""
        layout = _Layout(path, self.delimiters)
        for note in layout.notes:
            log.note(note)
        yield from layout.read(log, [column.name for column in columns])


class TsvImporter(CsvImporter):
    """Tab-separated text, with the quoting of CSV."""

    name = "tsv"
    suffixes = (".tsv", ".tab")
    delimiters = "\t"


class _Layout:
    """How one file is written: encoding, delimiter, column names; found from its first bytes."""

    def __init__(self, path: Path, delimiters: str) -> None:
        self.path = path
        self.encoding: TextEncoding = detect_encoding(path)
        self.notes: list[str] = [self.encoding.note] if self.encoding.note else []
        whole_head = self._head()
        head = whole_head.lstrip("\r\n")
        blank = whole_head[: len(whole_head) - len(head)]
        self._start = self.encoding.bom_bytes + len(blank.encode(self.encoding.name))
        self.delimiter = _delimiter(head, delimiters)
        if self.delimiter != delimiters[0]:
            self.notes.append(f"the columns are separated by {self.delimiter!r}")
        header = self._header(head)
        if all(_is_number(cell) for cell in header):
            self.notes.append("the first row holds only numbers; it is read as the column names")
        self.names, renamed = distinct_names(header)
        self.notes += renamed

    def read(self, log: ProblemLog, wanted: Sequence[str]) -> Iterator[SourceBatch]:
        """The wanted columns as strings; ragged rows and broken cells go to the log."""
        ragged = _RaggedRows(log, self.names)
        n_parsed = 0
        for block_bytes in BLOCK_BYTES:
            try:
                for batch, rows, fraction in self._blocks(block_bytes, ragged, n_parsed):
                    n_parsed += batch.num_rows
                    yield self._as_text(batch, rows, wanted, log, fraction)
                return
            except pa.ArrowInvalid as error:
                is_long = "straddl" in str(error)
                if not is_long or block_bytes == BLOCK_BYTES[-1]:
                    raise self._refusal(error, is_long, n_parsed) from error

    def _blocks(
        self, block_bytes: int, ragged: _RaggedRows, n_skipped: int
    ) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int64], float]]:
        """(cells as bytes, row numbers, share of the file) after the first n_skipped good rows."""
        last = _LastRow()
        with self.path.open("rb") as raw:
            raw.seek(self._start)
            stream = _Utf8(raw, self.encoding.name)
            n_seen = 0
            for n_blocks, batch in enumerate(self._parser(stream, block_bytes, ragged), start=1):
                rows = ragged.number(n_seen, batch.num_rows)
                fresh = max(0, min(batch.num_rows, n_skipped - n_seen))
                n_seen += batch.num_rows
                last.keep(batch, rows)
                fraction = min(stream.fraction, n_blocks * block_bytes / stream.size)
                yield batch.slice(fresh), rows[fresh:], fraction
            if stream.n_quotes % 2 and last.is_open:
                raise refuse(
                    self.path.name,
                    'a closing quote (") for the cell that opens here; it swallows the rest of the file',
                    row=last.row,
                )

    def _parser(self, stream: _Utf8, block_bytes: int, ragged: _RaggedRows) -> Iterator[pa.RecordBatch]:
        places = [f"c{i}" for i in range(len(self.names))]
        return iter(
            arrow_csv.open_csv(
                pa.PythonFile(stream, mode="r"),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, block_size=block_bytes, column_names=places, skip_rows_after_names=1
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=ragged
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={place: pa.binary() for place in places},
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        )

    def _as_text(
        self,
        batch: pa.RecordBatch,
        rows: NDArray[np.int64],
        wanted: Sequence[str],
        log: ProblemLog,
        fraction: float,
    ) -> SourceBatch:
        texts = {name: to_text(batch.column(self.names.index(name))) for name in wanted}
        broken: dict[int, list[Problem]] = {}
        for name, text in texts.items():
            for i, misfit in text.bad.items():
                problem = Problem(self.path.name, misfit.expected, int(rows[i]), name, misfit.value)
                broken.setdefault(i, []).append(problem)
        arrays = [text.array for text in texts.values()]
        converted = pa.RecordBatch.from_arrays(arrays, names=list(texts))
        if not broken:
            return SourceBatch(converted, rows, fraction)
        good = np.ones(len(rows), dtype=bool)
        for i, problems in sorted(broken.items()):
            good[i] = False
            content = {name: repr(batch.column(j)[i].as_py()) for j, name in enumerate(self.names)}
            log.reject(int(rows[i]), problems, content)
        return SourceBatch(converted.filter(pa.array(good)), rows[good], fraction)

    def _head(self) -> str:
        with self.path.open("rb") as stream:
            stream.seek(self.encoding.bom_bytes)
            piece = stream.read(HEAD_BYTES)
        return codecs.getincrementaldecoder(self.encoding.name)(errors="replace").decode(piece)

    def _header(self, head: str) -> list[str]:
        csv.field_size_limit(max(csv.field_size_limit(), HEAD_BYTES))
        lines = io.StringIO(head, newline=None)
        header = next(csv.reader(lines, delimiter=self.delimiter), [])
        if not any(header):
            raise refuse(self.path.name, "column names in the first row")
        return header

    def _refusal(self, error: pa.ArrowInvalid, is_long: bool, n_parsed: int) -> Exception:
        expected = f"rows separated by line breaks and cells by {self.delimiter!r} ({error})"
        if is_long:
            expected = f"a row of at most {BLOCK_BYTES[-1] // 2**20} MiB; is a quote opened and never closed?"
        return refuse(self.path.name, expected, row=n_parsed + 1)


class _Utf8(io.RawIOBase):
    """A file's bytes in UTF-8, with the share read so far (the parser reads ahead) and its number of quotes."""

    def __init__(self, raw: Any, encoding: str) -> None:
        super().__init__()
        self._raw = raw
        self.size = max(1, Path(raw.name).stat().st_size)
        self._decoder = (
            None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)(errors="strict")
        )
        self._left = b""
        self._ended = False
        self.n_quotes = 0

    @property
    def fraction(self) -> float:
        """Share of the file read, in [0, 1]."""
        return min(1.0, self._raw.tell() / self.size)

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, n: int = PIECE_BYTES) -> bytes:
        """At most n bytes; the file always ends with a line break, which the parser needs for one-line files."""
        while len(self._left) < n and not self._ended:
            piece = self._raw.read(n)
            self._ended = not piece
            self._left += (
                piece if self._decoder is None else self._decoder.decode(piece, final=not piece).encode()
            )
            self._left += b"\n" if self._ended else b""
        given, self._left = self._left[:n], self._left[n:]
        self.n_quotes += given.count(b'"')
        return given


class _RaggedRows:
    """Rejects rows with another number of cells than the header, and numbers the rows that are left."""

    def __init__(self, log: ProblemLog, names: Sequence[str]) -> None:
        self._log = log
        self._names = names
        self._numbers: set[int] = set()

    def __call__(self, row: Any) -> str:
        number = int(row.number) - 1
        if number in self._numbers:
            return "skip"
        self._numbers.add(number)
        expected = f"{row.expected_columns} cells as in the header, not {row.actual_columns}"
        self._log.reject(number, [Problem(self._log.file, expected, number, value=row.text)], row.text)
        return "skip"

    def number(self, n_before: int, n_rows: int) -> NDArray[np.int64]:
        """Source row numbers of the next n_rows good rows, of which n_before came earlier."""
        good = np.arange(n_before + 1, n_before + n_rows + 1, dtype=np.int64)
        bad = np.array(sorted(self._numbers), dtype=np.int64)
        return good + np.searchsorted(bad - np.arange(len(bad)), good, side="right")


class _LastRow:
    """Whether the newest row ends with the line break of the file's end: with an odd quote, a cell left open."""

    def __init__(self) -> None:
        self.row = 0
        self.is_open = False

    def keep(self, batch: pa.RecordBatch, rows: NDArray[np.int64]) -> None:
        """Look at a batch's last row."""
        if batch.num_rows:
            self.row = int(rows[-1])
            last = batch.column(batch.num_columns - 1)[-1].as_py()
            self.is_open = last.endswith(b"\n")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _delimiter(head: str, candidates: str) -> str:
    """The candidate found most often outside quotes in the first line; the first candidate on a tie."""
    first = head.splitlines()[0] if head.strip() else ""
    outside = "".join(islice(first.split('"'), 0, None, 2))
    counts = [outside.count(candidate) for candidate in candidates]
    return candidates[int(np.argmax(counts))]
