"""Panel pages inside FastAPI: the only module that knows how the two are joined, and how sessions end.

Three things are mended here, each held by tests/browser/test_sessions.py:
- bokeh-fastapi never notices that a tab has gone, so that no session is ever destroyed (0 of 20; with this, 20);
- it hands a raw ASGI scope to Panel when a tab comes back after its session has ended;
- Panel keeps the views of a destroyed document when a component's own clean-up did not remove them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui  # noqa: F401  # before mounting: its bundle is served only when it is known by then
from bokeh.application.application import SessionContext
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.util.token import get_session_id, get_token_payload
from bokeh_fastapi.handler import WSHandler
from fastapi import FastAPI, Request, Response, WebSocket
from jinja2 import Environment, FileSystemLoader
from panel.io.application import Application
from panel.io.fastapi import add_applications
from panel.io.state import set_curdoc
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import HTTPError

from plumbline_app.components.layout import fill, place
from plumbline_app.components.words import notice
from plumbline_app.guard import nonce
from plumbline_app.pages.page import Page
from plumbline_app.session import PERSON_COOKIE, THEME_COOKIE, TICKET_HEADER, Session
from plumbline_app.theme import bokeh_theme
from plumbline_backend.api.errors import answer
from plumbline_backend.people.errors import ForbiddenError

SECTIONS = (
    ("data", "Data"),
    ("label", "Label"),
    ("review", "Review"),
    ("map", "Map"),
    ("health", "Health"),
    ("model", "Model"),
    ("calibration", "Calibration"),
    ("agreement", "Agreement"),
    ("simulate", "Simulate"),
    ("export", "Export"),
)
THREADS = 4
_TICKET = TICKET_HEADER.title()
"""As Tornado spells it."""
UNUSED_SESSION_MS = 15_000
"""A tab that loses its connection for longer is loaded again and gets a new session."""

log = logging.getLogger(__name__)
BuildPage = Callable[[Mapping[str, str], Mapping[str, str], str], Page]
"""(route parameters, cookies, ticket of the session) -> the page to show."""


def mount_pages(
    app: FastAPI, pages: Mapping[str, BuildPage], instance: str, key: bytes | None = None, **options: Any
) -> Any:
    """Serve each page at its path. Returns the BokehFastAPI application, which knows the open sessions.

    key: signs the tokens by which a tab finds its document, so that none can be made up. They stand in the page's text:
    of the request only what is named here goes into them, and never the session's cookie.
    """
    pn.extension(nthreads=THREADS, notifications=False)
    template = _environment().get_template("shell.html")
    applications: dict[str, Any] = {
        path: Application(FunctionHandler(partial(_fill, build=build, template=template, instance=instance)))
        for path, build in pages.items()
    }
    options.setdefault("unused_session_lifetime_milliseconds", UNUSED_SESSION_MS)
    options.update(include_headers=[_TICKET], include_cookies=[PERSON_COOKIE, THEME_COOKIE])
    if key is not None:
        options.update(secret_key=key, sign_sessions=True)
    app.add_exception_handler(HTTPError, _refuse_address)
    return add_applications(applications, app=app, **options)


def _refuse_address(_: Request, error: Exception) -> Response:
    """Panel's routes of components say what is wrong with an address as Tornado does, which FastAPI does not know."""
    status = error.status_code if isinstance(error, HTTPError) else 500
    return answer("there is no such file", status)


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), trim_blocks=True, lstrip_blocks=True
    )


def _fill(doc: Document, *, build: BuildPage, template: Any, instance: str) -> None:
    """Put a page into a new document. Runs on the event loop, once per tab."""
    with set_curdoc(doc):
        page = build(pn.state.route_params, pn.state.cookies, pn.state.headers.get(_TICKET, ""))
        session: Session = page.session
        pn.extension(*page.extensions, nthreads=THREADS)
        pn.config.theme = "dark" if session.dark else "default"
        body: Any = page.__panel__()
        if not session.access.is_owner:
            said = place()
            pn.config.exception_handler = partial(_refused, said)
            said.server_doc(doc, location=False)
        body.server_doc(doc, title=page.title, location=True)
        doc.theme = bokeh_theme(session.dark)
        doc.template = template
        doc.template_variables.update(
            instance=instance,
            nonce=nonce.get(),
            dark=session.dark,
            person=session.person,
            has_login=session.people is not None,
            manages=session.access.can(session.slug, "manage") if session.slug else session.access.is_owner,
            slug=session.slug,
            name=session.name,
            section=page.section,
            sections=sections_of(page),
            themes_live=page.themes_live,
        )
        doc.config.update(reconnect_session=False, notify_connection_status=False)
        pn.state.onload(page.load)
        doc.on_session_destroyed(partial(_end, page, doc))


def sections_of(page: Page) -> Sequence[tuple[str, str]]:
    """The navigation of the page's project: of a labelling project, what its question kind has a use for."""
    kind = None if page.session.project is None else page.session.project.kind
    if page.sections or kind is None or kind.sections is None:
        return page.sections or SECTIONS
    return [(section, label) for section, label in SECTIONS if section in kind.sections]


def _refused(said: pn.Column, error: Exception) -> None:
    """Say what a person has no right to; anything else that went wrong is logged as always."""
    if isinstance(error, ForbiddenError):
        fill(said, notice("Not done", str(error), tone="warn"))
    else:
        log.error("a callback failed", exc_info=error)


def _end(page: Page, doc: Document, context: SessionContext) -> None:
    """The tab is gone: let the page go, and everything that Panel still keeps for its document."""
    page.close()
    for ref, (_, _, of, _) in list(pn.state._views.items()):
        if of is doc:
            del pn.state._views[ref]
    log.debug("session %s ended", context.id)


_connect = WSHandler.ws_connect
_open = WSHandler._async_open


async def _connect_and_let_go(self: WSHandler, websocket: WebSocket) -> None:
    try:
        await _connect(self, websocket)
    finally:
        if self.connection is not None and self.connection in self.application._clients:
            self.application.client_lost(self.connection)


async def _open_like_tornado(self: WSHandler, socket: WebSocket, token: str) -> None:
    """A tab that comes late finds its session gone: make it anew from a request such as Panel expects.

    Raises PermissionError when the page was opened by another session than the one that connects.
    """
    session_id = get_session_id(token)
    opened_by = get_token_payload(token).get("headers", {}).get(_TICKET, "")
    if opened_by != socket.headers.get(TICKET_HEADER, ""):
        await socket.close(4401, "this page was opened by another session; load it again")
        raise PermissionError("a page's websocket came from another session")
    if session_id not in self.application_context._sessions:
        headers = HTTPHeaders(dict(socket.headers.items()))
        line = RequestStartLine("GET", socket.url.path.removesuffix("/ws") or "/", "HTTP/1.1")
        request = HTTPServerRequest(start_line=line, headers=headers)
        request.route_params = dict(socket.path_params)  # type: ignore[attr-defined]
        request.app_path = request.path  # type: ignore[attr-defined]
        await self.application_context.create_session_if_needed(session_id, request, token)
    await _open(self, socket, token)


WSHandler.ws_connect = _connect_and_let_go
WSHandler._async_open = _open_like_tornado
