"""Files to previews and batches. `inspect_file` is the door; formats are entries of the registry."""

from __future__ import annotations

from pathlib import Path

from plumbline_backend.domain.errors import InputError
from plumbline_backend.importers.source import (
    Importer,
    OnProblem,
    Preview,
    ProblemLog,
    SourceBatch,
)
from plumbline_backend.registry import IMPORTERS

__all__ = [
    "Importer",
    "OnProblem",
    "Preview",
    "ProblemLog",
    "SourceBatch",
    "importer_for",
    "inspect_file",
    "supported_suffixes",
]


def inspect_file(path: str | Path) -> Preview:
    """Columns with proposed roles, ten rows and the number of rows, without importing anything.

    Raises InputError when there is no such file or no importer for it, ImportRefusedError when the file
    cannot be read at all.
    """
    source = Path(path)
    return importer_for(source).inspect(source)


def importer_for(path: str | Path) -> Importer:
    """The importer whose suffix the file has; a folder is a folder of images. Raises InputError."""
    source = Path(path)
    if not source.exists():
        raise InputError(f"{source.name}: no such file or folder; expected the path of a file that exists")
    if source.is_dir():
        return IMPORTERS.get("images")()
    name = source.name.lower()
    for entry in IMPORTERS.names():
        importer: Importer = IMPORTERS.get(entry)()
        if name.endswith(importer.suffixes):
            return importer
    raise InputError(
        f"{source.name}: unknown kind of file {source.suffix!r}; expected one of "
        f"{', '.join(supported_suffixes())}, or a folder of images"
    )


def supported_suffixes() -> tuple[str, ...]:
    """Every suffix that can be imported, in the order of the registry."""
    return tuple(suffix for entry in IMPORTERS.names() for suffix in IMPORTERS.get(entry).suffixes)
