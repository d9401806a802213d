"""A small workspace behind the API: in this process for quick calls, and as a real server for the client."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from api_app import make_app, things_file
from fastapi.testclient import TestClient

from plumbline_backend.workspace import Workspace, open_workspace


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace with one project of sixty things and two classes, made once."""
    folder = tmp_path_factory.mktemp("things")
    with open_workspace(folder / "workspace", settings={"worker_threads": 1}) as opened:
        opened.import_items(things_file(folder), "Things")
    return folder / "workspace"


@pytest.fixture
def workspace(things: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of it, open: copying the folder copies everything."""
    shutil.copytree(things, tmp_path / "workspace")
    settings = {"webhook_hosts": "127.0.0.1, hooks.example", "worker_threads": 1}
    with open_workspace(tmp_path / "workspace", settings=settings) as opened:
        yield opened


@pytest.fixture
def http(workspace: Workspace) -> Iterator[TestClient]:
    """Calls the API in this process."""
    with TestClient(make_app(workspace), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def server(workspace: Workspace) -> Iterator[str]:
    """The address of a real server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = uvicorn.Server(
        uvicorn.Config(
            make_app(workspace), port=port, log_level="warning", ws="none", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join()
