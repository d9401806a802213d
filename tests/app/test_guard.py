"""Who may come in: hosts, origins, and the headers that go out."""

from __future__ import annotations

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from plumbline_app.guard import Guard

OWN = "http://localhost:5006"


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_middleware(Guard)

    @app.get("/page")
    @app.post("/page")
    def page() -> str:
        return "ok"

    @app.websocket("/ws")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    return TestClient(app, base_url=OWN)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a script on this machine
        ({"origin": OWN}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:9999"}, 403),  # another server on this machine
        ({"origin": "null"}, 403),  # a sandboxed frame, a file
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"host": "evil.example", "origin": "http://evil.example"}, 403),  # a name that resolves to 127.0.0.1
        ({"host": "[::1]:5006", "origin": "http://[::1]:5006"}, 200),
    ],
)
def test_a_change_must_come_from_this_server(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    assert client.post("/page", headers=headers).status_code == status


def test_a_page_may_be_opened_from_a_link_elsewhere(client: TestClient) -> None:
    assert client.get("/page", headers={"origin": "http://elsewhere.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://evil.example"}, {"origin": "http://localhost:9999"}]
)
def test_a_foreign_websocket_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("ws://localhost:5006/ws", headers=headers),
    ):
        pass
    assert refused.value.code == 4403


@pytest.mark.parametrize(
    "path",
    [
        "/components/this/x/_esm/a.js",
        "/components/panelx/A/_esm/a.js",
        "/components/os.path",
        "/components/1",
    ],
)
def test_an_address_imports_no_module_but_a_pages_own(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (403, "the address names no component of a page")


def test_an_own_websocket_is_let_in(client: TestClient) -> None:
    with client.websocket_connect("ws://localhost:5006/ws", headers={"origin": OWN}) as socket:
        assert socket.receive_text() == "hello"


def test_answers_allow_nothing_from_other_hosts(client: TestClient) -> None:
    headers = client.get("/page").headers
    assert headers["x-content-type-options"] == "nosniff"
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert not any("http" in sources or "*" in sources for sources in policy.values())


def test_any_host_where_the_server_is_meant_for_others() -> None:
    app = FastAPI()
    app.add_middleware(Guard, hosts=None)
    app.get("/page")(lambda: "ok")
    assert TestClient(app, base_url="http://lab.example:5006").get("/page").status_code == 200
