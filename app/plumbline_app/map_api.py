"""What the map in the browser fetches: coordinates once, one byte of colour per item, or a picture. Thin routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from fastapi import APIRouter, Query, Response

from plumbline_backend.map.raster import View

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace

BYTES = "application/octet-stream"
NO_STORE = {"Cache-Control": "no-store"}


def map_routes(workspace: Workspace) -> APIRouter:
    """Routes under /api/projects/{slug}/map."""
    router = APIRouter(prefix="/api/projects/{slug}/map", tags=["map"])

    @router.get("/points")
    def points(slug: str, layout: str = "pca") -> Response:
        """x and y of every item as little-endian float32, in order of position."""
        found = workspace.project(slug).desk.map.points(layout)
        return Response(
            np.ascontiguousarray(found, dtype="<f4").tobytes(), media_type=BYTES, headers=NO_STORE
        )

    @router.get("/colours")
    def colours(slug: str, by: str = "label") -> Response:
        """One byte per item: its place in the legend."""
        found = workspace.project(slug).desk.map.colours(by)
        return Response(found.index.tobytes(), media_type=BYTES, headers=NO_STORE)

    @router.get("/picture")
    def picture(
        slug: str,
        view: Annotated[list[float], Query(min_length=4, max_length=4)],
        width: int,
        height: int,
        layout: str = "pca",
        by: str = "label",
    ) -> Response:
        """A part of the map, drawn by the server. view: x0, x1, y0, y1."""
        x0, x1, y0, y1 = view
        drawn = workspace.project(slug).desk.map.picture(layout, by, View(x0, x1, y0, y1, width, height))
        return Response(drawn, media_type="image/png", headers=NO_STORE)

    return router
