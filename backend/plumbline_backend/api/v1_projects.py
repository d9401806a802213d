"""Projects, tokens and webhooks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request

from plumbline_backend.api.access import Access, Caller, needs
from plumbline_backend.api.bodies import (
    After,
    ImportIn,
    JobOut,
    Limit,
    ProjectOut,
    ProjectsPage,
    Slug,
    TokenIn,
    TokenOut,
    WebhookIn,
    WebhookOut,
)
from plumbline_backend.api.once import Key, answered_once
from plumbline_backend.api.plain import plain
from plumbline_backend.api.strict import StrictRoute
from plumbline_backend.api.uploads import job_out, receive_upload
from plumbline_backend.criteria.settings import GRADE_PURPOSE
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import COLUMN_ROLES, Column, Job, ProjectRow
from plumbline_backend.pool.chosen import embedded
from plumbline_backend.store.tokens import ApiToken
from plumbline_backend.store.webhooks import Webhook
from plumbline_backend.webhooks import checked_url
from plumbline_backend.workspace import Workspace


def project_routes(workspace: Workspace, access: Access) -> APIRouter:
    """Routes of what belongs to no question."""
    router = APIRouter(route_class=StrictRoute)
    read, edit, own = (needs(access, need) for need in ("read", "edit", "own"))

    @router.get("/projects", tags=["projects"])
    def projects(limit: Limit = 100, after: After = -1, caller: Caller = read) -> ProjectsPage:
        """The projects that the caller takes part in, oldest first."""
        found = [row for row in workspace.projects() if row.id > after and caller.access.sees(row.slug)]
        page = found[:limit]
        return ProjectsPage(
            projects=[_project(row) for row in page], next=page[-1].id if len(found) > limit else None
        )

    @router.post("/projects", tags=["projects"], status_code=202)
    def import_upload(body: ImportIn, key: Key = None, caller: Caller = own) -> JobOut:
        """Import an uploaded file as a new project, in the background. The job's result holds its slug."""

        def begin() -> JobOut:
            return job_out(_start_import(workspace, body, caller))

        asked = ("import", body.model_dump(mode="json"))
        answer: JobOut = answered_once(workspace.store.requests, caller, key, asked, begin)
        return answer

    @router.post("/uploads", tags=["projects"], status_code=201)
    async def upload(request: Request, name: str, _: Caller = own) -> dict[str, Any]:
        """Stream a file of any size (CSV, TSV, JSONL, Parquet, NPZ, FITS, ZIP) into the workspace.

        name: the file's name, whose suffix tells the format.
        """
        return await receive_upload(workspace, request, name)

    @router.get("/projects/{slug}", tags=["projects"])
    def project(slug: Slug, _: Caller = read) -> ProjectOut:
        """One project."""
        return _project(workspace.store.projects.get(slug))

    @router.delete("/projects/{slug}", tags=["projects"], status_code=204)
    def delete(slug: Slug, confirm: str, _: Caller = own) -> None:
        """Delete a project with everything in it. confirm: the slug once more."""
        if confirm != slug:
            raise InputError("confirm: expected the project's slug, because nothing brings it back")
        workspace.delete_project(slug)

    _token_routes(router, workspace, read)
    _webhook_routes(router, workspace, edit)
    return router


def _start_import(workspace: Workspace, body: ImportIn, caller: Caller) -> Job:
    path = workspace.upload_path(body.upload)
    return workspace.start_import(
        path,
        body.name,
        _with_roles(workspace.inspect(path).columns, body.roles),
        label_use=body.label_use,
        kind=body.kind,
        text=body.question,
        on_problem="skip" if body.skip_bad_rows else "refuse",
        features=[embedded(column, model) for column, model in body.embed.items()],
        by=None if caller.access.person is None else caller.person,
    )


