"""One server: pages, label routes and the backend's API, on one port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from plumbline_app.access import ApiAccess, Gate, access_of
from plumbline_app.grade_api import grade_routes
from plumbline_app.guard import LOOPBACK, Guard
from plumbline_app.label_api import label_routes
from plumbline_app.login import login_routes
from plumbline_app.map_api import map_routes
from plumbline_app.mount import mount_pages
from plumbline_app.oidc_routes import oidc_of, oidc_routes
from plumbline_app.pages.grading_page import GradingPage
from plumbline_app.pages.missing import MissingPage
from plumbline_app.pages.page import Page
from plumbline_app.session import Session, is_dark, person_of, person_of_request
from plumbline_app.team_api import team_routes
from plumbline_app.theme import css_variables
from plumbline_app.views import project_view, workspace_view
from plumbline_backend.api.access import TokenAccess
from plumbline_backend.api.errors import install_error_answers
from plumbline_backend.api.metrics import Measure, RequestFigures, metrics_route
from plumbline_backend.api.routes import create_router
from plumbline_backend.api.v1 import create_api
from plumbline_backend.criteria.settings import GRADE_PURPOSE
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.people import EVERYTHING
from plumbline_backend.graceful import close_on_sigterm
from plumbline_backend.judges.sandbox import probe_at_start
from plumbline_backend.logs import configure_logs
from plumbline_backend.people.service import OWNER, PeopleService

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace

PAGES = {
    "/": "plumbline_app.pages.home:HomePage",
    "/import": "plumbline_app.pages.data:ImportPage",
    "/import/outputs": "plumbline_app.pages.outputs:OutputsImportPage",
    "/p/{project}/data": "plumbline_app.pages.data:DataPage",
    "/p/{project}/label": "plumbline_app.pages.label:LabelPage",
    "/p/{project}/review": "plumbline_app.pages.review:ReviewPage",
    "/p/{project}/map": "plumbline_app.pages.map:MapPage",
    "/p/{project}/health": "plumbline_app.pages.health:HealthPage",
    "/p/{project}/model": "plumbline_app.pages.model:ModelPage",
    "/p/{project}/agreement": "plumbline_app.pages.agreement:AgreementPage",
    "/p/{project}/calibration": "plumbline_app.pages.calibration:CalibrationPage",
    "/p/{project}/simulate": "plumbline_app.pages.simulate:SimulatePage",
    "/p/{project}/export": "plumbline_app.pages.export:ExportPage",
    "/p/{project}/adjudicate": "plumbline_app.pages.adjudicate:AdjudicatePage",
    "/p/{project}/people": "plumbline_app.pages.people:ProjectPeoplePage",
    "/p/{project}/audit": "plumbline_app.pages.audit:AuditPage",
    "/people": "plumbline_app.pages.people:PeoplePage",
    "/audit": "plumbline_app.pages.audit:AuditPage",
    "/account": "plumbline_app.pages.settings:AccountPage",
    "/p/{project}/grade": "plumbline_app.pages.grade:GradePage",
    "/p/{project}/judges": "plumbline_app.pages.judges:JudgesPage",
    "/p/{project}/alignment": "plumbline_app.pages.alignment:AlignmentPage",
    "/p/{project}/validators": "plumbline_app.pages.validators:ValidatorsPage",
}
"""Each page by its path, as "module:Class", loaded when it is first opened."""

HERE = Path(__file__).parent


def serve(workspace: Workspace, host: str = "127.0.0.1", port: int = 5006) -> None:
    """Serve the workspace until interrupted. On a loopback address only loopback names are answered, and nobody has to
    sign in; on any other address everybody has to."""
    configure_logs(workspace.settings["log_format"])
    close_on_sigterm()
    app = create_app(workspace, hosts=_hosts(workspace, host), people=people_of(workspace, host))
    probe_at_start()
    # Bokeh compresses nothing itself and talks to the same machine most of the time: compression only adds delay.
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run()


def people_of(workspace: Workspace, host: str) -> PeopleService | None:
    """The accounts of the workspace where a login is needed; None in single-user mode, on a loopback address.

    Prints the generated password of the first owner, once.
    """
    if host in LOOPBACK and not workspace.settings["require_login"]:
        return None
    people = PeopleService(workspace.store, workspace.folder)
    password = people.ensure_owner()
    if password is not None:
        print(f"First start with a login. Sign in as {OWNER!r} with the password {password}", flush=True)
        print("It is shown this once; change it under your name, top right.", flush=True)
    return people


def _hosts(workspace: Workspace, host: str) -> frozenset[str] | None:
    """Names under which the server answers: the public one and loopback; any where only the address is known."""
    public = urlsplit(workspace.settings["public_url"]).hostname
    if host not in LOOPBACK and public is None:
        return None
    return frozenset(LOOPBACK) | ({public} if public else frozenset())


def create_app(
    workspace: Workspace, hosts: Iterable[str] | None = LOOPBACK, people: PeopleService | None = None
) -> FastAPI:
    """The application over an open workspace, which stays the caller's to close.

    hosts: names under which the server may be addressed; None allows any. people: whom the login knows; None is
    single-user mode. `app.state.pages` knows the open sessions.
    """
    app = FastAPI(title="Plumbline", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.add_middleware(Gate, people=people)
    app.add_middleware(Guard, hosts=hosts)
    figures = RequestFigures()
    app.add_middleware(Measure, figures=figures)

    install_error_answers(app)

    @app.get("/assets/theme.css", include_in_schema=False)
    def theme_css() -> PlainTextResponse:
        """The colours, type and spacing of both themes."""
        return PlainTextResponse(_theme_css(), media_type="text/css")

    @app.get("/p/{project}", include_in_schema=False)
    def project_page(request: Request, project: str) -> RedirectResponse:
        """A project's address alone leads to its Label page, or to its Grade page where it holds outputs."""
        slug, labels = quote(project, safe=""), access_of(request).can(project, "label")
        try:
            workspace.grading(project)
        except NotFoundError:
            return RedirectResponse(f"/p/{slug}/{'label' if labels else 'data'}")
        return RedirectResponse(f"/p/{slug}/{'grade' if labels else 'judges'}")

    app.mount("/assets", StaticFiles(directory=HERE / "static"), name="assets")
    app.include_router(create_router(workspace))
    app.include_router(metrics_route(workspace, figures))
    app.include_router(create_api(workspace, _api_access(workspace, people)))
    app.include_router(label_routes(workspace))
    app.include_router(team_routes(workspace))
    app.include_router(map_routes(workspace))
    app.include_router(grade_routes(workspace))
    if people is not None:
        _include_login(app, workspace, people)
    builders = {path: partial(_build, workspace, people, target) for path, target in PAGES.items()}
    key = None if people is None else people.page_key
    app.state.pages = mount_pages(app, builders, instance=workspace.started, key=key)
    return app


