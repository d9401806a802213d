"""A folder of images, or a zip of one: the path is the id, a folder per class is a proposed label."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from plumbline_backend.domain.errors import ImportRefusedError, Problem
from plumbline_backend.domain.types import Column
from plumbline_backend.importers.source import (
    BATCH_BYTES,
    BATCH_ROWS,
    PREVIEW_ROWS,
    Preview,
    ProblemLog,
    SourceBatch,
    refuse,
)

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff")

MAX_IMAGES = 2_000_000
MAX_IMAGE_BYTES = 256 * 2**20
"""One file: a 100-megapixel TIFF without compression fits."""
MAX_ZIP_BYTES = 64 * 2**30
MAX_ZIP_RATIO = 100
"""Unpacked over packed size. Images are compressed already (ratios near 1); a bomb has a thousand."""

N_LISTED = 5


class ImageFolderImporter:
    """Columns: path (id), image, and folder (label) when the images lie in one level of folders."""

    name = "images"
    suffixes: tuple[str, ...] = (".zip",)

    def inspect(self, path: Path) -> Preview:
        """See `Importer.inspect`."""
        with _open(path) as files:
            found, notes = _images(path.name, files)
            columns = [
                Column("path", "string", "id", "where the image lies", tuple(f.path for f in found[:5])),
                Column("image", "binary", "image", f"{len(found):,} images"),
            ]
            folders = sorted({file.folder for file in found})
            if folders != [""]:
                columns.append(_folder_column(folders))
            names = [column.name for column in columns]
            rows = tuple({n: _cell(file, n, None) for n in names} for file in found[:PREVIEW_ROWS])
            return Preview(tuple(columns), rows, len(found), self.name, None, (), tuple(notes))

    def batches(self, path: Path, columns: Sequence[Column], log: ProblemLog) -> Iterator[SourceBatch]:
        """See `Importer.batches`."""
        with _open(path) as files:
            found, notes = _images(path.name, files)
            for note in notes:
                log.note(note)
            waiting: list[tuple[int, _File, bytes | None]] = []
            n_bytes = 0
            for row, file in enumerate(found, start=1):
                data, problem = _read(files, file, path.name, row)
                if problem is not None:
                    log.reject(row, [problem], file.path)
                    continue
                waiting.append((row, file, data))
                n_bytes += len(data or b"")
                if len(waiting) == BATCH_ROWS or n_bytes >= BATCH_BYTES:
                    yield _batch(waiting, columns, row / len(found))
                    waiting, n_bytes = [], 0
            if waiting:
                yield _batch(waiting, columns, 1.0)


class _File(NamedTuple):
    """A file in the folder: its path with forward slashes, and its size in bytes."""

    path: str
    size: int

    @property
    def folder(self) -> str:
        """The folder it lies in, "" at the top."""
        parent = str(PurePosixPath(self.path).parent)
        return "" if parent == "." else parent


class _Files(Protocol):
    """A folder on disk or in a zip."""

    def listing(self) -> Iterator[_File]:
        """Every regular file, hidden ones left out. Raises ImportRefusedError."""

    def read(self, path: str, limit: int) -> bytes:
        """At most limit + 1 bytes of a file. Raises OSError or BadZipFile when it is damaged."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def listing(self) -> Iterator[_File]:
        for place in sorted(self._root.rglob("*")):
            relative = place.relative_to(self._root)
            if any(part.startswith(".") for part in relative.parts):
                continue
            if place.is_symlink():
                raise refuse(self._root.name, "files, not links", column="path", value=relative.as_posix())
            if place.is_file():
                yield _File(relative.as_posix(), place.stat().st_size)

    def read(self, path: str, limit: int) -> bytes:
        with (self._root / path).open("rb") as stream:
            return stream.read(limit + 1)


