"""Parquet, FITS and JSON Lines: real files with every awkward type."""

from __future__ import annotations

import datetime
import decimal
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from plumbline_backend.domain.errors import ImportRefusedError

UTC = datetime.UTC


def write_parquet(path: Path) -> None:
    columns = {
        "id": ["a", "b"],
        "a.b": [1, 2],
        "struct": [{"x": 1, "y": [None]}, None],
        "vector": [[1.0, 2.0], [3.0, 4.0]],
        "ragged": [[1], [2, 3]],
        "decimal": [decimal.Decimal("1.10"), decimal.Decimal("2.20")],
        "time": pa.array(
            [datetime.datetime(2020, 1, 1, 12, tzinfo=UTC)] * 2, pa.timestamp("us", tz="Europe/Berlin")
        ),
        "dictionary": pa.array(["u", "v"]).dictionary_encode(),
        "half": np.array([1.5, 2], np.float16),
        "huge": pa.array([2**63 + 1, 5], pa.uint64()),
        "null": pa.nulls(2),
        "map": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        "date": [datetime.date(2020, 1, 1)] * 2,
        "flag": [True, False],
        "large": pa.array(["x", None], pa.large_string()),
        "big": [2**53 + 1, 7],
        "y": [0, 1],
        "bytes": [b"\xff\x00", b"a"],
    }
    pq.write_table(pa.table(columns), path)


def test_parquet_types(import_file):
    found = import_file("a.parquet", write_parquet)
    roles = found.roles
    assert roles == {
        "id": "id", "a.b": "numeric", "struct": "metadata", "vector": "features", "ragged": "metadata",
        "decimal": "numeric", "time": "metadata", "dictionary": "category", "half": "numeric",
        "huge": "metadata", "null": "ignore", "map": "metadata", "date": "metadata", "flag": "category",
        "large": "category", "big": "metadata", "y": "label", "bytes": "ignore",
    }  # fmt: skip
    assert dict(found.pool.item(0).fields) == {
        "id": "a", "a.b": 1, "struct": '{"x": 1, "y": [null]}', "ragged": "[1]", "decimal": 1.1,
        "time": "2020-01-01 13:00:00.000000+0100", "dictionary": "u", "half": 1.5,
        "huge": "9223372036854775809", "map": '[["k", 1]]', "date": "2020-01-01", "flag": "true",
        "large": "x", "big": "9007199254740993", "y": "0",
    }  # fmt: skip
    assert found.pool.item(1).fields["struct"] is None
    assert found.pool.item(1).fields["large"] is None
    assert found.pool.matrix("vector").gather([1]).tolist() == [[3, 4]]


def test_a_decimal_as_category_keeps_its_digits(import_file):
    assert import_file("a.parquet", write_parquet, {"decimal": "category"}).values("decimal") == [
        "1.10",
        "2.20",
    ]


def test_an_id_of_many_digits_as_number_is_refused(import_file):
    table = pa.table({"id": [2**53 + 1, 1]})
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.parquet", lambda path: pq.write_table(table, path), {"id": "numeric"})
    assert str(refused.value) == (
        "a.parquet, row 1, column 'id': found '9007199254740993'; expected a number that a 64-bit float holds "
        "exactly; as category or id every digit is kept"
    )


def test_vectors_of_another_length_are_named(import_file):
    table = pa.table({"v": [[float(i), 1.0] for i in range(10_000)] + [[1.0, 2.0, 3.0], None]})
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.parquet", lambda path: pq.write_table(table, path))
    assert (
        str(refused.value)
        == "a.parquet, row 10001, column 'v': found '3 numbers'; expected a list of 2 numbers"
    )


def test_a_missing_vector_is_missing_numbers(import_file):
    found = import_file("a.parquet", lambda path: pq.write_table(pa.table({"v": [[1.0, 2.0], None]}), path))
    assert np.isnan(found.pool.matrix("v").gather([1])).all()


def test_parquet_without_rows_is_refused(import_file):
    with pytest.raises(ImportRefusedError, match=r"^a.parquet; expected at least one row$"):
        import_file("a.parquet", lambda path: pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path))


def test_a_truncated_parquet_file_is_refused(import_file):
    def cut(path: Path) -> None:
        write_parquet(path)
        path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(ImportRefusedError, match=r"^a.parquet; expected a whole Parquet file \("):
        import_file("a.parquet", cut)


