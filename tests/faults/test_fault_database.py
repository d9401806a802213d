"""A database that is full, gone or frozen: words instead of answers, nothing half done, and work goes on after."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from test_fault_kill_server import moved_to_postgres

from plumbline_backend.api.access import TokenAccess
from plumbline_backend.api.errors import install_error_answers
from plumbline_backend.api.routes import create_router
from plumbline_backend.api.v1 import create_api
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.workspace import Workspace, open_workspace

RECORD = "/api/v1/projects/many/judgements"


def client_of(workspace: Workspace) -> TestClient:
    """The API in this process."""
    app = FastAPI()
    install_error_answers(app)
    app.include_router(create_router(workspace))
    app.include_router(create_api(workspace, TokenAccess(workspace.store.tokens, lambda _: "me")))
    return TestClient(app, raise_server_exceptions=False)


def record(http: TestClient, item: int) -> Any:
    row = {"uuid": f"u{item}", "item": item, "class_id": "c1", "note": "x" * 5_000}
    return http.post(RECORD, json={"judgements": [row]})


def test_a_full_disk_is_said_and_what_was_acknowledged_stays(folder: Path) -> None:
    with open_workspace(folder, executor=InlineExecutor()) as workspace:
        workspace.project("many").loop.fit_soon = lambda: None  # type: ignore[method-assign]
        http = client_of(workspace)
        database = workspace.store.database

        def limit(pages: int) -> None:
            database.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}"))

        with database.read() as connection:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        limit(pages + 40)  # what SQLite answers then is what it answers on a full disk
        acknowledged, refused = [], 0
        for item in range(100):
            said = record(http, item)
            if said.status_code == 200 and said.json()["acks"][0]["ok"]:
                acknowledged.append(f"u{item}")
            else:
                assert said.status_code == 503, said.text
                assert "full" in said.json()["error"]
                refused += 1
        assert acknowledged
        assert refused > 5
        assert http.get("/api/v1/projects/many/items/1").status_code == 200, "reading goes on"
        limit(2**30)
        assert record(http, 500).json()["acks"][0]["ok"], "and so does writing, once there is room"
        stored = {row.client_uuid for row in workspace.project("many").history(limit=None)}  # type: ignore[arg-type]
        assert stored == {*acknowledged, "u500"}


@pytest.mark.postgres
@pytest.mark.slow
def test_a_frozen_or_lost_postgres_is_said_and_work_goes_on_after(
    folder: Path, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbline_backend.api.routes.READY_WITHIN_S", 1.0)
    url = moved_to_postgres(folder, postgres)
    separator = "&" if "?" in url else "?"
    with open_workspace(
        folder, database_url=f"{url}{separator}timeout=2", executor=InlineExecutor()
    ) as workspace:
        workspace.project("many").loop.fit_soon = lambda: None  # type: ignore[method-assign]
        http = client_of(workspace)
        assert record(http, 1).json()["acks"][0]["ok"]
        assert http.get("/readyz").status_code == 200
        backends = [int(pid) for pid in _backends(postgres)]
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            said = record(http, 2)
            assert (said.status_code, time.monotonic() - begun < 20) == (503, True)
            assert http.get("/healthz").status_code == 200, "the server itself lives"
        finally:
            for pid in backends:
                os.kill(pid, signal.SIGCONT)
        for pid in backends:
            _terminate(postgres, pid)
        until = time.monotonic() + 30
        while record(http, 2).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.2)
        stored = [row.client_uuid for row in workspace.project("many").history()]
        assert stored == ["u2", "u1"], "the frozen one was sent again, and recorded once"


def _backends(server: Any) -> list[str]:
    said = server.psql("SELECT pid FROM pg_stat_activity WHERE application_name = 'plumbline'")
    return [line.strip() for line in said.splitlines() if line.strip().isdigit()]


def _terminate(server: Any, pid: int) -> None:
    server.psql(f"SELECT pg_terminate_backend({pid})")
