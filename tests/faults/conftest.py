"""A workspace with many items, and servers over it as processes of their own."""

from __future__ import annotations

import csv
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plumbline_backend.workspace import open_workspace

N_ITEMS = 3_000
SERVER = Path(__file__).with_name("fault_server.py")
Start = Callable[..., tuple["subprocess.Popen[bytes]", str]]


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace with one project of 3,000 numbers in two classes."""
    folder = tmp_path_factory.mktemp("many")
    with (folder / "many.csv").open("w", newline="") as file:
        rows = ([f"k{i}", i % 2 + i / 10_000, "odd" if i % 2 else "even"] for i in range(N_ITEMS))
        csv.writer(file).writerows([["key", "size", "label"], *rows])
    with open_workspace(folder / "workspace", settings={"worker_threads": 1}) as workspace:
        workspace.import_items(folder / "many.csv", "many")
    return folder / "workspace"


@pytest.fixture
def folder(many: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(many, tmp_path / "workspace"))


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server over a workspace and waits until it answers; gives the process and its address."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(folder: Path, url: str = "", *ways: str) -> tuple[subprocess.Popen[bytes], str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, str(SERVER), str(folder), str(port), url, *ways]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        running.append(process)
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 90
        while True:
            assert process.poll() is None, "the server ended at once"
            assert time.monotonic() < until, "the server does not answer"
            try:
                with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                    return process, address
            except OSError:
                time.sleep(0.05)

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
