"""HTTP routes beside the pages: health, uploads, images, downloads. Thin: each calls one backend function."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.workspace import Workspace

UPLOAD_BUFFER = 1 << 20
MIB = 1 << 20
DATA_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""What the project's data is served with: never sniffed, never run."""


def create_router(workspace: Workspace) -> APIRouter:
    """The routes of an open workspace."""
    router = APIRouter()

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        """Says that the server answers, and which start of it this is, so that a page can tell a restart."""
        return {"status": "ok", "started": workspace.started}

    @router.get("/readyz")
    def readyz() -> dict[str, str | int]:
        """Says that the database answers."""
        return {"status": "ready", "projects": len(workspace.projects())}

    @router.post("/api/uploads")
    async def upload(
        request: Request, x_file_name: Annotated[str, Header(description="percent-encoded file name")]
    ) -> dict[str, str | int]:
        """Store the request's body as a file of its own; the id opens it in the import."""
        upload_id, path = workspace.new_upload(unquote(x_file_name))
        size = await _receive(request, path, workspace.settings["upload_limit_mib"] * MIB)
        return {"upload": upload_id, "name": path.name, "bytes": size}

    @router.get("/api/projects/{slug}/items/{position}/image")
    def image(slug: str, position: int, column: str | None = None) -> Response:
        """The image of an item, as it was imported."""
        try:
            content, media_type = workspace.project(slug).pool.image(position, column)
        except (NotFoundError, InputError) as error:
            raise HTTPException(404, str(error)) from error
        headers = {**DATA_HEADERS, "Cache-Control": "private, max-age=86400, immutable"}
        return Response(content, media_type=media_type, headers=headers)

    @router.get("/api/projects/{slug}/exports/{name}")
    def download(slug: str, name: str) -> FileResponse:
        """A finished export."""
        try:
            path = workspace.project(slug).export_path(name)
        except (NotFoundError, InputError) as error:
            raise HTTPException(404, str(error)) from error
        return FileResponse(path, filename=name, media_type="application/octet-stream", headers=DATA_HEADERS)

    return router


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