def write_fits(path: Path) -> None:
    columns = [
        fits.Column("ID", "10A", array=["a", "b", "c"]),
        fits.Column("FLUX", "E", array=np.array([1, np.nan, 2.5], ">f4"), unit="Jy"),
        fits.Column("N", "J", null=-99, array=np.array([1, -99, 3], ">i4")),
        fits.Column("VEC", "3D", array=np.arange(9.0).reshape(3, 3)),
        fits.Column("OK", "L", array=[True, False, True]),
        fits.Column(
            "VLA", "PJ()", array=np.array([np.array([1]), np.array([1, 2]), np.array([])], dtype=object)
        ),
        fits.Column("class", "3A", array=["GAL", "QSO", "GAL"]),
        fits.Column("K", "K", array=np.array([2**62 + 1, 2, 3])),
        fits.Column("U", "J", bzero=2**31, array=np.array([1, 2, 2**32 - 1], np.uint32)),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_fits_big_endian_masks_and_units(import_file, name):
    def write(path: Path) -> None:
        plain = path.with_name("plain")
        write_fits(plain)
        data = plain.read_bytes()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    found = import_file(name, write)
    assert found.roles == {
        "ID": "id", "FLUX": "numeric", "N": "numeric", "VEC": "features", "OK": "category",
        "VLA": "metadata", "class": "label", "K": "metadata", "U": "numeric",
    }  # fmt: skip
    assert found.preview.columns[1].reason == "numbers; in Jy"
    assert found.values("FLUX") == [1.0, None, 2.5]
    assert found.values("N") == [1, None, 3]
    assert found.values("K") == [str(2**62 + 1), "2", "3"]
    assert found.values("U") == [1, 2, 2**32 - 1]
    assert found.values("VLA") == ["[1]", "[1, 2]", "[]"]
    vectors = found.pool.matrix("VEC").gather([2])
    assert vectors.dtype.isnative
    assert vectors.tolist() == [[6, 7, 8]]


def test_fits_without_a_table_is_refused(import_file):
    with pytest.raises(ImportRefusedError) as refused:
        import_file("a.fits", lambda path: fits.PrimaryHDU(np.zeros((5, 5))).writeto(path))
    assert (
        str(refused.value)
        == "a.fits; expected a FITS file with a table extension; this one holds images only"
    )


def test_fits_that_ends_early_is_refused(import_file):
    def cut(path: Path) -> None:
        write_fits(path)
        path.write_bytes(path.read_bytes()[:5800])

    with pytest.raises(ImportRefusedError, match=r"^a.fits, row 1, column 'ID'; expected a whole FITS table"):
        import_file("a.fits", cut)


def test_fits_without_rows_is_refused(import_file):
    def empty(path: Path) -> None:
        table = fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[])])
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)

    with pytest.raises(ImportRefusedError, match=r"^a.fits; expected a table with at least one row$"):
        import_file("a.fits", empty)


def test_json_lines_keep_digits_and_nesting(import_file):
    lines = [
        '{"id": 18446744073709551617, "x": 1.50, "o": {"a": 1.0, "b": [null, "é"]}, "v": [1, 2.5], "t": true}',
        "",
        '{"id": 2, "x": null, "m": "q"}',
    ]
    found = import_file("a.jsonl", "\r\n".join(lines))
    assert found.values("id") == ["18446744073709551617", "2"]
    assert found.values("x") == [1.5, None]
    assert found.values("o") == ['{"a": 1.0, "b": [null, "é"]}', None]
    assert found.values("t") == ["true", None]
    assert found.pool.matrix("v").gather([0]).tolist() == [[1, 2.5]]
    assert found.roles["v"] == "features"


def test_a_number_as_label_keeps_how_it_is_written(import_file):
    found = import_file("a.jsonl", '{"label": 1.0}\n{"label": 1}\n{"label": "1"}\n{"label": 1.0}\n')
    assert found.values("label") == ["1.0", "1", "1", "1.0"]


def test_json_lines_in_utf_16(import_file):
    found = import_file("a.jsonl", '{"id": "a", "t": "Ċé"}\n{"id": "b", "t": "ਊ"}\n'.encode("utf-16"))
    assert found.values("t") == ["Ċé", "ਊ"]
    assert found.preview.n_rows == 2


def test_skipped_lines_are_kept_as_they_were(import_file, tmp_path):
    found = import_file("a.jsonl", b'{"id": "a"}\n{"id": NaN}\n', on_problem="skip")
    assert found.summary.n_skipped == 1
    assert '"{""id"": NaN}"' in (tmp_path / "pool" / "skipped.csv").read_text()