def _include_login(app: FastAPI, workspace: Workspace, people: PeopleService) -> None:
    public_url, oidc = workspace.settings["public_url"], oidc_of(workspace.settings, people)
    app.include_router(login_routes(people, public_url, workspace.settings["oidc_name"] if oidc else ""))
    if oidc is not None:
        app.include_router(oidc_routes(people, oidc, public_url))


def _api_access(workspace: Workspace, people: PeopleService | None) -> ApiAccess | TokenAccess:
    if people is not None:
        return ApiAccess()
    tokens = workspace.store.tokens
    return TokenAccess(tokens, lambda request: person_of_request(request.headers, request.cookies))


def _build(
    workspace: Workspace,
    people: PeopleService | None,
    target: str,
    route: Mapping[str, Any],
    cookies: Mapping[str, str],
    ticket: str,
) -> Page:
    """The page for a tab; a page that says so, when there is no such project."""
    access = EVERYTHING if people is None else people.access_by_ticket(ticket)
    slug = route.get("project")
    if access is None or (slug is not None and not access.sees(slug)):
        raise PermissionError("a page was asked for past the gate")
    person = person_of(cookies) if access.person is None else access.person.name
    blank = Session(workspace_view(workspace, access), None, person, is_dark(cookies), None, access, people)
    module, _, name = target.partition(":")
    page_class: type[Page] = getattr(import_module(module), name)
    try:
        if slug is None:
            return page_class(blank)
        if issubclass(page_class, GradingPage) or (page_class.any_kind and _grades(workspace, slug)):
            return page_class(
                replace(blank, grading=project_view(workspace.grading(slug), access, workspace))
            )
        project = workspace.project(slug)
        kind, section = project.kind, page_class.section
        if kind.sections is not None and section and section not in kind.sections:
            reason = f"Questions of the kind {kind.title!r} have no page {page_class.heading!r}."
            return MissingPage(blank, reason, "There is no such page here")
        return page_class(replace(blank, project=project_view(project, access, workspace)))
    except NotFoundError as error:
        return MissingPage(blank, str(error))


def _grades(workspace: Workspace, slug: str) -> bool:
    return workspace.store.projects.get(slug).settings.get("purpose") == GRADE_PURPOSE


def _theme_css() -> str:
    from plumbline_app.fonts import font_faces

    light, dark = css_variables(dark=False), css_variables(dark=True)
    return f"{font_faces()}\n:root {{\n{light}\n}}\n:root[data-theme=dark] {{\n{dark}\n}}\n"
