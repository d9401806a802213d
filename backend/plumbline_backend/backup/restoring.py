"""Restoring a backup into a new workspace: checked against its manifest, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from plumbline_backend.backup.writing import BLOCK, FILES, FORMAT, MANIFEST, TABLES, BackupSummary
from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.pool.files import sync_folder, sync_tree
from plumbline_backend.store import Database
from plumbline_backend.store.dump import load

Progress = Callable[[float, str], None]


def restore_backup(
    archive: Path, folder: Path, database_url: str | None = None, progress: Progress = lambda *_: None
) -> BackupSummary:
    """Make the workspace `folder` from a backup; with `database_url` its rows go into that empty database.

    Until everything is there nothing stands at `folder`. Raises InputError for a file that is no backup, is cut off
    or was altered; ConflictError where `folder` or the database is in use.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"workspace {str(folder)!r} is not empty; expected a new folder")
    if not archive.is_file():
        raise InputError(f"backup: {str(archive)!r} is not a file")
    target = folder.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    half_done = target.with_name(f".{target.name}.restoring-{os.getpid()}")
    try:
        digests = _extract(archive, half_done, progress)
        manifest = _checked_manifest(archive, half_done, digests)
        progress(1.0, "loading rows")
        database = Database(database_url or half_done / FILES / "plumbline.db")
        try:
            rows = load(database, manifest["schema"], lambda table: _lines(half_done, table))
        finally:
            database.close()
        _move_in(half_done / FILES, target)
    finally:
        shutil.rmtree(half_done, ignore_errors=True)
    n_files = sum(name.startswith(f"{FILES}/") for name in digests)
    return BackupSummary(archive, archive.stat().st_size, n_files, rows)


def _extract(archive: Path, folder: Path, progress: Progress) -> dict[str, str]:
    """Write the members below `folder`; their digests by name. Only plain files in the two places are taken."""
    digests = {}
    total = archive.stat().st_size
    (folder / FILES).mkdir(parents=True)
    try:
        with tarfile.open(archive, mode="r:") as tar:
            for member in tar:
                progress(min(1.0, member.offset / total), "unpacking")
                source = tar.extractfile(member) if member.isreg() else None
                if source is None or not _is_ours(member.name):
                    raise InputError(f"backup: found {member.name!r}; expected plain files of a backup only")
                if member.name in digests:
                    raise InputError(f"backup: {member.name!r} occurs twice")
                path = folder / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                digests[member.name] = _copy(source, path, member.size)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"backup: {archive.name} cannot be read: {error}") from error
    return digests


def _is_ours(name: str) -> bool:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        return False
    return name == MANIFEST or (len(path.parts) > 1 and path.parts[0] in (TABLES, FILES))


def _copy(source: IO[bytes], path: Path, size: int) -> str:
    digest = hashlib.sha256()
    written = 0
    with path.open("xb") as file:
        while block := source.read(BLOCK):
            digest.update(block)
            written += file.write(block)
    if written != size:
        raise InputError(f"backup: {path.name} has {written} bytes; expected {size}: the file was cut off")
    return digest.hexdigest()


def _checked_manifest(archive: Path, folder: Path, digests: Mapping[str, str]) -> Mapping[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"backup: {archive.name} has no manifest; it is no backup, or it was cut off")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        format_found, promised = manifest["format"], manifest["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"backup: the manifest of {archive.name} cannot be read") from error
    if format_found != FORMAT:
        raise InputError(
            f"backup: found format {format_found}; expected {FORMAT}: upgrade Plumbline to read it"
        )
    found = {name: digest for name, digest in digests.items() if name != MANIFEST}
    wrong = sorted(name for name in {*found, *promised} if found.get(name) != promised.get(name))
    if wrong:
        raise InputError(
            f"backup: {wrong[0]!r} is not what was written; {len(wrong)} such files: take another copy"
        )
    return manifest


def _lines(folder: Path, table: str) -> Iterator[bytes] | None:
    path = folder / TABLES / f"{table}.jsonl"
    return _read(path) if path.is_file() else None


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _move_in(files: Path, target: Path) -> None:
    sync_tree(files)
    if target.exists():
        target.rmdir()  # empty, as was checked
    files.rename(target)
    sync_folder(target.parent)
