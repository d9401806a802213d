"""Item fields on disk: Arrow IPC shards of small record batches, read through memory mappings."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

KEY_FIELD = "key"
SHARD_ROWS = 1_000_000
BATCH_ROWS = 4096
"""Rows per record batch. Reading one item decodes one batch's header (about 0.1 ms at 64 columns), never
its rows, so the figure only bounds the writer's memory."""
BATCH_BYTES = 64 * 2**20


class FieldWriter:
    """Appends record batches to `folder`/000.arrow, 001.arrow, ... in batches of bounded rows and bytes."""

    def __init__(self, folder: Path, schema: pa.Schema, shard_rows: int = SHARD_ROWS) -> None:
        self._folder = folder
        self._schema = schema
        self._shard_rows = shard_rows
        self._writer: pa.RecordBatchFileWriter | None = None
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._shards: list[list[int]] = []
        self._in_shard = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def batch_rows(self) -> tuple[tuple[int, ...], ...]:
        """Per shard, the rows of each record batch."""
        return tuple(tuple(shard) for shard in self._shards)

    def append(self, batch: pa.RecordBatch) -> None:
        """Add rows with the writer's schema; they reach the file when a batch is full."""
        self._pending.append(batch)
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        if self._pending_rows >= BATCH_ROWS or self._pending_bytes >= BATCH_BYTES:
            self._flush(keep_rest=self._pending_bytes < BATCH_BYTES)

    def close(self) -> None:
        """Write what is pending and close the last file; a pool of no rows has one empty shard."""
        self._flush(keep_rest=False)
        if self._writer is None and not self._shards:
            self._open_shard()
        self._close_shard()

    def abandon(self) -> None:
        """Let go of the file; a full disk may not take what is left of it, and it is not wanted any more."""
        with suppress(OSError):
            self._close_shard()
        self._writer = None

    def _flush(self, keep_rest: bool) -> None:
        if not self._pending:
            return
        rows = pa.Table.from_batches(self._pending, self._schema).combine_chunks()
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
        for batch in rows.to_batches(max_chunksize=BATCH_ROWS):
            if keep_rest and batch.num_rows < BATCH_ROWS:
                self._pending = [batch]
                self._pending_rows, self._pending_bytes = batch.num_rows, batch.nbytes
            else:
                self._write(batch)

    def _write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._open_shard()
        assert self._writer is not None
        self._writer.write_batch(batch)
        self._shards[-1].append(batch.num_rows)
        self._in_shard += batch.num_rows
        if self._in_shard >= self._shard_rows:
            self._close_shard()

    def _open_shard(self) -> None:
        path = self._folder / f"{len(self._shards):03d}.arrow"
        self._writer = pa.ipc.new_file(str(path), self._schema)
        self._shards.append([])
        self._in_shard = 0

    def _close_shard(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Located(NamedTuple):
    """The record batch that holds some of the wanted positions."""

    batch: pa.RecordBatch
    rows: NDArray[np.int64]
    """Rows within the batch."""
    order: NDArray[np.int64]
    """Where each row stood among the wanted positions."""


class FieldStore:
    """Reads fields by position or in order. One item costs one record batch's header, not its rows."""

    def __init__(self, folder: Path, batch_rows: Sequence[Sequence[int]]) -> None:
        paths = [folder / f"{i:03d}.arrow" for i in range(len(batch_rows))]
        self._random = [_open(path, mmap.MADV_RANDOM) for path in paths]
        self._scan = [_open(path, mmap.MADV_SEQUENTIAL) for path in paths]
        self._where = [(shard, i) for shard, rows in enumerate(batch_rows) for i in range(len(rows))]
        self._starts = np.cumsum([0, *(n for rows in batch_rows for n in rows)])
        self.n = int(self._starts[-1])
        self.n_batches_read = 0
        """Record batches opened for random access so far: the counted work of item access."""

    def locate(self, positions: Sequence[int] | NDArray[Any]) -> Iterator[Located]:
        """The batches that hold `positions`, each once. Raises InputError for one outside [0, n)."""
        wanted = np.asarray(positions, dtype=np.int64).reshape(-1)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= self.n):
            raise InputError(
                f"positions {wanted.min()} to {wanted.max()}; expected them within 0 to {self.n - 1}"
            )
        batch_of = np.searchsorted(self._starts, wanted, side="right") - 1
        for number in np.unique(batch_of):
            order = np.flatnonzero(batch_of == number)
            shard, index = self._where[number]
            self.n_batches_read += 1
            batch = self._random[shard].get_batch(index)
            yield Located(batch, wanted[order] - self._starts[number], order)

    def scan(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(position of the first row, record batch) in order; columns not touched are not read."""
        for number, (shard, index) in enumerate(self._where):
            yield int(self._starts[number]), self._scan[shard].get_batch(index)


def _open(path: Path, advice: int) -> pa.RecordBatchFileReader:
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.madvise(advice)
    return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped)))
