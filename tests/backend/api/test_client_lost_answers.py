"""The server does what it was asked, and the connection ends before its answer arrives: the client sends again, and
nothing is there twice. The control takes the keys off on the way: then a second project is imported."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from api_app import things_file

from plumbline_backend.client import ApiError, Client
from plumbline_backend.domain.errors import ConflictError, InputError, JobFailedError
from plumbline_backend.store import DatabaseError, Store
from plumbline_backend.workspace import Workspace


class Line(ThreadingHTTPServer):
    """A line to the server that loses the answer to the first request whose path ends with `loses`."""

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.behind = urlsplit(server).netloc
        self.loses = ""
        self.drops_keys = False
        self.passed: list[tuple[str, str, int]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def times(self, path_end: str) -> int:
        """How often the server was asked."""
        return sum(path.endswith(path_end) for _, path, _ in self.passed)


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Line

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        if self.server.drops_keys:
            headers.pop("Idempotency-Key", None)
        upstream = http.client.HTTPConnection(self.server.behind, timeout=60)
        upstream.request(self.command, self.path, body, headers)
        response = upstream.getresponse()
        content = response.read()
        upstream.close()
        self.server.passed.append((self.command, self.path, response.status))
        if self.server.loses and self.path.partition("?")[0].endswith(self.server.loses):
            self.server.loses = ""
            self.close_connection = True
            return
        self.send_response(response.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = relay  # noqa: N815 - the names that the library calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def line(server: str) -> Iterator[Line]:
    made = Line(server)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_an_answer_that_was_recorded_is_recorded_once(line: Line, workspace: Workspace) -> None:
    with Client(line.url) as client:
        line.loses = "/judgements"
        first = client.record("things", item=1, class_id="c1")
        assert line.times("/judgements") == 2
        assert [row.id for row in workspace.project("things").history()] == [first]
        line.loses = "/undo"
        assert client.undo("things") == first
        assert line.times("/undo") == 2
    assert len(workspace.project("things").history()) == 2  # the answer and what took it back, once


def test_what_makes_something_new_makes_one(line: Line, workspace: Workspace, tmp_path: Path) -> None:
    store = workspace.store
    with Client(line.url) as client:
        line.loses = "/projects"
        made = client.import_file(things_file(tmp_path), "Again")
        assert [row.slug for row in store.projects.list()] == ["things", made["slug"]]
        assert line.times("/api/v1/projects") == 2
        line.loses = "/exports"
        client.export("things", "labels", tmp_path / "labels.csv")
        assert len(workspace.project("things").exports()) == 1
        line.loses = "/backups"
        client.wait(client.post("/backups", {})["id"])
        assert len(list(workspace.backups_folder.glob("*.tar*"))) == 1
        line.loses = "/webhooks"
        body = {"url": "http://127.0.0.1:9/told", "events": ["model"]}
        hook = client.post("/projects/things/webhooks", body)
        assert [each.id for each in store.webhooks.list(store.projects.get("things").id)] == [hook["id"]]
        line.loses = f"/webhooks/{hook['id']}"
        client.delete(f"/projects/things/webhooks/{hook['id']}")
        assert store.webhooks.list(store.projects.get("things").id) == []
        assert line.times("/exports") == line.times("/backups") == line.times("/webhooks") == 2


def test_without_the_keys_the_import_runs_twice(line: Line, workspace: Workspace, tmp_path: Path) -> None:
    line.loses, line.drops_keys = "/projects", True
    with Client(line.url) as client, suppress(ApiError):  # the slower of the two may find its place taken
        client.import_file(things_file(tmp_path), "Again")
    jobs = [job for job in workspace.jobs.list(None, 10) if job.kind == "import"]
    for job in jobs:
        with suppress(JobFailedError):
            workspace.jobs.wait(job.id)
    assert len(jobs) == 3  # that of the fixture, and two


def test_a_token_is_not_asked_for_twice(line: Line, workspace: Workspace) -> None:
    line.loses = "/tokens"
    with Client(line.url) as client, pytest.raises((OSError, http.client.HTTPException)):
        client.post("/tokens", {"name": "mine"})
    assert (line.times("/tokens"), len(workspace.store.tokens.of("me"))) == (1, 1)


def test_a_refused_request_may_come_again_and_a_key_stays_with_its_content(server: str) -> None:
    with Client(server) as client:
        answers = []
        for url in (
            "http://not-allowed.example/x",
            "http://127.0.0.1:9/x",
            "http://127.0.0.1:9/x",
            "http://127.0.0.1:9/y",
        ):
            client._connection.request(
                "POST",
                "/api/v1/projects/things/webhooks",
                f'{{"url": "{url}", "events": ["model"]}}',
                {"Content-Type": "application/json", "Idempotency-Key": "k"},
            )
            response = client._connection.getresponse()
            answers.append((response.status, response.read()))
    assert [status for status, _ in answers] == [422, 201, 201, 422]
    assert answers[1] == answers[2]
    assert b"came with another request before" in answers[3][1]


def test_the_store_of_requests(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = store.requests
    assert requests.claim("ada", "k", "content") is None
    assert requests.claim("bob", "k", "other content") is None  # keys are a person's own
    with pytest.raises(DatabaseError, match="being answered just now"):
        requests.claim("ada", "k", "content")
    requests.finish("ada", "k", {"id": 7})
    assert requests.claim("ada", "k", "content") == {"id": 7}
    with pytest.raises(InputError, match="'k' came with another request before"):
        requests.claim("ada", "k", "changed")
    requests.release("bob", "k")
    assert requests.claim("bob", "k", "content") is None
    monkeypatch.setattr("plumbline_backend.store.requests.AT_WORK_S", -1.0)
    with pytest.raises(ConflictError, match="look whether it was done"):
        requests.claim("bob", "k", "content")
    monkeypatch.setattr("plumbline_backend.store.requests.KEPT_S", -1.0)
    assert requests.claim("ada", "k", "new content") is None  # forgotten after its time
    with pytest.raises(InputError, match="NUL"):
        requests.claim("ada", "k\0", "content")
