"""What every importer in the registry keeps: the same three rows in its own format, and files it must refuse."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from PIL import Image

from plumbline_backend.domain.errors import InputError
from plumbline_backend.importers import ProblemLog
from plumbline_backend.registry import IMPORTERS

Write = Callable[[Path, int], None]
HEADINGS = ["key", "size"]


def delimited(mark: str) -> Write:
    def write(path: Path, n: int) -> None:
        rows = [HEADINGS, *([f"k{i}", f"{i}.5"] for i in range(n))]
        path.write_text("".join(mark.join(row) + "\n" for row in rows), encoding="utf-8")

    return write


def jsonl(path: Path, n: int) -> None:
    rows = [{"key": f"k{i}", "size": i + 0.5} for i in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def parquet(path: Path, n: int) -> None:
    keys = pa.array([f"k{i}" for i in range(n)], pa.string())
    pq.write_table(pa.table({"key": keys, "size": pa.array([i + 0.5 for i in range(n)], pa.float64())}), path)


def npz(path: Path, n: int) -> None:
    np.savez(path, X=np.arange(n * 2.0).reshape(n, 2), y=np.array([f"c{i % 2}" for i in range(n)]))


def table(path: Path, n: int) -> None:
    key = fits.Column("key", "3A", array=np.array([f"k{i}" for i in range(n)]))
    fits.BinTableHDU.from_columns([key, fits.Column("size", "D", array=np.arange(n) + 0.5)]).writeto(path)


def images(path: Path, n: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(n):
            with archive.open(f"{'ab'[i % 2]}/{i}.png", "w") as stream:
                Image.new("L", (4, 4), 40 * i).save(stream, "PNG")


FILES: dict[str, tuple[str, Write]] = {
    "csv": ("a.csv", delimited(",")),
    "tsv": ("a.tsv", delimited("\t")),
    "jsonl": ("a.jsonl", jsonl),
    "parquet": ("a.parquet", parquet),
    "npz": ("a.npz", npz),
    "fits": ("a.fits", table),
    "images": ("a.zip", images),
}


@pytest.fixture(params=IMPORTERS.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def importer(name: str) -> Any:
    return IMPORTERS.get(name)()


def written(name: str, folder: Path, n: int = 3) -> Path:
    file, write = FILES[name]
    write(folder / file, n)
    return folder / file


def read(importer: Any, path: Path, names: list[str] | None = None) -> pa.Table:
    """Every batch, as one table; checks that rows are counted from 1 and that the fraction ends at 1."""
    columns = importer.inspect(path).columns
    wanted = [c for c in columns if names is None or c.name in names]
    log = ProblemLog(path.name)
    batches = list(importer.batches(path, wanted, log))
    assert log.n_problems == 0
    assert np.concatenate([b.rows for b in batches]).tolist() == list(
        range(1, sum(len(b.rows) for b in batches) + 1)
    )
    assert batches[-1].fraction == pytest.approx(1.0)
    assert all(b.batch.schema.names == [c.name for c in wanted] for b in batches)
    return pa.Table.from_batches([b.batch for b in batches])


def test_it_is_called_what_the_registry_calls_it_and_has_a_file_here(name: str, importer: Any) -> None:
    assert importer.name == name
    assert name in FILES
    assert FILES[name][0].endswith(importer.suffixes)


def test_looking_and_reading_tell_the_same_and_leave_the_file_alone(
    name: str, importer: Any, tmp_path: Path
) -> None:
    path = written(name, tmp_path)
    before = path.read_bytes()
    preview = importer.inspect(path)
    assert preview == importer.inspect(path)
    assert preview.n_rows == 3
    assert len(preview.rows) == 3
    assert all(column.reason for column in preview.columns)
    first, second = read(importer, path), read(importer, path)
    assert first.equals(second)
    assert first.num_rows == 3
    assert [path.name] == [each.name for each in tmp_path.iterdir()]
    assert path.read_bytes() == before


def test_one_row_is_enough(name: str, importer: Any, tmp_path: Path) -> None:
    path = written(name, tmp_path, 1)
    assert importer.inspect(path).n_rows == 1
    assert read(importer, path).num_rows == 1


def test_only_the_wanted_columns_are_read(name: str, importer: Any, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    last = importer.inspect(path).columns[-1].name
    assert read(importer, path, [last]).column_names == [last]


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x00 neither text nor table"])
def test_what_is_not_its_format_is_refused_with_the_files_name(
    name: str, importer: Any, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / FILES[name][0]
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^a\.\w+.*expected"):
        read(importer, path)


def test_a_file_without_rows_gives_none_or_is_refused(name: str, importer: Any, tmp_path: Path) -> None:
    """A header alone may be looked at; the import then says that there is no row."""
    path = written(name, tmp_path, 0)
    try:
        columns = importer.inspect(path).columns
    except InputError as error:
        refused: str | None = str(error)
    else:
        refused = None
        batches = importer.batches(path, columns, ProblemLog(path.name))
        assert sum(len(each.rows) for each in batches) == 0
    assert refused is None or refused.startswith(path.name)
