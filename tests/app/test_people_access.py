"""Who may open what: the rules, tickets, websockets, views. Every route is walked in `test_people_matrix.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect
from team import BY, OWN, Team, open_team

from plumbline_app.access import PAGE_NEEDS, PASS, decide
from plumbline_app.main import create_app, people_of
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.people import CAN, EVERYTHING, ROLES, Access, Membership, Person
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.people.errors import ForbiddenError
from plumbline_backend.people.service import Caller
from plumbline_backend.workspace import open_workspace

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*HTTPServerRequest:DeprecationWarning"
)  # of Panel's own request
LOOKS = ("/predictions", "/exports")
"""What is posted and only looks: whoever reads may take home what is read."""
CHANGES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with open_team(tmp_path_factory.mktemp("team")) as opened:
        yield opened


def person(name: str = "ada", is_owner: bool = False, may_create: bool = False) -> Person:
    return Person(1, name, is_owner, may_create, True, None)  # type: ignore[arg-type]


def access(role: str, blind: bool = False) -> Access:
    return Access(person(), {"things": Membership(role, blind)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("role", "blind", "method", "path", "status"),
    [
        ("reader", False, "GET", "/p/things/data", 200),
        ("reader", False, "GET", "/p/things/label", 403),
        ("reader", False, "WEBSOCKET", "/p/things/label/ws", 403),
        ("reader", False, "GET", "/p/things/review", 403),
        ("reader", False, "POST", "/api/projects/things/label/sync", 403),
        ("reader", False, "GET", "/api/projects/things/items/3/image", 200),
        ("reader", False, "GET", "/api/projects/things/exports/labels.csv", 200),
        ("annotator", False, "GET", "/p/things/label", 200),
        ("annotator", False, "POST", "/api/projects/things/label/sync", 200),
        ("annotator", False, "GET", "/api/projects/things/label/items/3/opinion", 200),
        ("annotator", False, "POST", "/api/projects/things/label/classes", 403),
        ("annotator", False, "POST", "/api/projects/things/label/strategy", 403),
        ("annotator", False, "GET", "/p/things/review", 403),
        ("annotator", False, "GET", "/p/things/data", 200),
        ("annotator", True, "GET", "/p/things/data", 403),
        ("annotator", True, "GET", "/p/things/model", 403),
        ("annotator", True, "GET", "/p/things/label", 200),
        ("annotator", True, "GET", "/api/projects/things/label/items/3/opinion", 403),
        ("annotator", True, "GET", "/api/projects/things/exports/labels.csv", 403),
        ("annotator", True, "POST", "/api/projects/things/items/3/comments", 200),
        ("editor", True, "GET", "/p/things/data", 200),
        ("editor", False, "GET", "/p/things/review", 200),
        ("editor", False, "GET", "/p/things/people", 403),
        ("editor", False, "GET", "/p/things/audit", 403),
        ("editor", False, "DELETE", "/api/projects/things", 403),
        ("owner", False, "GET", "/p/things/people", 200),
        ("owner", False, "GET", "/p/secret/data", 404),
        ("owner", False, "GET", "/people", 403),
        ("owner", False, "GET", "/import", 403),
        ("owner", False, "POST", "/api/uploads", 403),
        ("owner", False, "GET", "/metrics", 403),
        ("owner", False, "GET", "/what/is/this", 403),
        ("owner", False, "GET", "/p//data", 403),
        ("owner", False, "GET", "/p/things%2f..%2fsecret/data", 404),
    ],
)
def test_the_rules(role: str, blind: bool, method: str, path: str, status: int) -> None:
    assert decide(access(role, blind), method, path).status == status


def test_a_project_called_login_is_not_public() -> None:
    assert decide(None, "GET", "/p/login/data").status == 401
    assert decide(None, "GET", "/p/assets/x").status == 401


def test_everything_is_allowed_without_a_login_and_nothing_to_nobody() -> None:
    for path in ("/", "/import", "/people", "/p/things/people", "/api/v1/projects", "/unheard/of"):
        assert decide(EVERYTHING, "POST", path) == PASS
        assert decide(None, "POST", path).status == 401


def test_each_role_can_more_than_the_next() -> None:
    weaker = [CAN[role] for role in reversed(ROLES)]
    assert all(less < more for less, more in pairwise(weaker))


def test_every_page_of_a_project_has_its_need_or_is_for_editors() -> None:
    from plumbline_app.main import PAGES

    sections = {path.split("/")[3] for path in PAGES if path.startswith("/p/")}
    assert {"data", "label", "model", "export"} <= sections
    assert set(PAGE_NEEDS.values()) <= {"label", "read", "edit", "manage"}


def test_a_reader_changes_nothing(team: Team) -> None:
    before = ledger_and_settings(team)
    client = team.client("reader")
    for method, path in team.routes():
        if "/things" in path and method in CHANGES and not path.endswith(LOOKS):
            answer = client.request(method, path, json={})
            assert answer.status_code == 403, (method, path, answer.text)
    assert ledger_and_settings(team) == before


def test_an_annotator_changes_answers_and_nothing_else(team: Team) -> None:
    client = team.client("annotator")
    refused = [
        ("POST", "/api/projects/things/label/classes"),
        ("POST", "/api/projects/things/label/strategy"),
        ("POST", "/api/v1/projects/things/fit"),
        ("POST", "/api/v1/projects/things/webhooks"),
        ("DELETE", "/api/v1/projects/things?confirm=things"),
    ]
    for method, path in refused:
        assert client.request(method, path, json={}).status_code == 403, path
    body = {"holder": "tab", "operations": [], "want": 1}
    assert client.post("/api/projects/things/label/sync", json=body).status_code == 200


def ledger_and_settings(team: Team) -> Any:
    project = team.workspace.project("things")
    return project.history(limit=1000), dict(project.settings()), project.question()


def test_the_list_of_projects_is_ones_own(team: Team) -> None:
    for name, expected in (("boss", {"things", "secret"}), ("reader", {"things"}), ("stranger", set())):
        listed = team.client(name).get("/api/v1/projects").json()["projects"]
        assert {each["slug"] for each in listed} == expected


def test_answers_are_kept_under_the_account_whatever_the_request_claims(team: Team) -> None:
    client = team.client("editor")
    body: dict[str, Any] = {
        "holder": "t",
        "want": 0,
        "operations": [{"kind": "record", "uuid": "claimed", "item": 1, "class_id": "c1"}],
    }
    client.cookies.set("plumbline_person", "boss")
    assert client.post("/api/projects/things/label/sync", json=body).json()["acks"][0]["ok"]
    (row,) = team.workspace.project("things").history(item=1)
    assert team.workspace.store.judges.get(row.judge_id).name == "editor"


def test_a_tab_of_another_person_must_be_loaded_again(team: Team) -> None:
    client = team.client("editor")
    body = {"holder": "t", "operations": [], "want": 0}
    answer = client.post(
        "/api/projects/things/label/sync", json=body, headers={"x-plumbline-person": "annotator"}
    )
    assert answer.status_code == 409
    assert "load it again" in answer.json()["error"]


def test_a_ticket_that_the_client_sends_counts_for_nothing(team: Team) -> None:
    boss = team.client("boss")
    ticket = team.people.access(boss.cookies[team.people.cookies.name]).ticket  # type: ignore[union-attr]
    stranger = team.client("stranger")
    answer = stranger.get("/p/things/data", headers={"x-plumbline-ticket": ticket})
    assert answer.status_code == 404
    home = stranger.get("/", headers={"x-plumbline-ticket": ticket})
    assert "boss" not in home.text


def test_a_page_is_built_for_its_person_and_keeps_the_cookie_to_itself(team: Team) -> None:
    client = team.client("reader")
    page = client.get("/p/things/data")
    assert page.status_code == 200
    assert "reader" in page.text
    cookie = client.cookies[team.people.cookies.name]
    assert cookie not in page.text
    token = re.search(r'"token":"([\w.-]+)"', page.text)
    assert token is not None
    from bokeh.util.token import get_token_payload

    payload = get_token_payload(token.group(1))
    assert payload["cookies"] == {}
    assert list(payload["headers"]) == ["X-Plumbline-Ticket"]


def websocket(client: TestClient, path: str, token: str) -> Any:
    return client.websocket_connect(f"ws://localhost:5006{path}", subprotocols=["bokeh", token])


def drain(socket: Any) -> int:
    """Read until the server closes; the code that it gives."""
    while (message := socket.receive())["type"] != "websocket.close":
        pass
    return int(message["code"])


def page_token(client: TestClient, path: str) -> str:
    found = re.search(r'"token":"([\w.-]+)"', client.get(path).text)
    assert found is not None
    return found.group(1)


def test_a_websocket_needs_the_session_that_opened_its_page(team: Team) -> None:
    owner, reader = team.client("owner"), team.client("reader")
    token = page_token(owner, "/p/things/data")
    with websocket(owner, "/p/things/data/ws", token) as own:
        assert "ACK" in own.receive_text()
    with (
        websocket(reader, "/p/things/data/ws", token) as foreign,
        pytest.raises(WebSocketDisconnect) as closed,
    ):
        foreign.receive_text()
    assert closed.value.code == 4401


@pytest.mark.parametrize(("who", "path"), [(None, "/p/things/data"), ("stranger", "/p/things/data")])
def test_a_websocket_passes_the_same_gate(team: Team, who: str | None, path: str) -> None:
    token = page_token(team.client("owner"), path)
    with pytest.raises(WebSocketDisconnect) as closed, websocket(team.client(who), f"{path}/ws", token):
        pass
    assert closed.value.code in (4401, 4404)


def test_a_token_that_was_made_up_opens_no_document(team: Team) -> None:
    from bokeh.util.token import generate_jwt_token, generate_session_id

    boss = team.people.access(team.client("boss").cookies[team.people.cookies.name])
    headers = {"X-Plumbline-Ticket": boss.ticket}  # type: ignore[union-attr]
    session_id = generate_session_id(signed=False)
    forged = generate_jwt_token(
        session_id, signed=False, extra_payload={"headers": headers, "cookies": {}}, expiration=300
    )
    reader = team.client("reader")
    with (
        pytest.raises(Exception, match=r"nvalid|signature"),
        websocket(reader, "/p/things/data/ws", forged) as ws,
    ):
        ws.receive_text()


def test_every_websocket_route_is_behind_the_gate(team: Team) -> None:
    paths = [route.path for route in team.app.routes if isinstance(route, WebSocketRoute)]
    for path in paths:
        filled = path.replace("{project}", "things")
        assert decide(None, "WEBSOCKET", filled).status == 401, path


def test_an_open_page_is_closed_when_its_person_is_taken_out(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbline_app.access.RECHECK_S", 0.05)
    team.people.set_role("secret", "editor", "editor", BY)
    editor = team.client("editor")
    token = page_token(editor, "/p/secret/data")
    with websocket(editor, "/p/secret/data/ws", token) as socket:
        assert "ACK" in socket.receive_text()
        team.people.remove_member("secret", "editor", BY)
        assert drain(socket) == 4401
    assert editor.get("/p/secret/data").status_code == 404


def test_a_view_refuses_what_the_role_has_not(team: Team) -> None:
    from plumbline_app.views import project_view, workspace_view

    reading = team.workspace.store.people.access_by_name("reader")
    assert reading is not None
    view = project_view(team.workspace.project("things"), reading, team.workspace)
    assert view.status().n_items == 20
    assert view.desk.team.overlap == 1
    assert view.loop.answers.n_by_state() is not None
    for call in (
        lambda: view.fit(),
        lambda: view.set_settings(strategy="random"),
        lambda: view.add_class("third", by="reader"),
        lambda: view.record(item=1, judge=None, client_uuid="x"),
        lambda: view.desk.batches,
        lambda: view.desk.team.share(overlap=3),
        lambda: view.desk.health.start,
        lambda: view.loop.record,
        lambda: view.loop.fit_if_due(),
        lambda: view.heads.choose,
        lambda: view.a_name_that_nobody_listed,
    ):
        with pytest.raises(ForbiddenError, match="your role in this project is reader"):
            call()
    for call in (view.desk.health.features.shift,):
        with pytest.raises(NotFoundError, match="'secret' does not exist, or you take no part in it"):
            call("secret")
    workspace = workspace_view(team.workspace, reading)
    assert [row.slug for row in workspace.projects()] == ["things"]
    with pytest.raises(ForbiddenError, match="no right to make projects"):
        workspace.start_demo("digits")
    with pytest.raises(ForbiddenError):
        _ = workspace.store
    with pytest.raises(LookupError):
        workspace.project("secret")


def test_what_a_view_lets_through_is_there(team: Team, tmp_path: Path) -> None:
    from plumbline_app.views import PARTS, READS

    with open_workspace(tmp_path / "grading", executor=InlineExecutor()) as workspace:
        grading = workspace.create_grading_demo()
        for path, names in PARTS.items():
            first = path.partition(".")[0]
            part = grading if hasattr(grading, first) else team.workspace.project("things")
            for step in path.split("."):
                part = getattr(part, step)
            assert not [name for name in names if not hasattr(part, name)], path
    assert "fit" not in READS


def test_a_page_says_what_was_refused() -> None:
    from plumbline_app.components.layout import place
    from plumbline_app.mount import _refused

    said = place()
    _refused(said, ForbiddenError("your role in this project is reader"))
    assert said.visible
    assert "your role in this project is reader" in said[0].object


def test_who_makes_a_project_owns_it(team: Team) -> None:
    from plumbline_app.views import workspace_view

    making = team.workspace.store.people.access_by_name("maker")
    assert making is not None
    view = workspace_view(team.workspace, making)
    _, file = view.new_upload("own.csv")
    file.write_text("key,text\na,one short text here\nb,another short text\n")
    job = view.start_import(file, "own", view.inspect(file).columns)
    team.workspace.jobs.wait(job.id)
    assert team.client("maker").get("/p/own/people").status_code in (200, 404)
    assert [(m.person.name, m.role) for m in team.people.members("own")] == [("maker", "owner")]
    assert team.client("boss").get("/p/own/data").status_code == 200
    assert team.client("owner").get("/p/own/data").status_code == 404
    team.workspace.delete_project("own")


def test_a_token_speaks_for_its_person_and_ends_with_the_account(team: Team) -> None:
    secret = team.workspace.store.tokens.create("reader", "script").secret
    client = TestClient(team.app, base_url=OWN, headers={"authorization": f"Bearer {secret}"})
    assert client.get("/api/v1/projects/things").status_code == 200
    assert client.get("/api/v1/projects/secret").status_code == 404
    assert client.post("/api/v1/projects/things/fit").status_code == 403
    team.people.close_account("reader", BY)
    assert client.get("/api/v1/projects/things").status_code == 401
    team.people.open_account("reader", BY)
    assert client.get("/api/v1/projects/things").status_code == 401  # the token itself was ended too


def test_single_user_mode_is_as_it_was(team: Team) -> None:
    assert people_of(team.workspace, "127.0.0.1") is None
    app = create_app(team.workspace)
    client = TestClient(app, base_url=OWN)
    assert client.get("/").status_code == 200
    assert client.get("/login").status_code == 404
    body = {"holder": "t", "operations": [], "want": 0}
    assert client.post("/api/projects/things/label/sync", json=body).status_code == 200
    stolen = client.get("/p/things/data", headers={"x-plumbline-ticket": "x"})
    assert stolen.status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "labels.example"])
def test_any_other_address_needs_a_login(
    tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from plumbline_backend.workspace import open_workspace

    with open_workspace(tmp_path / "workspace") as workspace:
        people = people_of(workspace, host)
        assert people is not None
        shown = capsys.readouterr().out
        password = re.search(r"the password ([a-z2-9-]{23})", shown)
        assert password is not None
        assert people.sign_in("owner", password.group(1), Caller("owner"))
        people_of(workspace, host)
        assert capsys.readouterr().out == ""  # shown once
