"""One server: pages, label routes and the backend's API, on one port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from plumbline_app.grade_api import grade_routes
from plumbline_app.guard import LOOPBACK, Guard
from plumbline_app.label_api import label_routes
from plumbline_app.map_api import map_routes
from plumbline_app.mount import mount_pages
from plumbline_app.pages.grading_page import GradingPage
from plumbline_app.pages.missing import MissingPage
from plumbline_app.pages.page import Page
from plumbline_app.session import Session, is_dark, person_of, person_of_request
from plumbline_app.theme import css_variables
from plumbline_backend.api.access import TokenAccess
from plumbline_backend.api.errors import install_error_answers
from plumbline_backend.api.routes import create_router
from plumbline_backend.api.v1 import create_api
from plumbline_backend.domain.errors import NotFoundError

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace

PAGES = {
    "/": "plumbline_app.pages.home:HomePage",
    "/import": "plumbline_app.pages.data:ImportPage",
    "/p/{project}/data": "plumbline_app.pages.data:DataPage",
    "/p/{project}/label": "plumbline_app.pages.label:LabelPage",
    "/p/{project}/review": "plumbline_app.pages.review:ReviewPage",
    "/p/{project}/map": "plumbline_app.pages.map:MapPage",
    "/p/{project}/model": "plumbline_app.pages.model:ModelPage",
    "/p/{project}/export": "plumbline_app.pages.export:ExportPage",
    "/p/{project}/grade": "plumbline_app.pages.grade:GradePage",
    "/p/{project}/judges": "plumbline_app.pages.judges:JudgesPage",
    "/p/{project}/alignment": "plumbline_app.pages.alignment:AlignmentPage",
}
"""Each page by its path, as "module:Class", loaded when it is first opened."""

HERE = Path(__file__).parent


def serve(workspace: Workspace, host: str = "127.0.0.1", port: int = 5006) -> None:
    """Serve the workspace until interrupted. On a loopback address only loopback names are answered."""
    hosts = LOOPBACK if host in LOOPBACK else None
    app = create_app(workspace, hosts=hosts)
    # Bokeh compresses nothing itself and talks to the same machine most of the time: compression only adds delay.
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run()


def create_app(workspace: Workspace, hosts: Iterable[str] | None = LOOPBACK) -> FastAPI:
    """The application over an open workspace, which stays the caller's to close.

    hosts: names under which the server may be addressed; None allows any. `app.state.pages` knows the open sessions.
    """
    app = FastAPI(title="Plumbline", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.add_middleware(Guard, hosts=hosts)

    install_error_answers(app)

    @app.get("/assets/theme.css", include_in_schema=False)
    def theme_css() -> PlainTextResponse:
        """The colours, type and spacing of both themes."""
        return PlainTextResponse(_theme_css(), media_type="text/css")

    @app.get("/p/{project}", include_in_schema=False)
    def project_page(project: str) -> RedirectResponse:
        """A project's address alone leads to its Label page, or to its Grade page where it holds outputs."""
        try:
            workspace.grading(project)
        except NotFoundError:
            return RedirectResponse(f"/p/{project}/label")
        return RedirectResponse(f"/p/{project}/grade")

    app.mount("/assets", StaticFiles(directory=HERE / "static"), name="assets")
    access = TokenAccess(
        workspace.store.tokens, lambda request: person_of_request(request.headers, request.cookies)
    )
    app.include_router(create_router(workspace))
    app.include_router(create_api(workspace, access))
    app.include_router(label_routes(workspace))
    app.include_router(map_routes(workspace))
    app.include_router(grade_routes(workspace))
    builders = {path: partial(_build, workspace, target) for path, target in PAGES.items()}
    app.state.pages = mount_pages(app, builders, instance=workspace.started)
    return app


def _build(workspace: Workspace, target: str, route: Mapping[str, Any], cookies: Mapping[str, str]) -> Page:
    """The page for a tab; a page that says so, when there is no such project."""
    person, dark = person_of(cookies), is_dark(cookies)
    slug = route.get("project")
    module, _, name = target.partition(":")
    page_class: type[Page] = getattr(import_module(module), name)
    try:
        if slug is not None and issubclass(page_class, GradingPage):
            return page_class(Session(workspace, None, person, dark, grading=workspace.grading(slug)))
        project = None if slug is None else workspace.project(slug)
    except NotFoundError as error:
        return MissingPage(Session(workspace, None, person, dark), str(error))
    return page_class(Session(workspace, project, person, dark))


def _theme_css() -> str:
    from plumbline_app.fonts import font_faces

    light, dark = css_variables(dark=False), css_variables(dark=True)
    return f"{font_faces()}\n:root {{\n{light}\n}}\n:root[data-theme=dark] {{\n{dark}\n}}\n"
