"""Who a request comes from and whether it may pass: one check in front of every page, route and websocket.

Every path meets the first rule that fits it, and what no rule knows is for owners alone. The rules are the whole
policy; what routes check of themselves (`ApiAccess`) is a second lock on the same door.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbline_app.audited import Line, line_of
from plumbline_app.session import PERSON_HEADER, TICKET_HEADER, person_cookie
from plumbline_app.templates_plain import refused_page
from plumbline_backend.api.access import Caller as ApiCaller
from plumbline_backend.api.access import Need
from plumbline_backend.domain.people import EVERYTHING, Access, Capability
from plumbline_backend.people.service import Caller, PeopleService

ACCESS = "plumbline.access"
"""Where the scope of a request keeps its `Access`."""
RECHECK_S = 5.0
"""An open page of somebody who was taken out of a project is closed after this long at most."""
_SAFE = ("GET", "HEAD", "OPTIONS")

PAGE_NEEDS: Mapping[str, Capability] = {
    "label": "label",
    "grade": "label",
    "data": "read",
    "model": "read",
    "calibration": "read",
    "export": "read",
    "people": "manage",
    "audit": "manage",
}
"""What a project's page needs; one that is not listed changes the project and needs "edit"."""


class Rule(NamedTuple):
    """Methods (empty: all), a pattern for the whole path, and what is needed.

    need: a capability in the project that the pattern names, "see" for any part in it, "public", "signed in", "create"
    (new projects), "own" (the workspace), or "page" (by `PAGE_NEEDS`).
    """

    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    need: str


def _rule(methods: str, pattern: str, need: str) -> Rule:
    return Rule(tuple(methods.split()), re.compile(pattern), need)


_LABEL = r"/api/projects/(?P<project>[^/]+)/label"
_GRADE = r"/api/projects/(?P<project>[^/]+)/grade"
_ITEM = r"/api/projects/(?P<project>[^/]+)/items/[^/]+"
RULES: tuple[Rule, ...] = (
    _rule("", r"/(assets/.+|login|logout|invite/[^/]+|oidc/(start|callback)|healthz|readyz)", "public"),
    _rule("", r"/|/ws|/account|/account/(ws|password)", "signed in"),
    _rule("GET HEAD", r"/(static|components)/.+|/api/openapi\.json|/api/v1/projects", "signed in"),
    _rule("", r"/api/v1/tokens(/[^/]+)?", "signed in"),
    _rule(
        "", r"/import(/outputs)?(/ws)?|/api/uploads|/api/v1/(uploads|projects)|/api/v1/jobs/[^/]+", "create"
    ),
    _rule("GET", r"/p/(?P<project>[^/]+)", "see"),
    _rule("GET HEAD WEBSOCKET", r"/p/(?P<project>[^/]+)/(?P<page>[^/]+)(/ws)?", "page"),
    _rule("GET", _LABEL + r"/items/[^/]+/opinion", "read"),
    _rule("POST", _LABEL + r"/(classes|strategy)", "edit"),
    _rule("", _LABEL + r"/.+", "label"),
    _rule("POST", _GRADE + r"/(criteria|criterion)(/.*)?", "edit"),
    _rule("", _GRADE + r"/.+", "label"),
    _rule("GET HEAD", _ITEM + r"/image", "see"),
    _rule("", _ITEM + r"/comments(/[^/]+/resolve)?", "comment"),
    _rule("", r"/api/v1/(projects|grading)/(?P<project>[^/]+)(/.*)?", "see"),
    _rule("GET HEAD", r"/api/projects/(?P<project>[^/]+)/.+", "read"),
    _rule("DELETE", r"/api/projects/(?P<project>[^/]+)", "manage"),
    _rule("", r"/(api/projects|p)/(?P<project>[^/]+)(/.*)?", "edit"),
)


class Verdict(NamedTuple):
    """Whether to let a request pass; otherwise the status and why."""

    status: int
    reason: str = ""


PASS = Verdict(200)


def decide(access: Access | None, method: str, path: str) -> Verdict:
    """What the rules say. access: None for somebody who is not signed in. Pure."""
    need, found = _need(method, path)
    if need == "public":
        return PASS
    if access is None:
        return Verdict(401, "sign in first")
    if need == "signed in":
        return PASS
    if need in ("create", "own"):
        allowed = access.may_create if need == "create" else access.is_owner
        wanted = "make projects" if need == "create" else "look after the workspace"
        return PASS if allowed else Verdict(403, f"your account has no right to {wanted}")
    slug = found["project"]
    if not access.sees(slug):
        return Verdict(404, f"project {slug!r} does not exist, or you take no part in it")
    if need == "see" or access.can(slug, need):  # type: ignore[arg-type]
        return PASS
    role = access.memberships[slug].role
    return Verdict(403, f"your role in this project is {role}; this needs the right to {need}")


def _need(method: str, path: str) -> tuple[str, Mapping[str, str]]:
    for rule in RULES:
        match = rule.pattern.fullmatch(path)
        if match is not None and (not rule.methods or method in rule.methods):
            found = match.groupdict()
            need = PAGE_NEEDS.get(found["page"], "edit") if rule.need == "page" else rule.need
            return need, found
    return "own", {}


