"""Webhooks: to allowed hosts only, to the address that was checked, until the host has taken it."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient

from plumbline_backend.domain.errors import InputError
from plumbline_backend.webhooks import SIGNATURE, Webhooks, checked_url, resolve
from plumbline_backend.workspace import Workspace

HOOKS = "/api/v1/projects/things/webhooks"


class Host(HTTPServer):
    """A host that is told. `status` is what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.taken: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/told"


class _Handler(BaseHTTPRequestHandler):
    server: Host

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def teller(workspace: Workspace) -> Iterator[Webhooks]:
    """Delivers when the test says so; the workspace's own thread sleeps meanwhile."""
    workspace.webhooks.close()
    made = Webhooks(workspace.store, "", "HOOK_KEY")
    made._allowed = "127.0.0.1"
    yield made
    made.close()


def label(workspace: Workspace, item: int) -> None:
    project = workspace.project("things")
    project.record(item=item, judge=project.person("Ada"), client_uuid=f"u{item}", answer="c1")


def add(http: TestClient, url: str, *events: str) -> Any:
    return http.post(HOOKS, json={"url": url, **({"events": events} if events else {})})


def test_what_happened_is_told_once_the_host_has_taken_it(
    http: TestClient, workspace: Workspace, host: Host, teller: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_KEY", "a key")
    label(workspace, 1)
    assert add(http, host.url).status_code == 201
    assert teller.deliver_due() == 0, "what was there before is no news"
    label(workspace, 2)
    host.status = 500
    assert teller.deliver_due() == 0
    (shown,) = http.get(HOOKS).json()
    assert (shown["failures"], shown["last_error"]) == (1, "the host answered 500")
    assert teller.deliver_due() == 0, "after a failure it waits"
    host.status = 204
    teller._not_before.clear()
    assert teller.deliver_due() == 1
    assert teller.deliver_due() == 0, "told once"
    assert len(host.taken) == 2
    _, headers, body = host.taken[-1]
    newest = workspace.project("things").history()[0].id
    assert json.loads(body)["news"] == {"judgements": {"after": newest - 1, "newest": newest}}
    assert headers[SIGNATURE] == "sha256=" + hmac.new(b"a key", body, hashlib.sha256).hexdigest()
    assert http.get(HOOKS).json()[0]["failures"] == 0
    assert http.delete(f"{HOOKS}/{shown['id']}").status_code == 204
    label(workspace, 3)
    assert teller.deliver_due() == 0


def test_a_redirect_is_not_followed(
    http: TestClient, workspace: Workspace, host: Host, teller: Webhooks
) -> None:
    host.status = 302
    add(http, host.url, "judgements")
    label(workspace, 2)
    assert teller.deliver_due() == 0
    assert [path for path, _, _ in host.taken] == ["/told"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/x", "webhook_hosts allows: 127.0.0.1, hooks.example"),
        ("http://169.254.169.254/latest", "not allowed"),
        ("http://127.0.0.1@example.com/", "credentials"),
        ("ftp://hooks.example/", "expected an http"),
        ("file:///etc/passwd", "expected an http"),
        ("http://hooks.example:99999/", "expected an http"),
        ("http://hooks.example.evil.com/", "not allowed"),
        ("http://[::1]/", "not allowed"),
        ("http://hooks.example/a b", "blanks"),
        ("http://hooks.example/\r\nX: y", "expected an http"),
        ("http://ｈooks.example/", "expected an http"),
    ],
)
def test_other_addresses_are_refused(http: TestClient, url: str, words: str) -> None:
    said = add(http, url)
    assert said.status_code == 422
    assert words in said.json()["error"]


def test_an_allowed_name_that_points_inwards_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = [(2, 1, 6, "", ("10.0.0.7", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: inside)
    checked_url("http://hooks.example/", "hooks.example")
    with pytest.raises(InputError, match=r"10\.0\.0\.7 is not a public address"):
        resolve("http://hooks.example/", "hooks.example")
    outside = [(2, 1, 6, "", ("8.8.8.8", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: outside)
    assert resolve("http://hooks.example/", "hooks.example").address == "8.8.8.8"
    assert resolve("http://10.0.0.7:8080/", "10.0.0.7:8080").host == "10.0.0.7", "meant literally"


@pytest.mark.parametrize(
    "address", ["::ffff:10.0.0.7", "64:ff9b::a00:7", "2002:a00:7::", "100.64.0.1", "fe80::1"]
)
def test_an_inner_address_in_another_spelling_is_refused_by_the_one_guard(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the LLM endpoint and single sign-on have it: an IPv4 address inside an IPv6 one is looked at too."""
    found = [(10, 1, 6, "", (address, 80, 0, 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(InputError, match=r"public address|no service has"):
        resolve("http://hooks.example/", "hooks.example")


def test_where_clouds_keep_their_keys_is_not_told_even_when_it_is_allowed() -> None:
    with pytest.raises(InputError, match="an address that no service has"):
        resolve("http://169.254.169.254/", "169.254.169.254")
