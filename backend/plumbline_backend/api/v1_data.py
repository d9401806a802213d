"""Items, predictions and models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from plumbline_backend.api.access import Access, Caller, needs
from plumbline_backend.api.bodies import (
    After,
    ItemOut,
    ItemsPage,
    Limit,
    PredictIn,
    PredictOut,
    Slug,
)
from plumbline_backend.api.plain import plain
from plumbline_backend.api.strict import StrictRoute
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.types import Item, ModelVersion
from plumbline_backend.pool.pool import Pool
from plumbline_backend.project import Project
from plumbline_backend.workspace import Workspace

STREAM_ITEMS = 500
"""Items read at a time while streaming: a megabyte or so of ordinary rows."""
NDJSON = "application/x-ndjson"
LINES = {200: {"content": {NDJSON: {"schema": {"type": "string"}}}, "description": "one JSON object a line"}}


def data_routes(workspace: Workspace, access: Access) -> APIRouter:
    """Routes that read what is there."""
    router = APIRouter(prefix="/projects/{slug}", route_class=StrictRoute)
    read = needs(access, "read")

    @router.get("/items", tags=["items"])
    def items(slug: Slug, limit: Limit = 100, after: After = -1, _: Caller = read) -> ItemsPage:
        """Items in order of position."""
        pool = pool_of(workspace, slug)
        start = min(after + 1, pool.n_items)
        stop = min(start + limit, pool.n_items)
        found = pool.items(range(start, stop))
        return ItemsPage(
            items=[item_out(pool, item) for item in found], next=stop - 1 if stop < pool.n_items else None
        )

    @router.get("/items.jsonl", tags=["items"], response_class=StreamingResponse, responses=LINES)  # type: ignore[arg-type]
    def stream_items(slug: Slug, _: Caller = read) -> StreamingResponse:
        """Every item as one JSON object a line, streamed."""
        return StreamingResponse(_lines(_stream_items(pool_of(workspace, slug))), media_type=NDJSON)

    @router.get("/shift", tags=["items"])
    def shift(slug: Slug, other: str, caller: Caller = read) -> list[dict[str, Any]]:
        """Columns that two projects both have, the most different first: does a new import look like an old one?"""
        access.require(caller, other, "read")
        return [plain(each) for each in workspace.project(slug).desk.health.features.shift(other)]

    @router.get("/items/{position}", tags=["items"])
    def item(slug: Slug, position: int, _: Caller = read) -> ItemOut:
        """One item."""
        pool = pool_of(workspace, slug)
        return item_out(pool, pool.item(in_pool(pool, position)))

    @router.get("/item-by-key", tags=["items"])
    def item_by_key(slug: Slug, key: str, _: Caller = read) -> ItemOut:
        """The item with this key."""
        pool = pool_of(workspace, slug)
        return item_out(pool, pool.item(pool.position(key)))

    _model_routes(router, workspace, read)
    return router


def _model_routes(router: APIRouter, workspace: Workspace, read: Any) -> None:
    @router.post("/predictions", tags=["models"])
    def predict(slug: Slug, body: PredictIn, _: Caller = read) -> PredictOut:
        """Calibrated probabilities of the newest model for these items."""
        project = workspace.project(slug)
        positions = [in_pool(project.pool, position) for position in body.items]
        found = project.predict(positions)
        if found is None:
            return PredictOut(model=None, classes=[], items=body.items, proba=[])
        return PredictOut(
            model=found.model.version,
            classes=[c.id for c in found.classes],
            items=positions,
            proba=plain(found.proba),
            none_of_these=None if found.none_of_these is None else found.none_of_these.tolist(),
        )

    @router.get("/predictions.jsonl", tags=["models"], response_class=StreamingResponse, responses=LINES)  # type: ignore[arg-type]
    def stream_predictions(slug: Slug, _: Caller = read) -> StreamingResponse:
        """The newest model's probabilities for the whole pool, one JSON object a line.

        `none_of_these`: whether the item belongs to no class; null where the project has no open-set rule.
        """
        project = workspace.project(slug)
        if project.loop.newest_model() is None:
            raise NotFoundError(f"project {slug!r} has no model yet. {project.status().waiting}")
        return StreamingResponse(_lines(_stream_predictions(project)), media_type=NDJSON)

    @router.get("/models", tags=["models"])
    def models(slug: Slug, _: Caller = read) -> list[dict[str, Any]]:
        """Every model version, oldest first. Intervals are [value, low, high, n]; unknown is null."""
        return [_model(each) for each in workspace.project(slug).models()]

    @router.get("/models/newest", tags=["models"])
    def newest_model(slug: Slug, _: Caller = read) -> dict[str, Any]:
        """How good the newest model is, measured on the random stream as it stands now."""
        report = workspace.project(slug).report()
        if report is None:
            raise NotFoundError(f"project {slug!r} has no model yet")
        shown: dict[str, Any] = plain(report)
        return {**shown, "model": _model(report.model)}


def pool_of(workspace: Workspace, slug: str) -> Pool:
    """The pool of a project of either kind. Raises NotFoundError."""
    row = workspace.store.projects.get(slug)
    if row.settings.get("purpose") == "grade":
        return workspace.grading(slug).pool
    return workspace.project(slug).pool


def in_pool(pool: Pool, position: int) -> int:
    """The position itself. Raises NotFoundError outside the pool."""
    if not 0 <= position < pool.n_items:
        raise NotFoundError(f"item {position} does not exist; the pool has items 0 to {pool.n_items - 1}")
    return position


def item_out(pool: Pool, item: Item) -> ItemOut:
    """An item as JSON, without imported labels: they would answer the question for whoever labels by script."""
    hidden = {column.name for column in pool.columns_of("label")}
    shown = {name: value for name, value in item.fields.items() if name not in hidden}
    return ItemOut(position=item.position, key=item.key, fields=plain(shown))


def _model(model: ModelVersion) -> dict[str, Any]:
    shown: dict[str, Any] = plain(model)
    for internal in ("folder", "project_id", "question_id"):
        del shown[internal]
    return shown


def _stream_items(pool: Pool) -> Iterator[dict[str, Any]]:
    for start in range(0, pool.n_items, STREAM_ITEMS):
        for item in pool.items(range(start, min(start + STREAM_ITEMS, pool.n_items))):
            yield item_out(pool, item).model_dump()


def _stream_predictions(project: Project) -> Iterator[dict[str, Any]]:
    for start in range(0, project.pool.n_items, STREAM_ITEMS):
        positions = np.arange(start, min(start + STREAM_ITEMS, project.pool.n_items))
        found = project.predict(positions.tolist())
        if found is None:  # the project was emptied meanwhile
            return
        refused = [None] * len(positions) if found.none_of_these is None else found.none_of_these.tolist()
        for position, row, none in zip(positions.tolist(), found.proba.tolist(), refused, strict=True):
            proba = {c.id: value for c, value in zip(found.classes, row, strict=True)}
            yield plain(
                {"item": position, "model": found.model.version, "proba": proba, "none_of_these": none}
            )


def _lines(values: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for value in values:
        yield (
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"
        )
