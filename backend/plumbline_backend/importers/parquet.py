"""Parquet: typed columns, read in small batches; lists of numbers are vectors, other nested values JSON text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline_backend.domain.types import Column
from plumbline_backend.importers.convert import decode_dictionary, json_text
from plumbline_backend.importers.names import distinct_names
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


class ParquetImporter:
    """Every top-level column is a column, whatever its name; dots in names are not paths."""

    name = "parquet"
    suffixes: tuple[str, ...] = (".parquet", ".pq")

    def inspect(self, path: Path) -> Preview:
        """See `Importer.inspect`."""
        with _open(path) as file:
            n_rows = file.metadata.num_rows
            names, notes = distinct_names(file.schema_arrow.names)
            if n_rows == 0:
                raise refuse(path.name, "at least one row")
            parts: list[pa.RecordBatch] = []
            for batch in _read(path, file, _rows_per_batch(file)):
                parts.append(_whole_text(batch).slice(0, SAMPLE_ROWS - sum(p.num_rows for p in parts)))
                n_bytes = sum(part.nbytes for part in parts)
                if sum(part.num_rows for part in parts) >= SAMPLE_ROWS or n_bytes >= BATCH_BYTES:
                    break
        sample = pa.Table.from_batches(parts).rename_columns(names)
        columns = guess_columns(sample, sample.num_rows == n_rows)
        rows = tuple(_shown(row) for row in sample.slice(0, PREVIEW_ROWS).to_pylist())
        return Preview(columns, rows, n_rows, self.name, None, (), tuple(notes))

    def batches(self, path: Path, columns: Sequence[Column], log: ProblemLog) -> Iterator[SourceBatch]:
        """See `Importer.batches`."""
        with _open(path) as file:
            names, notes = distinct_names(file.schema_arrow.names)
            for note in notes:
                log.note(note)
            places = [names.index(column.name) for column in columns]
            n_rows = max(file.metadata.num_rows, 1)
            start = 0
            for batch in _read(path, file, _rows_per_batch(file)):
                checked = _whole_text(batch)
                arrays = [decode_dictionary(checked.column(place)) for place in places]
                rows = np.arange(start + 1, start + batch.num_rows + 1, dtype=np.int64)
                start += batch.num_rows
                wanted = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
                yield SourceBatch(wanted, rows, min(1.0, start / n_rows))


def _open(path: Path) -> pq.ParquetFile:
    if path.stat().st_size == 0:
        raise refuse(path.name, "a Parquet file, not an empty one")
    try:
        return pq.ParquetFile(str(path), memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise refuse(path.name, f"a whole Parquet file ({_first_line(error)})") from error


def _read(path: Path, file: pq.ParquetFile, n_rows: int) -> Iterator[pa.RecordBatch]:
    """Batches; damage inside the file is refused with the row at which it begins."""
    seen = 0
    try:
        for batch in file.iter_batches(batch_size=n_rows, use_threads=False):
            yield batch
            seen += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise refuse(path.name, f"a whole Parquet file ({_first_line(error)})", row=seen + 1) from error


def _rows_per_batch(file: pq.ParquetFile) -> int:
    """Rows that make a batch of bounded size, by the size of the file's own row groups."""
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    row_bytes = sum(group.total_byte_size for group in groups) / max(metadata.num_rows, 1)
    return int(max(1, min(BATCH_ROWS, BATCH_BYTES / max(row_bytes, 1))))


def _whole_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with text columns that are not UTF-8 as bytes, so that their cells can be named."""
    arrays = []
    for array in batch.columns:
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            array = (
                array.view(pa.binary()) if pa.types.is_string(array.type) else array.view(pa.large_binary())
            )
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _shown(row: dict[str, object]) -> dict[str, object]:
    return {
        name: json_text(value) if isinstance(value, (dict, list)) else value for name, value in row.items()
    }


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0]
