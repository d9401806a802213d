"""What is done with data goes into the audit log, by whichever way it is done; refused and failed tries do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from team import Team, open_team

from plumbline_app.audited import CALLS, REQUESTS, line_of
from plumbline_app.views import project_view, workspace_view
from plumbline_backend.domain.people import EVERYTHING, AuditEntry
from plumbline_backend.people.errors import ForbiddenError


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with open_team(tmp_path_factory.mktemp("audit")) as opened:
        yield opened


def lines(team: Team, after: int = 0) -> list[AuditEntry]:
    return [line for line in reversed(team.workspace.store.audit.page(limit=1000)) if line.id > after]


def newest(team: Team) -> int:
    return max((line.id for line in lines(team)), default=0)


def test_requests_are_written_down_once_carried_out(team: Team) -> None:
    client, before = team.client("editor"), newest(team)
    base = "/api/v1/projects/things"
    export = client.post(f"{base}/exports", json={"what": "labels"}).json()
    name = team.workspace.jobs.wait(export["id"]).result["file"]  # type: ignore[index]
    assert client.get(f"{base}/exports/{name}").status_code == 200
    assert client.get(f"/api/projects/things/exports/{name}").status_code == 200
    token = client.post("/api/v1/tokens", json={"name": "script"}).json()
    client.delete(f"/api/v1/tokens/{token['id']}")
    body = {"kind": "add", "name": "third"}
    assert client.post("/api/projects/things/label/classes", json=body).status_code == 200
    refused = [
        client.post(f"{base}/exports", json={"what": "everything"}),
        client.get(f"{base}/exports/nothing.csv"),
        client.delete(f"{base}?confirm=things"),
        team.client("reader").post("/api/projects/things/label/classes", json=body),
    ]
    assert [answer.status_code for answer in refused] == [422, 404, 403, 403]
    found = [(line.person, line.action, line.project, line.subject) for line in lines(team, before)]
    assert [line for line in found if line[1] not in ("signed in",)] == [
        ("editor", "export started", "things", ""),
        ("editor", "export downloaded", "things", name),
        ("editor", "export downloaded", "things", name),
        ("editor", "token made", "", ""),
        ("editor", "token ended", "", str(token["id"])),
        ("editor", "question changed", "things", ""),
    ]
    assert {line.address for line in lines(team, before) if line.action == "token made"} == {"testclient"}
    assert token["secret"] not in repr(lines(team))


def test_what_pages_do_is_written_down_too(team: Team) -> None:
    editing = team.workspace.store.people.access_by_name("editor")
    assert editing is not None
    project: Any = project_view(team.workspace.project("things"), editing, team.workspace)
    before = newest(team)
    project.set_settings(strategy="random")
    project.add_class("fourth", by="editor")
    project.heads.choose("linear_softmax")
    step = project.desk.batches.label([3, 4], team.workspace.project("things").person("editor"), "c1")
    project.desk.batches.undo(step)
    with pytest.raises(LookupError):
        project.edit_class("no such class", by="editor", name="x")
    found = [(line.action, line.subject) for line in lines(team, before)]
    assert found == [
        ("settings changed", "strategy"),
        ("question changed", "fourth"),
        ("settings changed", "linear_softmax"),
        ("items answered at once", "c1"),
        ("step taken back", ""),
    ]
    reading = team.workspace.store.people.access_by_name("reader")
    assert reading is not None
    view: Any = project_view(team.workspace.project("things"), reading, team.workspace)
    with pytest.raises(ForbiddenError):
        view.desk.team.adjudicate(1, "c1", "reader", "u")
    assert len(lines(team, before)) == 5


def test_without_a_login_there_is_no_log(team: Team) -> None:
    before = newest(team)
    project: Any = project_view(team.workspace.project("things"), EVERYTHING, team.workspace)
    project.set_settings(strategy="random")
    assert workspace_view(team.workspace, EVERYTHING) is team.workspace
    assert newest(team) == before


def test_every_call_in_the_list_exists(team: Team) -> None:
    from plumbline_backend.grading import GradingProject
    from plumbline_backend.workspace import Workspace

    project = team.workspace.project("things")
    for path in CALLS:
        *parts, name = path.split(".")
        found: Any = project
        for part in parts:
            found = getattr(found, part)
        places = (found,) if parts else (found, GradingProject, Workspace)
        assert any(hasattr(place, name) for place in places), path


def test_every_request_in_the_list_is_a_route(team: Team) -> None:
    seen = {line.action for method, path in team.routes() if (line := line_of(method, path)) is not None}
    assert seen == {rule.action for rule in REQUESTS}
    for rule in REQUESTS:
        assert any(
            method == rule.method and rule.pattern.fullmatch(path) for method, path in team.routes()
        ), rule
    assert line_of("GET", "/api/v1/projects") is None
    assert line_of("POST", "/api/projects/things/label/sync") is None
