"""How far a packed file may unpack: looked at before anything of it is held in memory."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

from plumbline_backend.importers.source import refuse

MAX_RATIO = 100
"""Unpacked over packed size. Measured numbers pack 1 to 10 times, one-hot tables up to about 80; a bomb 1,000 times."""
FREE_BYTES = 16 * 2**20
"""So much may come out of any file: a small table of zeros is no bomb."""
MAX_GZIP_BYTES = 2 * 2**30
"""A gzipped FITS file is unpacked into memory as a whole, in the server while it is looked at."""
MAX_NPZ_BYTES = 256 * 2**30
"""NPZ arrays are read some rows at a time, so this bounds the disk that their pool takes."""
PIECE_BYTES = 2**20


def check_gzip(path: Path) -> None:
    """Unpack once, keeping nothing. Raises ImportRefusedError as soon as too much came out, or for a broken file."""
    packed, unpacked = path.stat().st_size, 0
    limit = allowed(packed, MAX_GZIP_BYTES)
    try:
        with gzip.open(path) as stream:
            while piece := stream.read(PIECE_BYTES):
                unpacked += len(piece)
                if unpacked > limit:
                    raise refuse(
                        path.name,
                        f"a file that unpacks to at most {MAX_RATIO} times its size and "
                        f"{MAX_GZIP_BYTES // 2**30} GiB; unpack it with gunzip and import the .fits file",
                        value=f"more than {limit:,} bytes out of {packed:,}",
                    )
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise refuse(path.name, f"a whole gzip file ({error})") from error


def check_npz(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises ImportRefusedError when the archive says that too much would come out; more than it says never does."""
    entries = archive.infolist()
    packed, unpacked = sum(e.compress_size for e in entries), sum(e.file_size for e in entries)
    if unpacked > allowed(packed, MAX_NPZ_BYTES):
        raise refuse(
            path.name,
            f"arrays that unpack to at most {MAX_RATIO} times their size and {MAX_NPZ_BYTES // 2**30} GiB; "
            "save them with numpy.savez, which does not pack",
            value=f"{unpacked:,} bytes out of {packed:,}",
        )


def allowed(packed: int, most: int) -> int:
    """Bytes that may come out of `packed` bytes."""
    return min(most, MAX_RATIO * packed + FREE_BYTES)
