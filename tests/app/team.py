"""A real application with accounts over a real workspace, and clients signed in as each of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import WebSocketRoute

from plumbline_app.main import create_app
from plumbline_backend.domain.people import ROLES, Role
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.people.passwords import hash_password
from plumbline_backend.people.service import Caller, PeopleService
from plumbline_backend.workspace import Workspace, open_workspace

OWN = "http://localhost:5006"
BY = Caller("test")
PASSWORD = "correct horse 7"


class Team(NamedTuple):
    """What the tests work with. Every account has the password `PASSWORD`."""

    workspace: Workspace
    people: PeopleService
    app: FastAPI

    def client(self, person: str | None = None) -> TestClient:
        """A browser, signed in as the person when one is named; it sends its origin as browsers do."""
        client = TestClient(self.app, base_url=OWN, headers={"origin": OWN}, follow_redirects=False)
        if person is not None:
            found = self.workspace.store.people.get(person)
            client.cookies.set(self.people.cookies.name, self.people.start_session(found, Caller(person)))
        return client

    def routes(self) -> list[tuple[str, str]]:
        """Every (method, path) of the application, with the parameters filled in for the project "things"."""
        found = []
        for method, path in walk(self.app.routes):
            named = re.sub(r"\{(project|slug)\}", "things", path)
            found.append((method, re.sub(r"\{[^}]+\}", "1", named)))
        return found


def walk(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of every route, those of included routers and of websockets too."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from walk(route.original_router.routes, prefix + route.include_context.prefix)
        elif isinstance(route, WebSocketRoute):
            yield "WEBSOCKET", prefix + route.path
        elif isinstance(route, APIRoute):
            for method in route.methods:
                yield method, prefix + route.path


@contextmanager
def open_team(folder: Path, settings: dict[str, Any] | None = None) -> Iterator[Team]:
    """Two projects, "things" and "secret"; in "things" one person of each role, named by it; "boss" owns all."""
    with (folder / "things.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["key", "text"], *([f"k{i}", f"a short text, number {i}"] for i in range(20))]
        )
    with open_workspace(folder / "workspace", settings=settings, executor=InlineExecutor()) as workspace:
        for name in ("things", "secret"):
            project = workspace.import_items(folder / "things.csv", name)
            for label in ("left", "right"):
                project.add_class(label, by="test")
        people = PeopleService(workspace.store, workspace.folder)
        hashed = hash_password(PASSWORD)
        workspace.store.people.create("boss", hashed, is_owner=True)
        for name in ("stranger", "maker", *ROLES):
            workspace.store.people.create(name, hashed, may_create=name == "maker")
        for role in ROLES:
            _join(people, role)
        yield Team(workspace, people, create_app(workspace, people=people))


def _join(people: PeopleService, role: Role) -> None:
    people.set_role("things", role, role, BY)