class Gate:
    """Lets requests pass by the rules, and tells what is behind it who they come from.

    people: None in single-user mode, where everything passes as the person that the browser names.
    """

    def __init__(self, app: ASGIApp, people: PeopleService | None) -> None:
        self.app = app
        self.people = people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if self.people is None:
            scope[ACCESS] = EVERYTHING
            _set_header(scope, TICKET_HEADER, None)
            return await self.app(scope, receive, send)
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        access = await run_in_threadpool(self._access, scope)
        verdict = decide(access, method, scope["path"])
        if verdict == PASS and access is not None:
            verdict = _forgery(scope, access) or _another_person(scope, access) or PASS
        if verdict != PASS:
            return await _refuse(scope, receive, send, verdict)
        scope[ACCESS] = access
        person = None if access is None or access.person is None else access.person
        _set_header(scope, TICKET_HEADER, None if access is None else access.ticket)
        _set_header(scope, PERSON_HEADER, None if person is None else person_cookie(person.name))
        if scope["type"] == "websocket":
            return await self._watched(scope, receive, send)
        line = None if person is None else line_of(method, scope["path"])
        if line is None or person is None:
            return await self.app(scope, receive, send)
        return await self._noted(scope, receive, send, person.name, line)

    async def _noted(self, scope: Scope, receive: Receive, send: Send, name: str, line: Line) -> None:
        """Serve a request, and write it to the audit log once it was carried out."""
        statuses: list[int] = []

        async def send_and_see(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        await self.app(scope, receive, send_and_see)
        if statuses and statuses[0] < 300:
            assert self.people is not None
            client = scope.get("client")
            by = Caller(name, "" if client is None else client[0])
            await run_in_threadpool(self.people.note, by, line.action, line.subject, line.project)

    def _access(self, scope: Scope) -> Access | None:
        """By token when there is one, else by the session's cookie."""
        assert self.people is not None
        scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.people.access_by_token(secret.strip())
        return self.people.access(HTTPConnection(scope).cookies.get(self.people.cookies.name))

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket as long as its person may be there."""
        gone = asyncio.Event()
        watching = asyncio.create_task(self._watch(scope, gone))

        async def receive_while_allowed() -> Message:
            arriving, leaving = asyncio.ensure_future(receive()), asyncio.ensure_future(gone.wait())
            await asyncio.wait({arriving, leaving}, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if not gone.is_set():
                return arriving.result()
            arriving.cancel()
            await send({"type": "websocket.close", "code": 4401, "reason": "not allowed any more"})
            return {"type": "websocket.disconnect", "code": 4401}

        async def send_while_allowed(message: Message) -> None:
            if not gone.is_set():
                await send(message)

        try:
            await self.app(scope, receive_while_allowed, send_while_allowed)
        finally:
            watching.cancel()

    async def _watch(self, scope: Scope, gone: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            access = await run_in_threadpool(self._access, scope)
            if decide(access, "WEBSOCKET", scope["path"]) != PASS:
                return gone.set()


class ApiAccess:
    """The API's own check, by what `Gate` found out. Replaces `TokenAccess` where there is a login."""

    def caller(self, request: Request, secret: str | None) -> ApiCaller:
        """The person of the request. Raises HTTPException (401)."""
        access: Access | None = request.scope.get(ACCESS)
        if access is None or access.person is None:
            raise HTTPException(401, "sign in or send a token", headers={"WWW-Authenticate": "Bearer"})
        return ApiCaller(access.person.name, by_token=secret is not None, access=access)

    def require(self, caller: ApiCaller, slug: str | None, need: Need) -> None:
        """Raises HTTPException (403, or 404 for a project that the caller must not know of)."""
        access = caller.access
        if slug is None:
            if need != "read" and not access.may_create:
                raise HTTPException(403, "your account has no right to make projects")
            return
        if not access.sees(slug):
            raise HTTPException(404, f"project {slug!r} does not exist, or you take no part in it")
        capability: Capability = "manage" if need == "own" else need
        if not access.can(slug, capability):
            role = access.memberships[slug].role
            raise HTTPException(
                403, f"your role in this project is {role}; this needs the right to {capability}"
            )


def access_of(request: HTTPConnection) -> Access:
    """What the request may do; nothing is allowed to one that did not pass the gate."""
    found: Access | None = request.scope.get(ACCESS)
    if found is None:
        raise HTTPException(401, "sign in first")
    return found


def _forgery(scope: Scope, access: Access) -> Verdict | None:
    """A change by cookie must name this server as its origin (`Guard` has compared it): browsers always send it."""
    by_cookie = bool(access.ticket)
    if scope["type"] != "http" or scope["method"] in _SAFE or not by_cookie:
        return None
    if Headers(scope=scope).get("origin") is None:
        return Verdict(403, "a change by cookie needs an Origin header; scripts use a token instead")
    return None


def _another_person(scope: Scope, access: Access) -> Verdict | None:
    """A tab that was opened by one person must not answer for another who has signed in since."""
    named = Headers(scope=scope).get(PERSON_HEADER)
    if named is None or access.person is None or unquote(named) == access.person.name:
        return None
    return Verdict(409, f"this page was opened by {unquote(named)!r}; load it again")


def _set_header(scope: Scope, name: str, value: str | None) -> None:
    """Replace what the client sent under this name by what is known here."""
    headers = MutableHeaders(scope=scope)
    del headers[name]
    if value is not None:
        headers[name] = value


async def _refuse(scope: Scope, receive: Receive, send: Send, verdict: Verdict) -> None:
    if scope["type"] == "websocket":
        code = 4000 + verdict.status
        await send({"type": "websocket.close", "code": code, "reason": verdict.reason})
    else:
        await _answer(scope, verdict)(scope, receive, send)


def _answer(scope: Scope, verdict: Verdict) -> Response:
    is_page = scope["method"] == "GET" and not scope["path"].startswith("/api/")
    if not is_page:
        headers = {"WWW-Authenticate": "Bearer"} if verdict.status == 401 else None
        return JSONResponse({"error": verdict.reason}, verdict.status, headers)
    if verdict.status == 401:
        query = scope["query_string"].decode("latin-1")
        wanted = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}", status_code=303)
    return refused_page(verdict.status, verdict.reason)
