"""Routes of comments on items. Thin: each calls the project's team."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from plumbline_app.access import access_of
from plumbline_app.session import person_of_request
from plumbline_backend.domain.people import Comment
from plumbline_backend.workspace import Workspace


class CommentIn(BaseModel):
    """Something to say about an item. The same `uuid` again is recorded once."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=10_000)
    uuid: str = Field(min_length=1, max_length=100)


def team_routes(workspace: Workspace) -> APIRouter:
    """Routes under /api/projects/{slug}/items/{position}/comments."""
    router = APIRouter(prefix="/api/projects/{slug}/items/{position}/comments", tags=["comments"])

    @router.get("")
    def comments(slug: str, position: int, request: Request) -> list[dict[str, Any]]:
        """What was said about the item, oldest first. Who annotates a blind project sees their own words alone."""
        person = person_of_request(request.headers, request.cookies)
        only_by = None if access_of(request).can(slug, "read") else person
        return [_state(each) for each in workspace.project(slug).desk.team.comments(position, only_by)]

    @router.post("", status_code=201)
    def comment(slug: str, position: int, body: CommentIn, request: Request) -> dict[str, Any]:
        """Say something about the item."""
        person = person_of_request(request.headers, request.cookies)
        return _state(workspace.project(slug).desk.team.comment(position, person, body.text, body.uuid))

    @router.post("/{comment_id}/resolve")
    def resolve(slug: str, position: int, comment_id: int, request: Request) -> dict[str, Any]:
        """Mark a comment as settled; position is that of its item."""
        team = workspace.project(slug).desk.team
        person = person_of_request(request.headers, request.cookies)
        only_by = None if access_of(request).can(slug, "read") else person
        team.require_comment(position, comment_id, only_by)
        return _state(team.resolve(comment_id, person))

    return router


def _state(comment: Comment) -> dict[str, Any]:
    return {
        "id": comment.id,
        "author": comment.author,
        "text": comment.text,
        "at": comment.created_at.isoformat(),
        "resolved_by": comment.resolved_by,
    }
