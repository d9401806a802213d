"""What docker-compose.yml starts, started by hand: Postgres, a worker (a Ray node) and the real server, each a process
of its own, on this machine's addresses."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_fault_kill_server import moved_to_postgres

from plumbline_backend.client import Client

TOKEN = "a-token-for-this-test-only-0123456789abcdef"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What both processes are given, as in docker-compose.yml."""
    return {
        **os.environ,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_TMPDIR": "/tmp/plumbline-ray",  # the paths of its sockets must be short
        "HOME": str(tmp_path),
    }


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[str]:
    """A Ray node as the worker's container runs it; its address for clients."""
    port, client_port = free_port(), free_port()
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--include-dashboard=false",
        "--node-ip-address=127.0.0.1", "--num-cpus=1", f"--port={port}", f"--ray-client-server-port={client_port}",
        "--object-store-memory=100000000",
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        until = time.monotonic() + 200
        while True:
            assert process.poll() is None, "the worker ended at once"
            assert time.monotonic() < until, "the worker does not answer"
            try:
                socket.create_connection(("127.0.0.1", client_port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"ray://127.0.0.1:{client_port}"
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_postgres_server_and_worker_as_separate_processes(
    folder: Path, postgres: Any, environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'plumbline[ray]'")
    address = request.getfixturevalue("worker")
    database = moved_to_postgres(folder, postgres)
    port = free_port()
    code = "from plumbline_app.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--workspace", str(folder), "--port", str(port)]
    settings = {
        "PLUMBLINE_DATABASE_URL": database,
        "PLUMBLINE_EXECUTOR": "ray",
        "PLUMBLINE_RAY_ADDRESS": address,
        "PLUMBLINE_WORKER_THREADS": "1",
        "PLUMBLINE_LOG_FORMAT": "json",
    }
    log = folder.parent / "server.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, env={**environment, **settings}, stderr=errors) as server,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            wait_ready(server, url, log)
            with Client(url) as client:
                rows = [{"item": i, "class_id": f"c{1 + i % 2}"} for i in range(30)]
                assert all(ack["ok"] for ack in client.record_many("many", rows))
                until = time.monotonic() + 200
                while not (models := client.get("/projects/many/models")):
                    assert time.monotonic() < until, log.read_text()
                    time.sleep(0.5)
                assert models[0]["n_train"] > 0
                assert client.predict("many", [1])["model"] >= 1
            with urllib.request.urlopen(f"{url}/metrics", timeout=10) as said:
                text = said.read().decode()
            assert re.search(r'route="/api/v1/projects/\{slug\}/judgements",status="200"\} 1\b', text), text
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(60) in (0, -signal.SIGTERM)
    written = log.read_text()
    assert TOKEN not in written
    assert "Traceback" not in written, written


def wait_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until /readyz says so."""
    until = time.monotonic() + 200
    while True:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
