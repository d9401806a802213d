"""Labels and classifier as files: written where a script asks, or in the background for a download."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Job
from plumbline_backend.exporters import labels
from plumbline_backend.jobs.executors import Report
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.registry import LABEL_EXPORTERS
from plumbline_backend.store import Store

if TYPE_CHECKING:
    from plumbline_backend.project import Project


class ExportFile(NamedTuple):
    """A finished export that can be downloaded."""

    name: str
    n_bytes: int
    at: datetime


def write_labels(
    project: Project, store: Store, path: Path, format_name: str, history: bool = False, **options: Any
) -> int:
    """Write what the ledger says to `path`; returns the number of rows. Raises InputError on a wrong option."""
    writer_class = LABEL_EXPORTERS.get(format_name)
    question, kind = project.question(), project.loop.kind
    try:
        writer = writer_class(**options, more=kind.columns(question))
    except TypeError as error:
        raise InputError(f"label export {format_name!r}: {error}") from error
    rows = store.ledger.iter_rows(question.id, include_superseded=history)
    return labels.write_labels(writer, path, labels.label_rows(rows, question, project.pool.keys, kind))


def start(project: Project, store: Store, jobs: Jobs, what: str, options: Mapping[str, Any]) -> Job:
    """Export into the workspace in the background. The job's result: {"file", "rows" for labels}."""
    if what == "labels":
        given = dict(options)
        format_name = given.pop("format", "csv")
        suffix = LABEL_EXPORTERS.get(format_name).suffix

        def run(report: Report) -> Mapping[str, Any]:
            report(0.0, "writing labels")
            name = _name(project, "labels", suffix)
            n_rows = write_labels(project, store, project.exports_folder / name, format_name, **given)
            return {"file": name, "rows": n_rows}

    elif what == "classifier":
        if project.loop.newest_model() is None:
            raise ConflictError("there is no model to export yet; label items of two classes first")

        def run(report: Report) -> Mapping[str, Any]:
            report(0.0, "writing the classifier")
            with tempfile.TemporaryDirectory(dir=project.exports_folder) as scratch:
                folder = Path(scratch) / "classifier"
                project.export_classifier(folder)
                report(0.8, "packing")
                name = _name(project, "classifier", ".zip")
                packed = shutil.make_archive(str(Path(scratch) / "packed"), "zip", scratch, "classifier")
                Path(packed).rename(project.exports_folder / name)
            return {"file": name}

    else:
        raise InputError(f"export: found {what!r}; expected labels or classifier")
    project.exports_folder.mkdir(parents=True, exist_ok=True)
    lane = f"export-{project.slug}"
    return jobs.start("export", project.row.id, run, lambda *_: None, lane, {"what": what, **options})


def listed(folder: Path) -> list[ExportFile]:
    """Finished exports, newest first."""
    if not folder.exists():
        return []
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    stats = {path: path.stat() for path in files}
    newest_first = sorted(files, key=lambda path: stats[path].st_mtime, reverse=True)
    return [
        ExportFile(path.name, stats[path].st_size, datetime.fromtimestamp(stats[path].st_mtime, UTC))
        for path in newest_first
    ]


def find(folder: Path, name: str) -> Path:
    """The path of a finished export. Raises NotFoundError; a name with a path in it is never followed."""
    if name not in {export.name for export in listed(folder)}:
        raise NotFoundError(f"export {name!r} does not exist")
    return folder / name


def _name(project: Project, what: str, suffix: str) -> str:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
    return f"{project.slug}-{what}-{now}{suffix}"
