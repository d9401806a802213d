"""Files that unpack to far more than they are: refused in words before anything of them is held in memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.lib import format as npy

from plumbline_backend.domain.errors import ImportRefusedError
from plumbline_backend.importers import inspect_file, npz, unpacking
from plumbline_backend.importers.unpacking import allowed

MB = 10**6


def header(shape: tuple[int, ...], fortran: bool = False) -> bytes:
    """What stands before the numbers of an .npy file."""
    from io import BytesIO

    out = BytesIO()
    npy.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": fortran, "shape": shape})
    return out.getvalue()


def bomb(path: Path, n_bytes: int) -> Path:
    """A gzip file of zeros: about a thousandth of what comes out of it."""
    with gzip.open(path, "wb") as stream:
        for _ in range(n_bytes // MB):
            stream.write(bytes(MB))
    return path


def test_what_may_come_out_is_the_ratio_and_a_little_but_never_more_than_the_limit() -> None:
    assert allowed(0, 10**9) == 16 * 2**20
    assert allowed(1_000_000, 10**9) == 100_000_000 + 16 * 2**20
    assert allowed(10**9, 2 * 10**9) == 2 * 10**9


def test_a_gzip_bomb_is_refused_and_never_held(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.fits.gz", 100 * MB)
    packed = path.stat().st_size
    tracemalloc.start()
    with pytest.raises(ImportRefusedError) as refused:
        inspect_file(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    limit = 100 * packed + 16 * 2**20
    assert str(refused.value) == (
        f"a.fits.gz: found 'more than {limit:,} bytes out of {packed:,}'; expected a file that unpacks to at most "
        "100 times its size and 2 GiB; unpack it with gunzip and import the .fits file"
    )
    assert peak < 16 * MB


def test_a_gzip_file_over_the_limit_is_refused_whatever_its_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MAX_GZIP_BYTES", 1000)
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(np.random.default_rng(0).bytes(2000)))
    with pytest.raises(ImportRefusedError, match=r"more than 1,000 bytes out of"):
        inspect_file(path)


@pytest.mark.parametrize(
    "broken", [b"no gzip at all", gzip.compress(bytes(5000), mtime=0)[:-20]], ids=["other", "cut"]
)
def test_a_broken_gzip_file_is_refused_in_words(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "a.fits.gz").write_bytes(broken)
    with pytest.raises(ImportRefusedError, match=r"^a\.fits\.gz.*expected a whole gzip file"):
        inspect_file(tmp_path / "a.fits.gz")


def test_a_packed_table_of_zeros_is_no_bomb(tmp_path: Path) -> None:
    column = fits.Column("flux", "E", array=np.zeros(100_000, np.float32))
    fits.BinTableHDU.from_columns([column]).writeto(tmp_path / "zeros.fits.gz")
    assert inspect_file(tmp_path / "zeros.fits.gz").n_rows == 100_000


def test_an_npz_of_62_kb_with_four_million_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("X.npy", "w") as stream:
        stream.write(header((4_000_000, 4)))
        for _ in range(64):
            stream.write(bytes(MB))
    assert path.stat().st_size < 70_000
    with pytest.raises(ImportRefusedError) as refused:
        inspect_file(path)
    assert "found '64,000,128 bytes out of 62," in str(refused.value)
    assert str(refused.value).endswith(
        "expected arrays that unpack to at most 100 times their size and 256 GiB; "
        "save them with numpy.savez, which does not pack"
    )


def test_the_same_numbers_unpacked_are_imported(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((100_000, 4), np.float32))
    np.savez_compressed(tmp_path / "b.npz", X=np.eye(500, dtype=np.float32))
    assert inspect_file(tmp_path / "a.npz").n_rows == 100_000
    assert inspect_file(tmp_path / "b.npz").n_rows == 500


def test_a_header_that_promises_more_than_there_is_is_refused_while_looking(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", header((10**15, 10**15)) + bytes(64))
    with pytest.raises(ImportRefusedError, match="its bytes end early"):
        inspect_file(tmp_path / "a.npz")


def test_an_array_that_must_be_read_as_a_whole_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "MAX_WHOLE_BYTES", 1000)
    np.savez(tmp_path / "a.npz", X=np.asfortranarray(np.arange(800.0).reshape(100, 8)))
    with pytest.raises(
        ImportRefusedError, match=r"found '6,400 bytes in Fortran order'; expected an array in C order"
    ):
        inspect_file(tmp_path / "a.npz")
