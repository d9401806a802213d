"""Labels as Parquet: typed columns, one row group per chunk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline_backend.exporters.labels import COLUMNS, LabelRow, refuse_surrogates

ROWS_PER_GROUP = 50_000
"""About 10 MB of rows in memory; smaller groups cost readers more than they save the writer."""
TYPES = {"position": pa.int64(), "question_version": pa.int64(), "judge_version": pa.int64(),
         "judgement_id": pa.int64(), "supersedes": pa.int64(), "revokes": pa.int64(), "seconds": pa.float64(),
         "time": pa.timestamp("us", tz="UTC")}  # fmt: skip
SCHEMA = pa.schema([(column, TYPES.get(column, pa.string())) for column in COLUMNS])


@dataclass(frozen=True)
class ParquetLabels:
    """Writes labels as Parquet (zstd). Times are timestamps in UTC to the microsecond; missing is null."""

    suffix: str = ".parquet"
    more: tuple[str, ...] = ()

    def write(self, path: Path, rows: Iterable[LabelRow]) -> int:
        """Stream the rows into `path`; returns their number. Raises InputError for text UTF-8 cannot hold."""
        n = 0
        stream = iter(rows)
        schema = pa.schema([*SCHEMA, *((column, pa.string()) for column in self.more)])
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            while chunk := list(islice(stream, ROWS_PER_GROUP)):
                for index, row in enumerate(chunk, n + 1):
                    refuse_surrogates(row, index, "parquet")
                columns = {name: [row.cell(name) for row in chunk] for name in schema.names}
                writer.write_table(pa.table(columns, schema=schema))
                n += len(chunk)
        return n
