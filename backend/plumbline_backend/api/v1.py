"""The REST API for scripts, under /api/v1. Its description is at /api/openapi.json."""

from __future__ import annotations

from fastapi import APIRouter

from plumbline_backend.api.access import Access
from plumbline_backend.api.v1_data import data_routes
from plumbline_backend.api.v1_grading import grading_routes
from plumbline_backend.api.v1_heads import head_routes
from plumbline_backend.api.v1_labels import label_routes
from plumbline_backend.api.v1_projects import project_routes
from plumbline_backend.api.v1_work import work_routes
from plumbline_backend.workspace import Workspace


def create_api(workspace: Workspace, access: Access) -> APIRouter:
    """Every route of the API over an open workspace, each behind `access`."""
    router = APIRouter(prefix="/api/v1")
    for routes in (project_routes, data_routes, label_routes, head_routes, work_routes, grading_routes):
        router.include_router(routes(workspace, access))
    return router
