"""Writing a pool: read batches, check rows, write fields, matrices and keys, commit by a manifest."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline_backend.domain.errors import ConflictError, InputError, Problem, did_you_mean
from plumbline_backend.domain.types import COLUMN_ROLES, Column
from plumbline_backend.importers import OnProblem, ProblemLog, SourceBatch, importer_for
from plumbline_backend.importers.convert import Converted, Misfit, convert, stored_type
from plumbline_backend.importers.source import refuse
from plumbline_backend.pool.fields import KEY_FIELD, FieldWriter
from plumbline_backend.pool.files import held, sync_folder, sync_tree
from plumbline_backend.pool.image_check import check_images
from plumbline_backend.pool.keys import Digests, KeyIndexBuilder, digests_of, write_index
from plumbline_backend.pool.manifest import Manifest, list_files
from plumbline_backend.pool.matrix import MatrixWriter
from plumbline_backend.pool.tally import ColumnTally

Progress = Callable[[float, str], None]

SKIPPED_NAME = "skipped.csv"


@dataclass(frozen=True)
class PoolSummary:
    """What an import did. `problems` were found in rows that were left out; `notes` deserve a look."""

    n_items: int
    n_skipped: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def build_pool(
    path: str | Path,
    folder: str | Path,
    columns: Sequence[Column],
    *,
    on_problem: OnProblem = "refuse",
    progress: Progress | None = None,
) -> PoolSummary:
    """Import a file into a new pool at `folder`, in bounded memory.

    columns: those of `inspect_file`, with roles as corrected by the person; progress is called with a
    fraction in [0, 1] and a sentence. Raises ImportRefusedError with every problem (up to a cap) unless
    `on_problem` is "skip", which leaves the bad rows out and lists them in skipped.csv; ConflictError
    when there is a pool at `folder`. Whatever goes wrong, `folder` is either complete or absent.
    """
    source = Path(path)
    importer = importer_for(source)
    wanted = check_columns(source.name, columns)
    check_names(source.name, wanted, [c.name for c in importer.inspect(source).columns])

    def read(log: ProblemLog) -> Iterator[SourceBatch]:
        return importer.batches(source, wanted, log)

    about = {"file": source.name, "format": importer.name}
    return write_pool(
        source.name, read, Path(folder), wanted, about, on_problem=on_problem, progress=progress
    )


def check_columns(file: str, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that are not ignored. Raises InputError on unknown roles, repeated names or two ids."""
    mistakes = [
        f"column {c.name!r} has the role {c.role!r}; {did_you_mean(c.role, COLUMN_ROLES)}"
        for c in columns
        if c.role not in COLUMN_ROLES
    ]
    wanted = tuple(_scalar_as_number(c) for c in columns if c.role != "ignore")
    names = [c.name for c in wanted]
    mistakes += [
        f"column {name!r} appears {names.count(name)} times"
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    ids = [c.name for c in wanted if c.role == "id"]
    if len(ids) > 1:
        mistakes.append(f"columns {', '.join(map(repr, ids))} all have the role id; expected at most one")
    if not wanted:
        mistakes.append("every column is ignored; expected at least one with another role")
    if mistakes:
        raise InputError("\n".join(f"{file}: {mistake}" for mistake in mistakes))
    return wanted


def check_names(file: str, columns: Sequence[Column], there: Sequence[str]) -> None:
    """Raise InputError for columns that the file does not have."""
    mistakes = [
        f"{file}: column {c.name!r} does not exist; {did_you_mean(c.name, there)}"
        for c in columns
        if c.name not in there
    ]
    if mistakes:
        raise InputError("\n".join(mistakes))


def write_pool(
    name: str,
    read: Callable[[ProblemLog], Iterable[SourceBatch]],
    folder: Path,
    columns: Sequence[Column],
    about: Mapping[str, Any],
    *,
    on_problem: OnProblem = "refuse",
    progress: Progress | None = None,
) -> PoolSummary:
    """Write the batches that `read` yields to a new pool; see `build_pool` for errors and promises."""
    if folder.exists():
        raise ConflictError(f"{folder.name}: there is something at this place already; expected a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = folder.with_name(f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.building")
    building.mkdir()
    log = ProblemLog(name, building / SKIPPED_NAME if on_problem == "skip" else None)
    report = progress or _silent
    writer = _PoolWriter(building, name, columns, log)
    try:
        with held(building):
            for batch in read(log):
                writer.append(batch)
                report(0.95 * batch.fraction, f"{writer.n_items:,} rows read")
            if on_problem == "refuse":
                log.refuse_if_any()
            if writer.n_items == 0:
                log.refuse_if_any()
                raise refuse(name, "at least one row of data below the header")
            report(0.96, "writing to disk")
            writer.finish(dict(about))
            log.close()
            sync_tree(building)
            building.rename(folder)
            sync_folder(folder.parent)
    except BaseException:
        writer.abandon()
        with suppress(OSError):  # a full disk cannot take what is left of the list of skipped rows either
            log.close()
        shutil.rmtree(building)
        raise
    report(1.0, f"{writer.n_items:,} items")
    return PoolSummary(writer.n_items, log.n_rows, tuple(log.problems), tuple(log.notes))


class _PoolWriter:
    """The open files of a pool under construction."""

    def __init__(self, folder: Path, name: str, columns: Sequence[Column], log: ProblemLog) -> None:
        self.n_items = 0
        self._folder = folder
        self._name = name
        self._columns = tuple(columns)
        self._log = log
        self._id_name = next((column.name for column in columns if column.role == "id"), None)
        self._keys = KeyIndexBuilder()
        self._hashes: list[NDArray[np.uint64]] = []
        self._storage: dict[str, str] = {}
        self._matrices: dict[str, MatrixWriter] = {}
        schema = [pa.field(KEY_FIELD, pa.string(), nullable=False)]
        for i, column in enumerate(self._columns):
            kind = stored_type(column)
            if column.role == "features":
                self._storage[column.name] = f"matrix:m{i}"
                self._matrices[column.name] = MatrixWriter(folder / "matrices" / f"m{i}", kind.list_size)
            elif column.role == "id":
                self._storage[column.name] = f"fields:{KEY_FIELD}"
            else:
                self._storage[column.name] = f"fields:c{i}"
                schema.append(pa.field(f"c{i}", kind))
        self._schema = pa.schema(schema)
        self._fields = FieldWriter(folder / "fields", self._schema)
        self._tallies = {column.name: ColumnTally(column) for column in self._columns}

    def append(self, source: SourceBatch) -> None:
        """Convert, check and write one batch; bad rows go to the log."""
        if source.batch.num_rows == 0:
            return
        converted = {c.name: self._convert(source.batch.column(i), c) for i, c in enumerate(self._columns)}
        keys = self._key_array(converted, source.rows)
        found = self._misfits(source, converted, keys)
        digests = self._add_duplicates(source, keys, found)
        good = np.ones(source.batch.num_rows, dtype=bool)
        for i in sorted(found):
            good[i] = False
            self._log.reject(int(source.rows[i]), found[i], _cells(source.batch, i))
        self._write(converted, keys, good)
        self._keys.add(digests[good], source.rows[good])
        self._hashes.append(digests[good, 0].copy())
        self.n_items += int(good.sum())

    def finish(self, about: dict[str, Any]) -> None:
        """Close every file, write the key index and the manifest."""
        self._fields.close()
        for matrix in self._matrices.values():
            matrix.close()
        write_index(self._folder / "keys", np.concatenate(self._hashes))
        for tally in self._tallies.values():
            for note in tally.notes():
                self._log.note(note)
        data = [path for path in self._folder.rglob("*") if path.is_file() and path.name != SKIPPED_NAME]
        files, data_hash = list_files(self._folder, data)
        Manifest(
            name=self._name,
            n_items=self.n_items,
            columns=tuple(tally.column() for tally in self._tallies.values()),
            storage=self._storage,
            batch_rows=self._fields.batch_rows,
            matrix_width={name: matrix.width for name, matrix in self._matrices.items()},
            files=files,
            data_hash=data_hash,
            source=about,
            n_skipped=self._log.n_rows,
            whole_numbers=tuple(name for name, tally in self._tallies.items() if tally.is_whole),
            notes=tuple(self._log.notes),
        ).save(self._folder)

    def abandon(self) -> None:
        """Let go of every file of a pool that will not be finished."""
        self._fields.abandon()
        for matrix in self._matrices.values():
            matrix.abandon()

    def _convert(self, array: pa.Array, column: Column) -> Converted:
        converted = convert(array, column)
        if column.role == "image":
            found = check_images(converted.array)
            return Converted(converted.array, {**found, **converted.bad})
        return converted

    def _key_array(self, converted: Mapping[str, Converted], rows: NDArray[np.int64]) -> pa.Array:
        if self._id_name is not None:
            return pc.fill_null(converted[self._id_name].array, "")
        return pc.cast(pa.array(rows), pa.string())

    def _misfits(
        self, source: SourceBatch, converted: Mapping[str, Converted], keys: pa.Array
    ) -> dict[int, list[Problem]]:
        """Problems of cells, by row of the batch; an image is named by its key."""
        found: dict[int, list[Problem]] = {}
        for column in self._columns:
            for i, misfit in converted[column.name].bad.items():
                if column.role == "image" and self._id_name is not None:
                    misfit = Misfit(misfit.expected, f"{keys[i].as_py()}, {misfit.value}")
                found.setdefault(i, []).append(self._problem(source, i, column.name, misfit))
        return found

    def _add_duplicates(
        self, source: SourceBatch, keys: pa.Array, found: dict[int, list[Problem]]
    ) -> Digests:
        """Adds rows whose key an earlier good row has; returns the digests of all keys."""
        digests = digests_of(keys.to_pylist())
        if self._id_name is None:
            return digests
        candidates = np.array([i for i in range(len(keys)) if i not in found], dtype=np.int64)
        earlier = self._keys.earlier_rows(digests[candidates], source.rows[candidates])
        for i, row in zip(candidates[earlier >= 0].tolist(), earlier[earlier >= 0].tolist(), strict=True):
            misfit = Misfit(f"a unique id (row {row} has the same)", keys[i].as_py())
            found[i] = [self._problem(source, i, self._id_name, misfit)]
        return digests

    def _problem(self, source: SourceBatch, i: int, column: str, misfit: Misfit) -> Problem:
        return Problem(self._log.file, misfit.expected, int(source.rows[i]), column, misfit.value)

    def _write(self, converted: Mapping[str, Converted], keys: pa.Array, good: NDArray[np.bool_]) -> None:
        mask = pa.array(good)
        fields = [keys.filter(mask)]
        for column in self._columns:
            kept = converted[column.name].array.filter(mask)
            self._tallies[column.name].add(kept)
            if column.role == "features":
                matrix = self._matrices[column.name]
                matrix.append(np.asarray(kept.flatten()).reshape(len(kept), matrix.width))
            elif column.role != "id":
                fields.append(kept)
        self._fields.append(pa.RecordBatch.from_arrays(fields, schema=self._schema))


def _cells(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    return {name: batch.column(i)[row].as_py() for i, name in enumerate(batch.schema.names)}


def _silent(fraction: float, message: str) -> None:
    """The progress of someone who does not look."""


def _scalar_as_number(column: Column) -> Column:
    """A column of single numbers that is called features is numeric; only vectors are stored as a matrix."""
    if column.role == "features" and not column.type.startswith("fixed_size_list"):
        return replace(column, role="numeric")
    return column


def with_roles(columns: Sequence[Column], roles: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns with some roles replaced by name. Raises InputError on an unknown column or role."""
    names = [c.name for c in columns]
    for name, role in roles.items():
        if name not in names:
            raise InputError(f"column {name!r} does not exist; {did_you_mean(name, names)}")
        if role not in COLUMN_ROLES:
            raise InputError(f"role {role!r} of column {name!r}; {did_you_mean(role, COLUMN_ROLES)}")
    return tuple(
        replace(c, role=roles[c.name], reason="chosen by hand") if c.name in roles else c  # type: ignore[arg-type]
        for c in columns
    )
