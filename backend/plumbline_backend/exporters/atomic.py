"""Files and folders that appear whole or not at all: written beside their place, flushed, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plumbline_backend.domain.errors import ConflictError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`; it takes the place of `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    os.close(handle)
    unfinished = Path(name)
    try:
        yield unfinished
        _flush(unfinished)
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
        _flush(path.parent)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`; it becomes `folder` when the block ends without an error.

    Raises ConflictError when `folder` already exists: an export never overwrites another.
    """
    if folder.exists():
        raise ConflictError(f"{folder} already exists; choose another place or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name[:100]}.", suffix=".part", dir=folder.parent))
    try:
        yield unfinished
        for file in sorted(unfinished.rglob("*"), reverse=True):
            _flush(file)
        _flush(unfinished)
        unfinished.chmod(0o777 & ~_umask())
        unfinished.rename(folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
