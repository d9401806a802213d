"""NPZ archives of NumPy arrays: a feature matrix, optional labels, ids and further columns. Never unpickles."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from numpy.typing import NDArray

from plumbline_backend.domain.errors import ImportRefusedError, Problem
from plumbline_backend.domain.types import Column
from plumbline_backend.importers.arrays import array_to_arrow
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
from plumbline_backend.importers.unpacking import check_npz

MAX_DIMENSIONS = 2
SHOWN_WIDTH = 8
MAX_WHOLE_BYTES = 2 * 2**30
"""An array in Fortran order is read as a whole, since its rows lie apart."""


class NpzImporter:
    """Every array whose first axis has the length of the longest matrix is a column; others are noted."""

    name = "npz"
    suffixes: tuple[str, ...] = (".npz",)

    def inspect(self, path: Path) -> Preview:
        """See `Importer.inspect`."""
        members, notes = _members(path)
        n_rows = members[0].n_rows
        n_sample = min(SAMPLE_ROWS, n_rows)
        with zipfile.ZipFile(path) as archive:
            arrays = {m.name: _first_rows(archive, m, n_sample) for m in members}
        sample = pa.Table.from_arrays(list(arrays.values()), names=list(arrays))
        columns = tuple(_as_label(column, members) for column in guess_columns(sample, n_rows <= SAMPLE_ROWS))
        rows = sample.slice(0, PREVIEW_ROWS).to_pylist()
        return Preview(columns, tuple(rows), n_rows, self.name, None, (), tuple(notes))

    def batches(self, path: Path, columns: Sequence[Column], log: ProblemLog) -> Iterator[SourceBatch]:
        """See `Importer.batches`."""
        members, notes = _members(path)
        for note in notes:
            log.note(note)
        by_name = {member.name: member for member in members}
        n_rows = members[0].n_rows
        with ExitStack() as open_files:
            archive = open_files.enter_context(zipfile.ZipFile(path))
            readers = [_RowReader(archive, by_name[column.name], open_files) for column in columns]
            row_bytes = sum(reader.row_bytes for reader in readers)
            step = max(1, min(BATCH_ROWS, BATCH_BYTES // max(row_bytes, 1)))
            for start in range(0, n_rows, step):
                stop = min(start + step, n_rows)
                arrays = [array_to_arrow(reader.read(stop - start)) for reader in readers]
                batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
                yield SourceBatch(batch, np.arange(start + 1, stop + 1, dtype=np.int64), stop / n_rows)


class _Member:
    """One array of the archive: name, shape and type, read from its header only."""

    def __init__(
        self, name: str, entry: str, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]
    ) -> None:
        self.name = name
        self.entry = entry
        self.shape = shape
        self.fortran = fortran
        self.dtype = dtype

    @property
    def n_rows(self) -> int:
        return self.shape[0] if self.shape else 0


class _RowReader:
    """Reads rows of a member one after another; an array in Fortran order has to be read as a whole."""

    def __init__(self, archive: zipfile.ZipFile, member: _Member, open_files: ExitStack) -> None:
        self._member = member
        self._file = Path(str(archive.filename)).name
        self._stream = open_files.enter_context(archive.open(member.entry))
        _read_header(self._stream)
        self.row_bytes = int(member.dtype.itemsize * np.prod(member.shape[1:], dtype=np.int64))
        self._whole: NDArray[Any] | None = None
        self._at = 0
        if member.fortran and len(member.shape) > 1:
            data = self._stream.read()
            self._whole = np.frombuffer(data, member.dtype).reshape(member.shape, order="F")

    def read(self, n_rows: int) -> NDArray[Any]:
        """The next n_rows rows. Raises ImportRefusedError when the array is cut short."""
        if self._whole is not None:
            self._at += n_rows
            return np.ascontiguousarray(self._whole[self._at - n_rows : self._at])
        wanted = n_rows * self.row_bytes
        data = self._stream.read(wanted)
        while len(data) < wanted and (more := self._stream.read(wanted - len(data))):
            data += more
        if len(data) < wanted:
            raise refuse(
                self._file,
                f"an array of {self._member.shape}; its bytes end early",
                column=self._member.name,
            )
        return np.frombuffer(data, self._member.dtype).reshape(n_rows, *self._member.shape[1:])


def _members(path: Path) -> tuple[list[_Member], list[str]]:
    """The arrays that have a value per item, the widest first, and notes on those that do not."""
    try:
        with zipfile.ZipFile(path) as archive:
            check_npz(path, archive)
            found = [_describe(archive, path.name, entry) for entry in archive.namelist()]
    except zipfile.BadZipFile as error:
        raise refuse(path.name, f"an NPZ archive as numpy.savez writes it ({error})") from error
    if not found:
        raise refuse(path.name, "an NPZ archive with at least one array")
    main = max(found, key=lambda m: (len(m.shape) >= 2, m.name in ("X", "x", "features", "data"), m.n_rows))
    if main.n_rows == 0:
        raise refuse(path.name, "at least one row", column=main.name, value=f"shape {main.shape}")
    labels = [m for m in found if m.name.lower() in _LABEL_NAMES and m.n_rows != main.n_rows]
    if labels:
        raise ImportRefusedError(
            [
                Problem(
                    path.name,
                    f"{main.n_rows:,} labels, one per row of {main.name!r}",
                    None,
                    m.name,
                    f"shape {m.shape}",
                )
                for m in labels
            ]
        )
    kept = [main] + [
        m for m in found if m is not main and m.n_rows == main.n_rows and len(m.shape) <= MAX_DIMENSIONS
    ]
    notes = [
        f"array {m.name!r} of shape {m.shape} has no value per item; it is not imported"
        for m in found
        if m not in kept
    ]
    if len(main.shape) > MAX_DIMENSIONS:
        notes.append(f"array {main.name!r} of shape {main.shape} is flattened to one vector per item")
    return kept, notes


_LABEL_NAMES = ("y", "label", "labels", "target", "targets")


def _describe(archive: zipfile.ZipFile, file: str, entry: str) -> _Member:
    name = entry.removesuffix(".npy")
    try:
        with archive.open(entry) as stream:
            shape, fortran, dtype = _read_header(stream)
            there = archive.getinfo(entry).file_size - stream.tell()
    except (ValueError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise refuse(file, f"a NumPy array ({error})", column=name) from error
    if dtype.hasobject:
        raise refuse(
            file,
            "numbers or fixed-width text; arrays of Python objects need pickle, which can run code",
            column=name,
        )
    if dtype.kind in "cV":
        raise refuse(file, f"real numbers or text, not {dtype}", column=name)
    n_bytes = int(dtype.itemsize * np.prod(shape, dtype=object))
    if n_bytes > there:
        raise refuse(file, f"an array of {shape}; its bytes end early", column=name)
    if fortran and len(shape) > 1 and n_bytes > MAX_WHOLE_BYTES:
        raise refuse(
            file,
            f"an array in C order (numpy.ascontiguousarray), or one of at most {MAX_WHOLE_BYTES // 2**30} GiB",
            column=name,
            value=f"{n_bytes:,} bytes in Fortran order",
        )
    return _Member(name, entry, shape, fortran, dtype)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise ValueError(f"array format version {version}; expected 1.0 or 2.0")


def _first_rows(archive: zipfile.ZipFile, member: _Member, n_rows: int) -> pa.Array:
    with ExitStack() as open_files:
        return array_to_arrow(_RowReader(archive, member, open_files).read(n_rows))


def _as_label(column: Column, members: Sequence[_Member]) -> Column:
    """A one-dimensional `y` beside a matrix is the label even when it looks like numbers."""
    is_flat = any(m.name == column.name and len(m.shape) == 1 for m in members)
    if is_flat and column.name.lower() in _LABEL_NAMES and column.role == "numeric":
        return Column(column.name, "string", "label", "named like a label", column.examples, column.n_missing)
    return column