def _token_routes(router: APIRouter, workspace: Workspace, read: Any) -> None:
    tokens = workspace.store.tokens

    @router.get("/tokens", tags=["tokens"])
    def own_tokens(caller: Caller = read) -> list[TokenOut]:
        """The caller's tokens, without their secrets."""
        return [_token(token) for token in tokens.of(caller.person)]

    @router.post("/tokens", tags=["tokens"], status_code=201)
    def create(body: TokenIn, caller: Caller = read) -> TokenOut:
        """A new token that speaks for the caller. Its secret is in this answer and nowhere else, so that an answer that
        was lost cannot be had again: revoke the token and make another."""
        made = tokens.create(caller.person, body.name, body.days)
        return _token(made.token, made.secret)

    @router.delete("/tokens/{token_id}", tags=["tokens"], status_code=204)
    def revoke(token_id: int, caller: Caller = read) -> None:
        """End one of the caller's tokens for good."""
        tokens.revoke(caller.person, _row_id(token_id))


def _webhook_routes(router: APIRouter, workspace: Workspace, edit: Any) -> None:
    store = workspace.store

    @router.get("/projects/{slug}/webhooks", tags=["webhooks"])
    def webhooks(slug: Slug, _: Caller = edit) -> list[WebhookOut]:
        """Who is told of what happens in the project."""
        return [_webhook(each) for each in store.webhooks.list(store.projects.get(slug).id)]

    @router.post("/projects/{slug}/webhooks", tags=["webhooks"], status_code=201)
    def add(slug: Slug, body: WebhookIn, key: Key = None, caller: Caller = edit) -> WebhookOut:
        """Tell this address from now on. Its host must be one that the setting `webhook_hosts` allows."""
        url = checked_url(body.url, workspace.settings["webhook_hosts"])
        project_id = store.projects.get(slug).id

        def make() -> WebhookOut:
            return _webhook(store.webhooks.create(project_id, url, body.events, caller.person))

        asked = ("webhook", slug, body.model_dump(mode="json"))
        answer: WebhookOut = answered_once(store.requests, caller, key, asked, make)
        return answer

    @router.delete("/projects/{slug}/webhooks/{webhook_id}", tags=["webhooks"], status_code=204)
    def remove(slug: Slug, webhook_id: int, _: Caller = edit) -> None:
        """Tell this address no more."""
        store.webhooks.delete(store.projects.get(slug).id, _row_id(webhook_id))


def _with_roles(columns: tuple[Column, ...], roles: dict[str, str]) -> list[Column]:
    names = [column.name for column in columns]
    wrong = [f"roles: no column {name!r}; {did_you_mean(name, names)}" for name in roles if name not in names]
    wrong += [
        f"roles: {role!r} does not exist; {did_you_mean(role, COLUMN_ROLES)}"
        for role in roles.values()
        if role not in COLUMN_ROLES
    ]
    if wrong:
        raise InputError("\n".join(wrong[:10]))
    return [replace(column, role=roles.get(column.name, column.role)) for column in columns]  # type: ignore[arg-type]


def _row_id(number: int) -> int:
    """The number, where a row could have it. Raises InputError."""
    if not 0 <= number < 2**63:
        raise InputError(f"id: found {number}; expected a number below 2^63")
    return number


def _project(row: ProjectRow) -> ProjectOut:
    grades = row.settings.get("purpose") == GRADE_PURPOSE
    return ProjectOut(
        slug=row.slug,
        name=row.name,
        purpose="grade" if grades else "label",
        n_items=row.n_items,
        created_at=row.created_at.isoformat(),
    )


def _token(token: ApiToken, secret: str | None = None) -> TokenOut:
    shown = plain(token)
    del shown["person"]
    return TokenOut(**shown, secret=secret)


def _webhook(each: Webhook) -> WebhookOut:
    return WebhookOut(
        id=each.id,
        url=each.url,
        events=list(each.events),
        by=each.by,
        failures=each.failures,
        last_error=each.last_error,
    )
