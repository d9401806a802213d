"""The door to everything: a workspace folder with its database, pools and models."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from plumbline_backend import grading_import, item_import
from plumbline_backend.backup import write_backup
from plumbline_backend.criteria.settings import GRADE_PURPOSE
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Column, Job, ProjectRow
from plumbline_backend.grading import GradingProject
from plumbline_backend.import_places import UNFINISHED, Places
from plumbline_backend.importers import OnProblem, Preview, inspect_file
from plumbline_backend.importers.outputs_formats import OutputsPreview, inspect_outputs
from plumbline_backend.item_import import DEFAULT_KIND, LabelUse
from plumbline_backend.jobs.executors import Executor, Report
from plumbline_backend.jobs.making import executor_from
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.pool.demos import demo_named
from plumbline_backend.pool.features import FeaturePart
from plumbline_backend.project import Project
from plumbline_backend.settings import load_settings
from plumbline_backend.store import open_store
from plumbline_backend.webhooks import Webhooks


def open_workspace(
    path_or_url: str | Path,
    *,
    database_url: str | None = None,
    settings: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
) -> Workspace:
    """Open the workspace folder, made when missing. Close it when done, or use it as a context manager.

    path_or_url: a folder, or a Postgres URL for the database with the folder `./workspace`.
    Raises ConflictError while another process has the folder open, InputError on bad settings.
    """
    given = str(path_or_url)
    if given.startswith(("postgresql://", "postgresql+")):
        path_or_url, database_url = "workspace", database_url or given
    overrides = dict(settings or {})
    if database_url:
        overrides["database_url"] = database_url
    return Workspace(Path(path_or_url), overrides, executor)


class Workspace:
    """Projects, their data and their jobs. One process at a time has it open."""

    def __init__(self, folder: Path, overrides: Mapping[str, Any], executor: Executor | None) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = load_settings(self.folder, overrides=overrides)
        self._lock_file = _lock(self.folder)
        for name in ("pool", "models", "plugins", "uploads", "exports"):
            (self.folder / name).mkdir(exist_ok=True)
        url = self.settings["database_url"] or f"sqlite:///{self.folder / 'plumbline.db'}"
        self.store = open_store(url)
        self.jobs = Jobs(self.store, executor or executor_from(self.settings), self.settings["job_lease_s"])
        self.places = Places(self.folder / "pool", self.store)
        self.places.sweep()
        self.webhooks = Webhooks(self.store, self.settings["webhook_hosts"], self.settings["webhook_key_env"])
        self.started = uuid.uuid4().hex
        self._projects: dict[str, Project] = {}
        self._gradings: dict[str, GradingProject] = {}

    def close(self) -> None:
        """Stop jobs, close the database, let others open the folder."""
        self.webhooks.close()
        self.jobs.close()
        self.store.close()
        self._lock_file.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Projects

    def projects(self) -> list[ProjectRow]:
        """Every project, in the order of creation; those that are still being written are left out."""
        return [row for row in self.store.projects.list() if UNFINISHED not in row.settings]

    def project(self, slug: str) -> Project:
        """A labelling project by the name in its URL. Raises NotFoundError with the nearest name."""
        row = self._whole(slug)
        if row.settings.get("purpose") == GRADE_PURPOSE:
            raise NotFoundError(
                f"project {slug!r} holds outputs to grade; it has no labels, see its grading page"
            )
        project = self._projects.get(slug)
        if project is None or project.row.id != row.id:
            project = self._projects[slug] = Project(self.store, self.jobs, row, self.folder, self.settings)
        return project

    def grading(self, slug: str) -> GradingProject:
        """A grading project by the name in its URL. Raises NotFoundError, also for a project of another kind."""
        row = self._whole(slug)
        if row.settings.get("purpose") != GRADE_PURPOSE:
            raise NotFoundError(f"project {slug!r} holds items to label, not outputs to grade")
        project = self._gradings.get(slug)
        if project is None or project.row.id != row.id:
            project = GradingProject(self.store, self.jobs, row, self.folder, self.settings)
            self._gradings[slug] = project
        return project

    def _whole(self, slug: str) -> ProjectRow:
        row = self.store.projects.get(slug)
        if UNFINISHED in row.settings:
            raise NotFoundError(f"project {slug!r} is still being imported; wait until its import has ended")
        return row

    def free_slug(self, name: str) -> str:
        """A name for URLs and folders that no project has yet, made from a person's words."""
        return self.places.free_slug(name)

    def inspect_outputs(self, path: str | Path) -> OutputsPreview:
        """What a file of LLM outputs holds, with a mapping that its column names suggest. Nothing is stored."""
        return inspect_outputs(Path(path))

    def start_import_outputs(
        self,
        path: str | Path,
        name: str,
        mapping: Mapping[str, Any] | None = None,
        *,
        format_name: str | None = None,
        on_problem: OnProblem = "refuse",
        by: str | None = None,
    ) -> Job:
        """Import LLM outputs as a new grading project in the background; the job's result holds its slug.

        mapping: what each column of a CSV or JSONL file is (`OutputMapping.to_dict()`); None: as the names suggest.
        """
        return grading_import.start(self, Path(path), name, format_name, mapping, on_problem, by=by)

    def import_outputs(self, path: str | Path, name: str, **options: Any) -> GradingProject:
        """`start_import_outputs` and wait for it."""
        job = self.jobs.wait(self.start_import_outputs(path, name, **options).id, timeout_s=24 * 3600)
        return self.grading((job.result or {})["slug"])

    def start_grading_demo(self, name: str = "replies", by: str | None = None) -> Job:
        """Build a demo of outputs to grade in the background."""
        title, file = grading_import.demo_file(name)
        return grading_import.start(self, file, title, None, None, "refuse", demo=name, by=by)

    def create_grading_demo(self, name: str = "replies") -> GradingProject:
        """The grading demo of this name, made when it is not there yet."""
        if (there := self.grading_demo(name)) is not None:
            return there
        return self.grading((self.jobs.wait(self.start_grading_demo(name).id).result or {})["slug"])

    def grading_demo(self, name: str = "replies") -> GradingProject | None:
        """The oldest grading demo of this name, None while there is none."""
        slug = grading_import.demo_slug(self, name)
        return None if slug is None else self.grading(slug)

    def delete_project(self, slug: str) -> None:
        """Remove a project with its judgements, pool and models. This cannot be undone."""
        row = self.store.projects.get(slug)
        for job in self.jobs.list(row.id):
            if job.state in ("queued", "running"):
                self.jobs.cancel(job.id)
        self._projects.pop(slug, None)
        self._gradings.pop(slug, None)
        self.store.projects.delete(row.id)
        for part in ("pool", "models", "exports", "trust"):
            if (self.folder / part / slug).exists():
                shutil.rmtree(self.folder / part / slug)
        (self.folder / "simulations" / f"{slug}.jsonl").unlink(missing_ok=True)

    def create_demo(self, name: str) -> Project:
        """The demo project of this name, made when it is not there yet. Raises InputError on an unknown name."""
        there = self.demo(name)
        if there is not None:
            return there
        job = self.jobs.wait(self.start_demo(name).id)
        return self.project((job.result or {})["slug"])

    def demo(self, name: str) -> Project | None:
        """The oldest demo project of this name, None while there is none. Raises InputError on an unknown name."""
        demo_named(name)
        slugs = (row.slug for row in self.projects() if row.settings.get("demo") == name)
        slug = next(slugs, None)
        return None if slug is None else self.project(slug)

    def start_demo(self, name: str, by: str | None = None) -> Job:
        """Build a demo project in the background."""
        return item_import.start_demo(self, name, by)

    # Import

    def inspect(self, path: str | Path) -> Preview:
        """Columns with guessed roles, ten rows, and what is wrong with the file. Nothing is stored."""
        return inspect_file(Path(path))

    def start_import(
        self,
        path: str | Path,
        name: str,
        columns: Sequence[Column],
        *,
        label_use: LabelUse = "reference",
        kind: str = DEFAULT_KIND,
        text: str = "",
        on_problem: OnProblem = "refuse",
        features: Sequence[FeaturePart] = (),
        by: str | None = None,
    ) -> Job:
        """Import a file as a new project in the background. The job's result holds slug, n_items and n_skipped.

        by: name of the account that will own it, where there are accounts.

        label_use: what the label column is for: "reference" keeps it hidden beside the items, "training" records
        it as imported judgements, "ignore" drops it. kind: of the question, from registry.KINDS; it stays.
        features: parts in place of what their columns would get, as `embedded("comment", "path/to/model")`.
        Raises InputError on a bad name or choice.
        """
        return item_import.start(
            self,
            Path(path),
            name,
            columns,
            label_use=label_use,
            kind=kind,
            text=text,
            on_problem=on_problem,
            features=features,
            by=by,
        )

    def import_items(
        self, path: str | Path, name: str, columns: Sequence[Column] | None = None, **options: Any
    ) -> Project:
        """`start_import` and wait for it. Without `columns` the guessed roles are used."""
        chosen = self.inspect(path).columns if columns is None else columns
        job = self.jobs.wait(self.start_import(path, name, chosen, **options).id, timeout_s=24 * 3600)
        return self.project((job.result or {})["slug"])

    def upload_path(self, upload_id: str) -> Path:
        """Where an uploaded file lies. Raises InputError for an id that no upload was given."""
        if not re.fullmatch(r"[0-9a-f]{32}", upload_id):
            raise InputError(f"upload: found {upload_id!r}; expected the id that the upload returned")
        files = sorted((self.folder / "uploads" / upload_id).glob("*"))
        if len(files) != 1:
            raise InputError(
                f"upload: {upload_id!r} does not exist or was not completed; upload the file again"
            )
        return files[0]

    def new_upload(self, file_name: str) -> tuple[str, Path]:
        """An id and the path to write to. The suffix of `file_name` is kept; the rest of it only when harmless."""
        upload_id = uuid.uuid4().hex
        base = Path(file_name.replace("\\", "/")).name
        safe = re.sub(r"[^\w.\- ]", "_", unicodedata.normalize("NFC", base)).lstrip(". ")[-120:] or "upload"
        folder = self.folder / "uploads" / upload_id
        folder.mkdir()
        return upload_id, folder / safe

    # Backup

    @property
    def backups_folder(self) -> Path:
        """Where backups lie that were made while the server runs."""
        return self.folder / "backups"

    def start_backup(self) -> Job:
        """Back the whole workspace up in the background; the job's result holds the file's name."""
        self.backups_folder.mkdir(exist_ok=True)
        name = datetime.now(UTC).strftime("plumbline-%Y%m%dT%H%M%S%f.tar")

        def run(report: Report) -> Mapping[str, Any]:
            made = write_backup(self.folder, self.store.database, self.backups_folder / name, report)
            return {"file": name, "bytes": made.n_bytes}

        return self.jobs.start("backup", None, run, lambda *_: None, lane="backup")


def _lock(folder: Path) -> IO[str]:
    """Hold the folder's lock file; the operating system lets go of it when the process ends, however it ends."""
    lock_file = (folder / ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock_file.seek(0)
        holder = lock_file.read().strip() or "unknown"
        lock_file.close()
        raise ConflictError(
            f"workspace {folder} is open in another process (process id {holder}); stop it first, or use its pages"
        ) from error
    lock_file.seek(0)
    lock_file.truncate()
    lock_file.write(str(os.getpid()))
    lock_file.flush()
    return lock_file
