"""Jobs and exports."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse

from plumbline_backend.api.access import Access, Caller, needs
from plumbline_backend.api.bodies import ExportIn, JobOut, JobsOut, Limit, Slug
from plumbline_backend.api.once import Key, answered_once
from plumbline_backend.api.strict import StrictRoute
from plumbline_backend.api.uploads import job_out
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.types import Job
from plumbline_backend.exports import find
from plumbline_backend.workspace import Workspace

DATA_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""What the project's data is served with: never sniffed, never run."""


def work_routes(workspace: Workspace, access: Access) -> APIRouter:
    """Routes of long work and what it leaves behind."""
    router = APIRouter(route_class=StrictRoute)
    read, edit, own = (needs(access, need) for need in ("read", "edit", "own"))

    @router.get("/jobs/{job_id}", tags=["jobs"])
    def workspace_job(job_id: int, _: Caller = own) -> JobOut:
        """A job that belongs to no project yet, such as an import."""
        return job_out(_job(workspace, job_id, None))

    @router.get("/projects/{slug}/jobs", tags=["jobs"])
    def jobs(slug: Slug, limit: Limit = 20, _: Caller = read) -> JobsOut:
        """The project's newest jobs."""
        found = workspace.jobs.list(workspace.store.projects.get(slug).id, limit)
        return JobsOut(jobs=[job_out(job) for job in found])

    @router.get("/projects/{slug}/jobs/{job_id}", tags=["jobs"])
    def job(slug: Slug, job_id: int, _: Caller = read) -> JobOut:
        """One job of the project."""
        return job_out(_job(workspace, job_id, slug))

    @router.post("/projects/{slug}/jobs/{job_id}/cancel", tags=["jobs"])
    def cancel(slug: Slug, job_id: int, _: Caller = edit) -> JobOut:
        """Stop a job. One that has ended stays as it is."""
        return job_out(workspace.jobs.cancel(_job(workspace, job_id, slug).id))

    @router.post("/projects/{slug}/fit", tags=["jobs"], status_code=202)
    def fit(slug: Slug, _: Caller = edit) -> JobOut | None:
        """Train now if there is anything new to learn; null when there is not."""
        started = workspace.project(slug).fit()
        return None if started is None else job_out(started)

    @router.post("/backups", tags=["backups"], status_code=202)
    def backup(key: Key = None, caller: Caller = own) -> JobOut:
        """Back the whole workspace up. The job's result names the file."""

        def begin() -> JobOut:
            return job_out(workspace.start_backup())

        answer: JobOut = answered_once(workspace.store.requests, caller, key, ("backup",), begin)
        return answer

    @router.get("/backups/{name}", tags=["backups"], response_class=FileResponse)
    def download_backup(name: str, _: Caller = own) -> FileResponse:
        """A finished backup, for `plumbline restore`."""
        path = find(workspace.backups_folder, name)
        return FileResponse(path, filename=name, media_type="application/x-tar", headers=DATA_HEADERS)

    _export_routes(router, workspace, read)
    return router


def _export_routes(router: APIRouter, workspace: Workspace, read: Any) -> None:
    @router.post("/projects/{slug}/exports", tags=["exports"], status_code=202)
    def export(slug: Slug, body: ExportIn, key: Key = None, caller: Caller = read) -> JobOut:
        """Export labels or the classifier in the background. The job's result names the file."""
        project = workspace.project(slug)
        options: dict[str, Any] = {}
        if body.what == "labels":
            options = {"format": body.format, "history": body.history}
            if body.format == "csv":
                options["spreadsheet_safe"] = body.spreadsheet_safe

        def begin() -> JobOut:
            return job_out(project.start_export(body.what, **options))

        asked = ("export", slug, body.model_dump(mode="json"))
        answer: JobOut = answered_once(workspace.store.requests, caller, key, asked, begin)
        return answer

    @router.get("/projects/{slug}/exports", tags=["exports"])
    def exports(slug: Slug, _: Caller = read) -> list[dict[str, Any]]:
        """Finished exports, newest first."""
        return [
            {"name": each.name, "bytes": each.n_bytes, "at": each.at.isoformat()}
            for each in workspace.project(slug).exports()
        ]

    @router.get("/projects/{slug}/exports/{name}", tags=["exports"], response_class=FileResponse)
    def download(slug: Slug, name: str, _: Caller = read) -> FileResponse:
        """A finished export."""
        path = workspace.project(slug).export_path(name)
        return FileResponse(path, filename=name, media_type="application/octet-stream", headers=DATA_HEADERS)


def _job(workspace: Workspace, job_id: int, slug: str | None) -> Job:
    """The job, where it belongs to this project (None: to no project). Raises NotFoundError."""
    project_id = None if slug is None else workspace.store.projects.get(slug).id
    found = workspace.jobs.get(job_id) if 0 <= job_id < 2**63 else None
    if found is None or found.project_id != project_id:
        raise NotFoundError(f"job {job_id} does not exist here")
    return found
