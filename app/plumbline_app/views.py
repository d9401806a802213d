"""A project and a workspace as somebody with less than every right sees them: what is missing is refused."""

from __future__ import annotations

from typing import Any, TypeVar, cast

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
    "heads": frozenset({"comparison", "chosen", "seconds", "options", "old_and_new"}),
    "loop": frozenset({"answers", "overlap", "training", "newest_model", "newest_query", "strategy", "head"}),
    "desk": frozenset({"map", "health", "trust", "team"}),
    "desk.map": frozenset(
        {"stamp", "running", "points", "select", "more_like", "layouts", "colours", "at", "picture"}
    ),
    "desk.health": frozenset({"running", "last", "conflicts", "changed_minds", "balance"}),
    "desk.trust": frozenset({"measured", "judges", "annotators", "predictions"}),
    "desk.team": frozenset({"progress", "agreement", "disputes", "overlap", "is_blind", "comments"}),
}
"""What only looks in the project's parts, by their path."""
LABELS = frozenset(
    {"person", "record", "undo", "next_items", "release", "pool", "question", "status", "settings", "history"}
)
_STARTS = frozenset({"start_import", "start_demo", "start_import_outputs", "start_grading_demo"})
_CREATES = frozenset(
    {"inspect", "inspect_outputs", "upload_path", "new_upload", "free_slug", "demo", "grading_demo"}
)


def project_view(project: P, access: Access) -> P:
    """The project itself for who may do everything, else one that refuses the rest."""
    return project if access.is_owner else cast(P, ProjectView(project, access))


def workspace_view(workspace: Workspace, access: Access) -> Workspace:
    """The workspace itself for its owners, else the part of it that is the person's."""
    return workspace if access.is_owner else cast(Workspace, WorkspaceView(workspace, access))


class ProjectView:
    """A project that refuses what the person has no right to; a name in no list needs the right to edit."""

    def __init__(self, project: Project | GradingProject, access: Access) -> None:
        self._project = project
        self._access = access

    def __getattr__(self, name: str) -> Any:
        slug = self._project.slug
        if name in PARTS and not self._access.can(slug, "edit"):
            require(self._access, slug, "read")
            return PartView(getattr(self._project, name), name, self._access, slug)
        if name not in SEEN:
            require(self._access, slug, self._need(name))
        return getattr(self._project, name)

    def _need(self, name: str) -> Capability:
        if name in LABELS and self._access.can(self._project.slug, "label"):
            return "label"
        return "read" if name in READS else "label" if name in LABELS else "edit"


class PartView:
    """A part of a project for somebody who may look and not edit."""

    def __init__(self, part: Any, path: str, access: Access, slug: str) -> None:
        self._part, self._path, self._access, self._slug = part, path, access, slug

    def __getattr__(self, name: str) -> Any:
        if name not in PARTS[self._path]:
            require(self._access, self._slug, "edit")
        found, path = getattr(self._part, name), f"{self._path}.{name}"
        return PartView(found, path, self._access, self._slug) if path in PARTS else found


class JobsView:
    """Jobs that can be looked at, and cancelled with the right to edit their project."""

    def __init__(self, workspace: Workspace, access: Access) -> None:
        self._workspace = workspace
        self._access = access

    def get(self, job_id: int) -> Job:
        """The row of a job. Raises NotFoundError."""
        return self._workspace.jobs.get(job_id)

    def list(self, project_id: int | None = None, limit: int = 20) -> list[Job]:
        """The newest jobs first."""
        return self._workspace.jobs.list(project_id, limit)

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
        return project_view(self._workspace.project(slug), self._access)

    def grading(self, slug: str) -> GradingProject:
        """The grading project as the person may see it. Raises NotFoundError."""
        require_seen(self._access, slug)
        return project_view(self._workspace.grading(slug), self._access)

    def __getattr__(self, name: str) -> Any:
        """What makes projects, for those who may; whoever does owns what is made."""
        if name not in _STARTS | _CREATES or not self._access.may_create or self._access.person is None:
            raise ForbiddenError(
                "your account has no right to make projects; an owner of the workspace can give it"
            )
        offered = getattr(self._workspace, name)
        if name not in _STARTS:
            return offered
        by = self._access.person.name
        return lambda *args, **options: offered(*args, **{**options, "by": by})
