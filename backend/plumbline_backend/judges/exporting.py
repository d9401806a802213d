"""Validators and grades as files for a download, written in the background into the workspace."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import Job
from plumbline_backend.exporters.judges import export_notes
from plumbline_backend.jobs.executors import Report

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

SUFFIXES = {"pytest": ".zip", "promptfoo": ".yaml", "json": ".json", "grades": ".csv"}
PYTEST_FOLDER = "checks"
"""The folder in the zip file."""


def start(project: GradingProject, what: str) -> Job:
    """Export; the job's result holds {"file", "notes": what was left out}. Raises InputError for an unknown format."""
    if what not in SUFFIXES:
        raise InputError(f"export: found {what!r}; {did_you_mean(what, SUFFIXES)}")
    folder = project.exports_folder
    folder.mkdir(parents=True, exist_ok=True)

    def work(report: Report) -> Mapping[str, Any]:
        report(0.0, f"writing {what}")
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")[:-3]
        path = folder / f"{project.slug}-{what}-{now}{SUFFIXES[what]}"
        if what == "pytest":
            _packed(project, path)
        else:
            project.export(what, path)
        return {"file": path.name, "notes": export_notes(project, what)}

    return project.start("export", work, {"what": what})


def _packed(project: GradingProject, path: Path) -> None:
    """The folder of the pytest export as a zip file, which appears whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
        project.export("pytest", Path(scratch) / PYTEST_FOLDER)
        packed = shutil.make_archive(str(Path(scratch) / "packed"), "zip", scratch, PYTEST_FOLDER)
        Path(packed).rename(path)
