"""Figures for Prometheus, logs without secrets, and readiness that follows the database."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator

import pytest
from api_app import make_app
from fastapi.testclient import TestClient

from plumbline_backend.api.metrics import Measure, RequestFigures, metrics_route
from plumbline_backend.domain.errors import InputError
from plumbline_backend.logs import HIDDEN, QuietFormatter, configure_logs, secret_values
from plumbline_backend.store import DatabaseError
from plumbline_backend.workspace import Workspace

CANARY = "plumb_canary-0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def measured(workspace: Workspace) -> Iterator[TestClient]:
    app, figures = make_app(workspace), RequestFigures()
    app.add_middleware(Measure, figures=figures)
    app.include_router(metrics_route(workspace, figures))

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError(f"postgresql://me:hunter2secret@host/db refused Bearer {CANARY}")

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_requests_are_counted_by_route_not_by_address(measured: TestClient) -> None:
    for slug in ("things", "nothing", "other"):
        measured.get(f"/api/v1/projects/{slug}")
    measured.get("/somewhere/else")
    measured.get("/broken")
    text = measured.get("/metrics").text
    route = "/api/v1/projects/{slug}"
    assert f'plumbline_requests_total{{method="GET",route="{route}",status="200"}} 1' in text
    assert f'plumbline_requests_total{{method="GET",route="{route}",status="404"}} 2' in text
    assert 'plumbline_requests_total{method="GET",route="other",status="404"} 1' in text
    assert 'plumbline_requests_total{method="GET",route="/broken",status="500"} 1' in text
    assert f'plumbline_request_seconds_bucket{{method="GET",route="{route}",le="+Inf"}} 3' in text
    assert f'plumbline_request_seconds_count{{method="GET",route="{route}"}} 3' in text
    assert "plumbline_projects 1" in text
    assert "plumbline_items 60" in text
    assert 'plumbline_jobs{state="done"} 1' in text
    assert int(re.findall(r"^process_resident_memory_bytes (\d+)$", text, re.MULTILINE)[0]) > 10**7
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+', line), line


def test_ready_only_while_the_database_answers_in_time(
    measured: TestClient, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measured.get("/readyz").json() == {"status": "ready", "projects": 1}

    def gone() -> None:
        raise DatabaseError("database postgresql://host/db: connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "projects", gone)
        assert measured.get("/readyz").status_code == 503
    with monkeypatch.context() as patch:
        patch.setattr("plumbline_backend.api.routes.READY_WITHIN_S", 0.1)
        patch.setattr(workspace, "projects", lambda: time.sleep(0.5))
        assert measured.get("/readyz").status_code == 503
    assert measured.get("/healthz").json()["status"] == "ok"


def event(message: str, *, with_traceback: bool = False) -> logging.LogRecord:
    found = None
    if with_traceback:
        try:
            raise RuntimeError(message)
        except RuntimeError as error:
            found = (type(error), error, error.__traceback__)
    return logging.LogRecord("plumbline_backend.x", logging.ERROR, __file__, 1, message, (), found)


@pytest.mark.parametrize("kind", ["text", "json"])
def test_no_secret_is_logged_wherever_it_turns_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-of-the-environment")
    import os

    formatter = QuietFormatter(kind, secret_values(os.environ.items()))
    said = (
        f"Authorization: Bearer {CANARY} token {CANARY} key canary-of-the-environment sk-canary0123456789 "
        "postgresql://me:canary-pass@host/db cookie: session=canary-session"
    )
    for record in (event(said), event(said, with_traceback=True)):
        line = formatter.format(record)
        assert "canary" not in line
        assert HIDDEN in line
        assert "postgresql://me:" in line
        if kind == "json":
            assert "\n" not in line
            assert json.loads(line)["level"] == "error"
    plain = logging.Formatter("%(message)s").format(event(said))
    assert plain.count("canary") == 6, "without the formatter all of them would show"


def test_a_failed_request_is_one_event_with_its_route(
    measured: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        measured.get("/broken?token=" + CANARY)
    (record,) = [each for each in caplog.records if each.name.endswith("metrics")]
    written = json.loads(QuietFormatter("json").format(record))
    assert (written["method"], written["route"], written["status"]) == ("GET", "/broken", 500)
    assert CANARY not in json.dumps(written)


def test_an_unknown_log_format_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'json'"):
        configure_logs("jsn")
