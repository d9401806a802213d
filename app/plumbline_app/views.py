"""A project and a workspace as somebody who is signed in sees them.

What the person has no right to is refused, and what changes something is written to the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from plumbline_app.audited import noted
from plumbline_app.server_files import import_folders, importable
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.people import Access, Capability
from plumbline_backend.domain.types import Job, ProjectRow
from plumbline_backend.grading import GradingProject
from plumbline_backend.people.errors import ForbiddenError
from plumbline_backend.people.service import require, require_seen
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace

P = TypeVar("P", Project, GradingProject)
SEEN = frozenset({"slug", "name", "row"})
"""What the frame of a page says of its project."""
READS = frozenset(
    {
        "folders",
        "exports_folder",
        "pool",
        "stream_order",
        "question",
        "kind",
        "question_history",
        "history",
        "current",
    }
    | {
        "labelled_state",
        "positions_with",
        "status",
        "settings",
        "models",
        "predict",
        "report",
        "learning_curve",
        "kind_report",
    }
    | {
        "reference",
        "exports",
        "export_path",
        "start_export",
        "seed",
        "l2",
        "calibrate_from",
        "overall",
        "criteria",
        "criterion",
    }
    | {"judges", "grades", "outputs", "n_outputs", "verdict_table"}
)
PARTS: dict[str, frozenset[str]] = {
    "heads": frozenset(
        {"comparison", "chosen", "seconds", "options", "old_and_new", "tunable", "settings"}
        | {"explained", "just_added"}
        | {"recipe", "variants", "cannot", "domain_columns", "judged_columns"}
    ),
    "loop": frozenset(
        {"answers", "overlap", "training", "newest_model", "newest_query", "strategy", "head"}
        | {"head_settings"}
    ),
    "desk": frozenset({"map", "health", "trust", "team"}),
    "desk.map": frozenset(
        {"stamp", "running", "points", "select", "more_like", "layouts", "colours", "at", "picture"}
    ),
    "desk.health": frozenset({"running", "last", "conflicts", "changed_minds", "balance", "features"}),
    "desk.health.features": frozenset({"running", "last", "shift"}),
    "trust": frozenset({"measured", "judges", "predictions", "operating_point", "decided"}),
    "desk.trust": frozenset(
        {"measured", "judges", "annotators", "predictions", "scope", "operating_point", "decided"}
    ),
    "desk.trust.scope": frozenset({"chosen", "kept", "last", "outside_class"}),
    "desk.team": frozenset({"progress", "agreement", "disputes", "overlap", "is_blind", "comments"}),
    "desk.batches": frozenset(),
    "desk.review": frozenset(),
}
"""What only looks in the project's parts, by their path; all of it is open to who may edit."""
COMPARES = frozenset({"desk.health.features.start", "desk.health.features.shift"})
"""What is given another project, which the person must be allowed to read as well."""
LABELS = frozenset(
    {
        "person",
        "record",
        "undo",
        "next_items",
        "release",
        "pool",
        "question",
        "kind",
        "status",
        "settings",
        "history",
    }
)
_STARTS = frozenset({"start_import", "start_demo", "start_import_outputs", "start_grading_demo"})
_FILES = frozenset({"inspect", "inspect_outputs", "start_import", "start_import_outputs"})
"""What is given the path of a file first."""
_CREATES = frozenset(
    {"inspect", "inspect_outputs", "upload_path", "new_upload", "free_slug", "demo", "grading_demo"}
)


def project_view(project: P, access: Access, workspace: Workspace) -> P:
    """The project itself where there is no login, else as the person may see it."""
    return project if access.person is None else cast(P, ProjectView(project, access, workspace))


def workspace_view(workspace: Workspace, access: Access) -> Workspace:
    """The workspace itself where there is no login, else as the person may see it."""
    return workspace if access.person is None else cast(Workspace, WorkspaceView(workspace, access))


def folders_offered(workspace: Workspace) -> Sequence[Path] | None:
    """Folders of the server that a page may offer to import from; None where any path can be named."""
    return import_folders(workspace) if isinstance(workspace, WorkspaceView) else None


class ProjectView:
    """A project that refuses what the person has no right to; a name in no list needs the right to edit."""

    def __init__(self, project: Project | GradingProject, access: Access, workspace: Workspace) -> None:
        self._project = project
        self._access = access
        self._note = partial(_note, workspace, access)

    def __getattr__(self, name: str) -> Any:
        slug = self._project.slug
        if name in PARTS:
            require(self._access, slug, "read")
            return PartView(getattr(self._project, name), name, self._access, slug, self._note)
        if name not in SEEN:
            require(self._access, slug, self._need(name))
        return noted(getattr(self._project, name), name, slug, self._note)

    def _need(self, name: str) -> Capability:
        if name in LABELS and self._access.can(self._project.slug, "label"):
            return "label"
        return "read" if name in READS else "label" if name in LABELS else "edit"


