"""Every page, route and websocket of the application, tried by every role, by strangers and by nobody.

The table is written out here once more, by hand: a route that is new, or that needs something else, fails until it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.websockets import WebSocketDisconnect
from team import Team, open_team

from plumbline_app.access import PASS, decide

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*HTTPServerRequest:DeprecationWarning"
)  # of Panel's own request

P, API, V1, GRADING = "/p/things", "/api/projects/things", "/api/v1/projects/things", "/api/v1/grading/things"
NEEDS: dict[str, list[str]] = {
    "public": [
        "GET /assets/theme.css",
        "GET /healthz",
        "GET /readyz",
        "GET /login",
        "POST /login",
        "POST /logout",
        "GET /invite/1",
        "POST /invite/1",
    ],
    "signed in": [
        "GET /",
        "WEBSOCKET /ws",
        "GET /account",
        "WEBSOCKET /account/ws",
        "GET /api/v1/projects",
        "GET /api/v1/tokens",
        "POST /api/v1/tokens",
        "DELETE /api/v1/tokens/1",
    ],
    "see": [f"GET {P}", f"GET {API}/items/1/image"],
    "read": [
        *(f"GET {P}/{page}" for page in ("data", "model", "calibration", "export")),
        *(f"WEBSOCKET {P}/{page}/ws" for page in ("data", "model", "calibration", "export")),
        f"GET {API}/exports/1",
        f"GET {API}/label/items/1/opinion",
        *(f"GET {API}/map/{what}" for what in ("colours", "picture", "points")),
        f"GET {V1}",
        f"GET {V1}/exports",
        f"POST {V1}/exports",
        f"GET {V1}/exports/1",
        *(
            f"GET {V1}/{what}"
            for what in ("items", "items.jsonl", "items/1", "item-by-key", "shift", "jobs", "jobs/1")
        ),
        *(f"GET {V1}/{what}" for what in ("judgements", "judges", "question", "status", "models")),
        *(f"GET {V1}/{what}" for what in ("models/newest", "predictions.jsonl", "heads")),
        f"POST {V1}/predictions",
        *(f"GET {GRADING}/{what}" for what in ("alignment", "criteria", "judges", "judges/1/verdicts")),
    ],
    "label": [
        *(f"GET {P}/{page}" for page in ("label", "grade")),
        *(f"WEBSOCKET {P}/{page}/ws" for page in ("label", "grade")),
        *(f"GET {API}/label/{what}" for what in ("background", "classes/history", "items/1")),
        *(f"POST {API}/label/{what}" for what in ("columns", "open", "sync")),
        *(f"GET {API}/grade/outputs/{what}" for what in ("1", "1/verdicts")),
        *(f"POST {API}/grade/{what}" for what in ("open", "sync")),
        *(f"POST {V1}/{what}" for what in ("judgements", "next", "release", "undo")),
    ],
    "comment": [
        f"GET {API}/items/1/comments",
        f"POST {API}/items/1/comments",
        f"POST {API}/items/1/comments/1/resolve",
    ],
    "edit": [
        *(f"GET {P}/{page}" for page in ("adjudicate", "agreement", "alignment", "health", "judges", "map")),
        *(f"GET {P}/{page}" for page in ("review", "simulate", "validators")),
        *(f"WEBSOCKET {P}/{page}/ws" for page in ("adjudicate", "agreement", "alignment", "health")),
        *(f"WEBSOCKET {P}/{page}/ws" for page in ("judges", "map", "review", "simulate", "validators")),
        *(f"POST {API}/label/{what}" for what in ("classes", "strategy")),
        f"POST {API}/grade/criteria",
        f"POST {V1}/fit",
        f"POST {V1}/head",
        f"POST {V1}/judges",
        f"POST {V1}/judges/1/judgements",
        f"POST {V1}/jobs/1/cancel",
        f"GET {V1}/webhooks",
        f"POST {V1}/webhooks",
        f"DELETE {V1}/webhooks/1",
        f"POST {GRADING}/judges",
        f"POST {GRADING}/judges/1/verdicts",
    ],
    "manage": [
        *(f"GET {P}/{page}" for page in ("people", "audit")),
        *(f"WEBSOCKET {P}/{page}/ws" for page in ("people", "audit")),
        f"DELETE {V1}",
    ],
    "create": [
        "GET /import",
        "WEBSOCKET /import/ws",
        "GET /import/outputs",
        "WEBSOCKET /import/outputs/ws",
        "POST /api/uploads",
        "POST /api/v1/uploads",
        "POST /api/v1/projects",
        "GET /api/v1/jobs/1",
    ],
    "own": [
        *(f"GET /{page}" for page in ("people", "audit", "metrics")),
        "WEBSOCKET /people/ws",
        "WEBSOCKET /audit/ws",
        "POST /api/v1/backups",
        "GET /api/v1/backups/1",
    ],
}
WHO: dict[str, tuple[str, ...]] = {
    "signed in": ("stranger", "maker", "reader", "annotator", "editor", "owner", "boss"),
    "see": ("reader", "annotator", "editor", "owner", "boss"),
    "read": ("reader", "annotator", "editor", "owner", "boss"),
    "label": ("annotator", "editor", "owner", "boss"),
    "comment": ("annotator", "editor", "owner", "boss"),
    "edit": ("editor", "owner", "boss"),
    "manage": ("owner", "boss"),
    "create": ("maker", "boss"),
    "own": ("boss",),
}
"""Who has what; the weakest first."""
OUTSIDE = ("stranger", "maker")
"""Take no part in the project: it does not exist for them."""


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with open_team(tmp_path_factory.mktemp("matrix")) as opened:
        yield opened


def test_every_route_is_in_the_table_once(team: Team) -> None:
    listed = [route for routes in NEEDS.values() for route in routes]
    assert len(listed) == len(set(listed))
    assert set(listed) == {f"{method} {path}" for method, path in team.routes()} - {"GET /components/1"}


def refused(person: str | None, is_blind: bool = False) -> Iterator[tuple[str, str, int]]:
    """(method, path, status) of everything that this person must not reach."""
    for need, routes in NEEDS.items():
        if need == "public" or (person in WHO[need] and not (is_blind and need == "read")):
            continue
        for route in routes:
            method, path = route.split(" ")
            unknown = person in OUTSIDE and "/things" in path
            yield method, path, 401 if person is None else 404 if unknown else 403


def check_refused(team: Team, person: str | None, is_blind: bool = False) -> int:
    client, n = team.client(person), 0
    for method, path, status in refused(person, is_blind):
        n += 1
        if method == "WEBSOCKET":
            address = f"ws://localhost:5006{path}"
            with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect(address):
                pass
            assert closed.value.code == 4000 + status, (person, path)
            continue
        answer = client.request(method, path, json=None if method == "GET" else {})
        expected = 303 if status == 401 and method == "GET" and not path.startswith("/api/") else status
        assert answer.status_code == expected, (person, method, path, answer.text[:200])
        assert "short text" not in answer.text
    return n


@pytest.mark.parametrize("person", [None, "stranger", "maker", "reader", "annotator", "editor", "owner"])
def test_what_is_not_ones_own_is_refused(team: Team, person: str | None) -> None:
    before = len(team.workspace.project("things").history(limit=1000))
    assert check_refused(team, person) > (5 if person == "owner" else 10)
    assert len(team.workspace.project("things").history(limit=1000)) == before


def test_a_blind_annotator_has_less(team: Team) -> None:
    shares = team.workspace.project("things").desk.team
    shares.share(blind=True)
    try:
        assert check_refused(team, "annotator", is_blind=True) > 50
        assert team.client("annotator").get("/p/things/label").status_code == 200
    finally:
        shares.share(blind=False)


def test_the_owner_of_everything_is_refused_nothing() -> None:
    assert list(refused("boss")) == []


@pytest.mark.parametrize("need", WHO)
def test_the_weakest_who_may_gets_in(team: Team, need: str) -> None:
    """Past the gate: what is wrong with an empty request is told by the route itself."""
    client = team.client(WHO[need][0])
    for route in NEEDS[need]:
        method, path = route.split(" ")
        if method == "WEBSOCKET":
            continue
        answer = client.request(method, path, json=None if method == "GET" else {})
        assert answer.status_code not in (401, 403, 409, 500), (route, answer.status_code, answer.text[:300])
        assert "take no part in it" not in answer.text, route


@pytest.mark.parametrize("need", WHO)
def test_whoever_has_more_gets_in_too(team: Team, need: str) -> None:
    for name in WHO[need]:
        access = team.workspace.store.people.access_by_name(name)
        for route in NEEDS[need]:
            assert decide(access, *route.split(" ")) == PASS, (name, route)
