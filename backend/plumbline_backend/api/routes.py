"""HTTP routes beside the pages: health, uploads, images, downloads. Thin: each calls one backend function."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse

from plumbline_backend.api.bodies import Slug
from plumbline_backend.api.uploads import receive_upload
from plumbline_backend.api.v1_data import in_pool, pool_of
from plumbline_backend.api.v1_work import DATA_HEADERS
from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.exports import find
from plumbline_backend.store import DatabaseError
from plumbline_backend.workspace import Workspace

READY_WITHIN_S = 3.0
"""A database that answers later than this is not ready: a page would time out on it too."""


def create_router(workspace: Workspace) -> APIRouter:
    """The routes of an open workspace."""
    router = APIRouter()

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        """Says that the server answers, and which start of it this is, so that a page can tell a restart."""
        return {"status": "ok", "started": workspace.started}

    @router.get("/readyz")
    async def readyz() -> dict[str, str | int]:
        """Says that the database answers, in time."""
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                found = await asyncio.to_thread(workspace.projects)
        except TimeoutError as error:
            raise HTTPException(503, f"the database did not answer within {READY_WITHIN_S:g} s") from error
        except DatabaseError as error:
            raise HTTPException(503, str(error)) from error
        return {"status": "ready", "projects": len(found)}

    @router.post("/api/uploads")
    async def upload(
        request: Request, x_file_name: Annotated[str, Header(description="percent-encoded file name")]
    ) -> dict[str, str | int]:
        """Store the request's body as a file of its own; the id opens it in the import."""
        return await receive_upload(workspace, request, unquote(x_file_name))

    @router.get("/api/projects/{slug}/items/{position}/image", response_class=Response)
    def image(slug: Slug, position: int, column: str | None = None) -> Response:
        """The image of an item, as it was imported."""
        pool = pool_of(workspace, slug)
        try:
            content, media_type = pool.image(in_pool(pool, position), column)
        except (NotFoundError, InputError) as error:
            raise HTTPException(404, str(error)) from error
        headers = {**DATA_HEADERS, "Cache-Control": "private, max-age=86400, immutable"}
        return Response(content, media_type=media_type, headers=headers)

    @router.get("/api/projects/{slug}/exports/{name}", response_class=FileResponse)
    def download(slug: Slug, name: str) -> FileResponse:
        """A finished export of a project of either kind."""
        path = find(workspace.folder / "exports" / workspace.store.projects.get(slug).slug, name)
        return FileResponse(path, filename=name, media_type="application/octet-stream", headers=DATA_HEADERS)

    return router
