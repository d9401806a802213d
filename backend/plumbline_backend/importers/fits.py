"""FITS tables: the first table of the file, in native byte order, with blanks and masks as missing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline_backend.domain.types import Column
from plumbline_backend.importers.arrays import array_to_arrow
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
from plumbline_backend.importers.unpacking import check_gzip

if TYPE_CHECKING:
    from astropy.io.fits import HDUList


class FitsImporter:
    """Binary and ASCII tables by astropy; units go into the reason of a column's role."""

    name = "fits"
    suffixes: tuple[str, ...] = (".fits", ".fit", ".fts", ".fits.gz")

    def inspect(self, path: Path) -> Preview:
        """See `Importer.inspect`."""
        with _Table(path) as table:
            if table.n_rows == 0:
                raise refuse(path.name, "a table with at least one row")
            n_sample = min(SAMPLE_ROWS, table.n_rows, table.rows_per_batch * 4)
            arrays = [table.read(name, 0, n_sample) for name in table.names]
            sample = pa.Table.from_arrays(arrays, names=table.names)
            columns = guess_columns(sample, n_sample == table.n_rows)
            rows = tuple(sample.slice(0, PREVIEW_ROWS).to_pylist())
            with_units = tuple(_with_unit(column, table.units[column.name]) for column in columns)
            return Preview(with_units, rows, table.n_rows, self.name, None, (), tuple(table.notes))

    def batches(self, path: Path, columns: Sequence[Column], log: ProblemLog) -> Iterator[SourceBatch]:
        """See `Importer.batches`."""
        with _Table(path) as table:
            for note in table.notes:
                log.note(note)
            for start in range(0, table.n_rows, table.rows_per_batch):
                stop = min(start + table.rows_per_batch, table.n_rows)
                arrays = [table.read(column.name, start, stop) for column in columns]
                batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
                yield SourceBatch(batch, np.arange(start + 1, stop + 1, dtype=np.int64), stop / table.n_rows)


class _Table:
    """The first table extension of a file, open for reading rows; what astropy warns about becomes notes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self._file: HDUList | None = None

    def __enter__(self) -> _Table:
        from astropy.io import fits

        if self.path.stat().st_size == 0:
            raise refuse(self.path.name, "a FITS file with a table, not an empty file")
        if self.path.name.lower().endswith(".gz"):
            check_gzip(self.path)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self._file = fits.open(self.path, mode="readonly", memmap=not self.path.name.endswith(".gz"))
                tables = [hdu for hdu in self._file if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU))]
            except (OSError, ValueError, TypeError, fits.VerifyError) as error:
                self._close()
                raise refuse(self.path.name, f"a whole FITS file ({error})") from error
        if not tables:
            self._close()
            raise refuse(self.path.name, "a FITS file with a table extension; this one holds images only")
        self._hdu: Any = tables[0]
        self.notes += [f"astropy: {warning.message}" for warning in caught]
        if len(tables) > 1:
            self.notes.append(
                f"the file has {len(tables)} tables; the first, {self._hdu.name or 'unnamed'!r}, is read"
            )
        self._describe()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, name: str, start: int, stop: int) -> pa.Array:
        """Rows [start, stop) of a column. Raises ImportRefusedError when the file ends early."""
        column = self._columns[name]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                values: NDArray[Any] = np.asarray(self._hdu.data[start:stop].field(column.name))
        except (OSError, ValueError, TypeError, IndexError) as error:
            raise refuse(
                self.path.name, f"a whole FITS table ({error})", row=start + 1, column=name
            ) from error
        if values.dtype == object:
            return pa.array([None if v is None else np.asarray(v).tolist() for v in values])
        blank = column.null
        if blank not in (None, "") and values.dtype.kind in "iu":
            return array_to_arrow(values, values == int(blank))
        if values.dtype.kind in "US":
            return _stripped(array_to_arrow(values))
        return array_to_arrow(values)

    def _describe(self) -> None:
        columns = list(self._hdu.columns)
        self.names, renamed = distinct_names([column.name for column in columns])
        self.notes += renamed
        self._columns = dict(zip(self.names, columns, strict=True))
        self.units = {name: str(column.unit or "") for name, column in self._columns.items()}
        self.n_rows = int(self._hdu.header.get("NAXIS2", 0))
        row_bytes = max(int(self._hdu.header.get("NAXIS1", 1)), 1)
        self.rows_per_batch = int(max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes)))
        complex_names = [
            n for n, c in self._columns.items() if str(c.format).lstrip("0123456789")[:1] in ("C", "M")
        ]
        if complex_names:
            raise refuse(self.path.name, "real numbers, not complex ones", column=complex_names[0])

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _stripped(array: pa.Array) -> pa.Array:
    """FITS pads text with blanks, which are not part of it."""
    return pc.utf8_rtrim(array, " ") if pa.types.is_string(array.type) else array


def _with_unit(column: Column, unit: str) -> Column:
    return replace(column, reason=f"{column.reason}; in {unit}") if unit else column
