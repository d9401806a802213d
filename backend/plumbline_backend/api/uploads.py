"""Files that come in, and jobs as the API shows them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request

from plumbline_backend.api.bodies import JobOut
from plumbline_backend.api.plain import plain
from plumbline_backend.domain.types import Job
from plumbline_backend.workspace import Workspace

UPLOAD_BUFFER = 1 << 20
MIB = 1 << 20


async def receive_upload(workspace: Workspace, request: Request, name: str) -> dict[str, Any]:
    """Store the request's body as a file of its own; the id opens it in the import."""
    upload_id, path = workspace.new_upload(name)
    size = await _receive(request, path, workspace.settings["upload_limit_mib"] * MIB)
    return {"upload": upload_id, "name": path.name, "bytes": size}


def job_out(job: Job) -> JobOut:
    """A job as JSON."""
    return JobOut(
        id=job.id,
        kind=job.kind,
        state=job.state,
        progress=job.progress,
        message=job.message,
        created_at=job.created_at.isoformat(),
        finished_at=None if job.finished_at is None else job.finished_at.isoformat(),
        result=plain(job.result),
    )


async def _receive(request: Request, path: Path, limit: int) -> int:
    """Write the body to disk as it comes; a body that breaks off or is too large leaves nothing behind."""
    half_done = path.parent / ".receiving"
    size = 0
    try:
        with half_done.open("wb", buffering=UPLOAD_BUFFER) as file:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise HTTPException(
                        413, f"file: more than {limit // MIB} MiB; expected at most that much"
                    )
                await asyncio.to_thread(file.write, chunk)
        if size == 0:
            raise HTTPException(400, "file: found 0 bytes; expected a file with content")
        half_done.rename(path)
    finally:
        if half_done.exists():
            half_done.unlink()
        if not path.exists():
            path.parent.rmdir()
    return size
