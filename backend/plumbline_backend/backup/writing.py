"""Writing a backup: a plain tar with the rows of every table, the workspace's files, and a manifest of digests.

The rows are read first, as of one moment; files only ever appear, so that everything the rows name is there when the
files are read afterwards. The archive appears under its name only when all of it is on disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.pool.files import sync_file, sync_folder
from plumbline_backend.store import Database
from plumbline_backend.store.dump import dump

FORMAT = 1
MANIFEST = "manifest.json"
TABLES = "tables"
FILES = "files"
BLOCK = 1 << 20
LEFT_OUT = ("uploads", "exports", "backups")
"""Uploads are copies of what was imported, and exports can be made again."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class BackupSummary:
    """What a backup holds. `rows` by table."""

    path: Path
    n_bytes: int
    n_files: int
    rows: dict[str, int]


def write_backup(
    folder: Path, database: Database, out: Path, progress: Progress = lambda *_: None
) -> BackupSummary:
    """Write everything in the workspace `folder` and its database to `out`.

    Raises InputError where `out` exists or its folder does not, ConflictError where a file vanishes meanwhile.
    """
    if out.exists():
        raise InputError(f"backup file: {str(out)!r} exists already; expected a new name")
    if not out.parent.is_dir():
        raise InputError(f"backup file: the folder {str(out.parent)!r} does not exist")
    half_done = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with half_done.open("wb") as file:
            rows, n_files = _write(folder, database, file, progress)
        sync_file(half_done)
        half_done.rename(out)
        sync_folder(out.parent)
    finally:
        half_done.unlink(missing_ok=True)
    return BackupSummary(out, out.stat().st_size, n_files, rows)


def kept_files(folder: Path) -> Iterator[Path]:
    """The files of a workspace that belong into a backup, in a fixed order."""
    for root, folders, names in os.walk(folder):
        here = Path(root)
        if here == folder:
            folders[:] = [each for each in folders if each not in LEFT_OUT]
            names = [each for each in names if each != ".lock" and not each.startswith("plumbline.db")]
        if here == folder / "pool":
            folders[:] = [each for each in folders if not each.startswith(".")]  # imports on their way
        folders.sort()
        for name in sorted(names):
            path = here / name
            if path.is_file() and not path.is_symlink() and not name.endswith(".tmp"):
                yield path


def _write(
    folder: Path, database: Database, file: IO[bytes], progress: Progress
) -> tuple[dict[str, int], int]:
    digests: dict[str, str] = {}
    rows: dict[str, int] = {}
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def take(table: str, lines: Iterator[bytes]) -> None:
            progress(0.0, f"reading {table}")
            with tempfile.TemporaryFile(dir=file_folder) as spool:
                rows[table] = _spooled(lines, spool)
                _add(archive, f"{TABLES}/{table}.jsonl", spool, digests)

        file_folder = Path(file.name).parent
        revision = dump(database, take)
        files = list(kept_files(folder))
        _add_files(archive, folder, files, digests, progress)
        manifest = {
            "format": FORMAT,
            "plumbline": version("plumbline"),
            "schema": revision,
            "at": datetime.now(UTC).isoformat(),
            "rows": rows,
            "sha256": digests,
        }
        _add(archive, MANIFEST, io.BytesIO(json.dumps(manifest, indent=1).encode()), {})
    return rows, len(files)


def _add_files(
    archive: tarfile.TarFile,
    folder: Path,
    files: Sequence[Path],
    digests: dict[str, str],
    progress: Progress,
) -> None:
    sizes = [path.stat().st_size for path in files]
    done, total = 0, max(1, sum(sizes))
    for path, size in zip(files, sizes, strict=True):
        progress(done / total, "copying files")
        try:
            with path.open("rb") as source:
                _add(archive, f"{FILES}/{path.relative_to(folder).as_posix()}", source, digests)
        except FileNotFoundError as error:
            raise ConflictError(
                f"{path.relative_to(folder)} was removed during the backup; start again"
            ) from error
        done += size


def _spooled(lines: Iterator[bytes], spool: IO[bytes]) -> int:
    n = 0
    for line in lines:
        spool.write(line)
        n += 1
    return n


def _add(archive: tarfile.TarFile, name: str, source: IO[bytes], digests: dict[str, str]) -> None:
    """Add a stream from its beginning, noting the digest of exactly what was added."""
    member = tarfile.TarInfo(name)
    member.size = source.seek(0, os.SEEK_END)
    source.seek(0)
    reader = _Digesting(source)
    archive.addfile(member, reader)
    digests[name] = reader.digest.hexdigest()


class _Digesting:
    """A stream that is digested as it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest: Any = hashlib.sha256()

    def read(self, size: int = BLOCK) -> bytes:
        """The next bytes."""
        data = self._source.read(size)
        self.digest.update(data)
        return data