class PartView:
    """A part of a project, of which somebody who may not edit has only what looks."""

    def __init__(self, part: Any, path: str, access: Access, slug: str, note: Any) -> None:
        self._part, self._path, self._access, self._slug = part, path, access, slug
        self._note = note

    def __getattr__(self, name: str) -> Any:
        if name not in PARTS[self._path]:
            require(self._access, self._slug, "edit")
        found, path = getattr(self._part, name), f"{self._path}.{name}"
        if path in PARTS:
            return PartView(found, path, self._access, self._slug, self._note)
        if path in COMPARES:
            found = partial(self._compared, found)
        return noted(found, path, self._slug, self._note)

    def _compared(self, look: Callable[..., Any], other: str = "") -> Any:
        if other:
            require(self._access, other, "read")
        return look(other)


def _note(workspace: Workspace, access: Access, action: str, subject: str, project: str) -> None:
    assert access.person is not None
    workspace.store.audit.add(access.person.name, action, subject, project=project)


class JobsView:
    """Jobs that can be looked at, and cancelled with the right to edit their project."""

    def __init__(self, workspace: Workspace, access: Access) -> None:
        self._workspace = workspace
        self._access = access

    def get(self, job_id: int) -> Job:
        """The row of a job. Raises NotFoundError for one that the person must not know of."""
        job = self._workspace.jobs.get(job_id)
        if not self._sees(job.project_id):
            raise NotFoundError(f"job {job_id} does not exist here")
        return job

    def list(self, project_id: int | None = None, limit: int = 20) -> list[Job]:
        """The project's newest jobs first."""
        return self._workspace.jobs.list(project_id, limit) if self._sees(project_id) else []

    def _sees(self, project_id: int | None) -> bool:
        """Whether jobs of this project are the person's to see; of none yet: those of who makes projects."""
        if project_id is None:
            return self._access.may_create
        return any(row.id == project_id and self._access.sees(row.slug) for row in self._workspace.projects())

    def cancel(self, job_id: int) -> Job:
        """Ask for the end of a job. Raises ForbiddenError."""
        job = self.get(job_id)
        slug = next((row.slug for row in self._workspace.projects() if row.id == job.project_id), None)
        if slug is not None:
            require(self._access, slug, "edit")
        elif not self._access.may_create:
            raise ForbiddenError("your account has no right to make projects, nor to stop one being made")
        return self._workspace.jobs.cancel(job_id)


class WorkspaceView:
    """A workspace with the projects that the person takes part in."""

    def __init__(self, workspace: Workspace, access: Access) -> None:
        self._workspace = workspace
        self._access = access
        self.jobs = JobsView(workspace, access)
        self.settings = workspace.settings
        self.started = workspace.started

    def projects(self) -> list[ProjectRow]:
        """Projects that the person takes part in, in the order of creation."""
        return [row for row in self._workspace.projects() if self._access.sees(row.slug)]

    def project(self, slug: str) -> Project:
        """The project as the person may see it. Raises NotFoundError."""
        require_seen(self._access, slug)
        return project_view(self._workspace.project(slug), self._access, self._workspace)

    def grading(self, slug: str) -> GradingProject:
        """The grading project as the person may see it. Raises NotFoundError."""
        require_seen(self._access, slug)
        return project_view(self._workspace.grading(slug), self._access, self._workspace)

    def __getattr__(self, name: str) -> Any:
        """What makes projects, for those who may; whoever does owns what is made. Owners have the rest too."""
        access = self._access
        if not (access.is_owner or (access.may_create and name in _STARTS | _CREATES)):
            raise ForbiddenError(
                "your account has no right to make projects; an owner of the workspace can give it"
            )
        offered = getattr(self._workspace, name)
        if name in _FILES:
            offered = partial(self._with_file, offered)
        if name not in _STARTS or access.person is None:
            return offered
        by = access.person.name
        started = noted(offered, name, "", partial(_note, self._workspace, access))
        return lambda *args, **options: started(*args, **{**options, "by": by})

    def _with_file(self, offered: Any, path: str | Path, *args: Any, **options: Any) -> Any:
        for part in options.get("features", ()):
            model = part.options.get("model")
            if model is not None and Path(model).expanduser().exists():
                importable(self._workspace, Path(model).expanduser())
        return offered(importable(self._workspace, path), *args, **options)
