"""The manifest: what a pool holds. Its presence is what makes a folder a pool."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.types import Column
from plumbline_backend.pool.files import sha256_of, write_durably

MANIFEST_NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class StoredFile:
    """One data file of the pool: path relative to its folder, size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Everything needed to read a pool.

    columns: in the order of the source, without ignored ones; storage: per column "fields:<arrow name>"
    or "matrix:<folder>"; batch_rows: per shard the number of rows of each record batch; whole_numbers:
    float64 columns that hold only integers, shown without a decimal point; data_hash: SHA-256 over the
    listing of the data files.
    """

    name: str
    n_items: int
    columns: tuple[Column, ...]
    storage: Mapping[str, str]
    batch_rows: tuple[tuple[int, ...], ...]
    matrix_width: Mapping[str, int]
    files: tuple[StoredFile, ...]
    data_hash: str
    source: Mapping[str, Any]
    n_skipped: int = 0
    whole_numbers: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    format: int = FORMAT

    def save(self, folder: Path) -> None:
        """Write manifest.json in one durable step."""
        write_durably(folder / MANIFEST_NAME, json.dumps(asdict(self), ensure_ascii=False, indent=1))


def load_manifest(folder: Path) -> Manifest:
    """Read manifest.json. Raises NotFoundError where there is none, InputError for an unknown format."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise NotFoundError(
            f"{folder.name}: not a pool (it has no {MANIFEST_NAME}); expected an imported pool"
        )
    read = json.loads(path.read_text(encoding="utf-8"))
    if read.get("format") != FORMAT:
        raise InputError(f"{folder.name}: pool format {read.get('format')!r}; expected {FORMAT}")
    read["columns"] = tuple(Column(**{**c, "examples": tuple(c["examples"])}) for c in read["columns"])
    read["files"] = tuple(StoredFile(**f) for f in read["files"])
    read["batch_rows"] = tuple(tuple(shard) for shard in read["batch_rows"])
    read["whole_numbers"] = tuple(read["whole_numbers"])
    read["notes"] = tuple(read["notes"])
    return Manifest(**read)


def list_files(folder: Path, paths: Iterable[Path]) -> tuple[tuple[StoredFile, ...], str]:
    """The data files with their sums, and the hash of that listing."""
    found = tuple(
        StoredFile(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=sha256_of(path))
        for path in sorted(paths)
    )
    listing = "".join(f"{file.sha256}  {file.path}\n" for file in found)
    return found, hashlib.sha256(listing.encode()).hexdigest()