class _Zip:
    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._name = name

    def listing(self) -> Iterator[_File]:
        infos = [info for info in self._archive.infolist() if not info.is_dir()]
        problems = [p for info in infos if (p := self._problem(info)) is not None]
        if problems:
            raise ImportRefusedError(problems[:100], max(0, len(problems) - 100))
        packed = sum(info.compress_size for info in infos)
        unpacked = sum(info.file_size for info in infos)
        if unpacked > min(MAX_ZIP_BYTES, MAX_ZIP_RATIO * max(packed, 1) + 2**20):
            raise refuse(
                self._name,
                f"a zip that unpacks to at most {MAX_ZIP_RATIO} times its size and {MAX_ZIP_BYTES // 2**30} GiB, "
                f"not from {packed:,} to {unpacked:,} bytes",
            )
        for info in sorted(infos, key=lambda info: info.filename):
            parts = PurePosixPath(info.filename).parts
            if not any(part.startswith((".", "__MACOSX")) for part in parts):
                yield _File(info.filename, info.file_size)

    def read(self, path: str, limit: int) -> bytes:
        with self._archive.open(path) as stream:
            return stream.read(limit + 1)

    def _problem(self, info: zipfile.ZipInfo) -> Problem | None:
        path = info.filename
        parts = path.replace("\\", "/").split("/")
        if stat.S_ISLNK(info.external_attr >> 16):
            return Problem(self._name, "files, not links", column="path", value=path)
        if path.startswith(("/", "\\")) or ".." in parts or parts[0].endswith(":"):
            return Problem(self._name, "paths inside the zip's own folder", column="path", value=path)
        if info.flag_bits & 1:
            return Problem(self._name, "files that are not encrypted", column="path", value=path)
        return None


@contextmanager
def _open(path: Path) -> Iterator[_Files]:
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise refuse(path.name, f"a zip of images ({error})") from error
    with archive:
        yield _Zip(archive, path.name)


def _images(name: str, files: _Files) -> tuple[list[_File], list[str]]:
    """The images in order of path, without the one folder that holds everything, and notes on other files."""
    found: list[_File] = []
    others: list[str] = []
    for file in files.listing():
        if file.path.lower().endswith(IMAGE_SUFFIXES):
            found.append(file)
        else:
            others.append(file.path)
        if len(found) > MAX_IMAGES:
            raise refuse(name, f"at most {MAX_IMAGES:,} images")
    if not found:
        raise refuse(name, f"at least one image ({', '.join(IMAGE_SUFFIXES)})")
    notes = []
    if others:
        shown = ", ".join(others[:N_LISTED]) + (", ..." if len(others) > N_LISTED else "")
        notes.append(f"{len(others):,} files are not images and are left out: {shown}")
    return found, notes


def _folder_column(folders: Sequence[str]) -> Column:
    deepest = max(folder.count("/") + 1 for folder in folders)
    tops = {folder.split("/")[0] for folder in folders}
    wrapped = len(tops) == 1 and "" not in folders
    one_level = deepest == 1 or (wrapped and deepest == 2)
    examples = tuple(dict.fromkeys(label_of(folder) for folder in folders if folder))[:5]
    if one_level and len(folders) > 1:
        reason = f"one level of {len(folders)} folders, read as classes"
        return Column("folder", "string", "label", reason, examples)
    return Column("folder", "string", "metadata", f"{len(folders)} folders", examples)


def label_of(folder: str) -> str:
    """The name of the innermost folder: the class in the usual layout class/image.png."""
    return folder.rsplit("/", 1)[-1]


def _read(files: _Files, file: _File, name: str, row: int) -> tuple[bytes, Problem | None]:
    limit = f"an image of at most {MAX_IMAGE_BYTES // 2**20} MiB"
    try:
        data = files.read(file.path, MAX_IMAGE_BYTES) if file.size <= MAX_IMAGE_BYTES else b""
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        return b"", Problem(name, f"a readable file ({error})", row, "image", file.path)
    if max(file.size, len(data)) > MAX_IMAGE_BYTES:
        return b"", Problem(name, limit, row, "image", f"{file.path}, {file.size:,} bytes")
    return data, None


def _batch(
    waiting: Sequence[tuple[int, _File, bytes | None]], columns: Sequence[Column], fraction: float
) -> SourceBatch:
    arrays = [
        pa.array(
            [_cell(file, column.name, data) for _, file, data in waiting],
            pa.binary() if column.name == "image" else pa.string(),
        )
        for column in columns
    ]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    return SourceBatch(batch, np.array([row for row, _, _ in waiting], dtype=np.int64), fraction)


def _cell(file: _File, column: str, data: bytes | None) -> str | bytes | None:
    if column == "path":
        return file.path
    if column == "folder":
        return label_of(file.folder) or None
    return data if data is not None else f"{file.size:,} bytes"
