"""A workspace with many items, and servers over it as processes of their own."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
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

    def begin(
        folder: Path, url: str = "", *ways: str, environment: Mapping[str, str] = {}
    ) -> tuple[subprocess.Popen[bytes], str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, str(SERVER), str(folder), str(port), url, *ways]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
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


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """shim.c as a library: a disk that fails and a clock that is off, in a process of the test's own."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler: install gcc")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True
    )
    return library


class Faults:
    """Faults of one server, switched on and off while it runs. `environment` is what it is started with."""

    def __init__(self, shim: Path, folder: Path) -> None:
        self._folder = folder
        self.environment = {"LD_PRELOAD": str(shim), "FAULTS_FOLDER": str(folder)}

    def disk_fails(self, name: str) -> None:
        """Nothing more is written to files whose path contains this; "" ends it."""
        self._say("eio", name)

    def clock_off(self, hours: float) -> None:
        """The process sees another time of day."""
        self._say("clock", str(hours * 3600) if hours else "")

    def _say(self, name: str, content: str) -> None:
        path = self._folder / name
        if not content:
            path.unlink(missing_ok=True)
            return
        path.with_suffix(".new").write_text(content)
        path.with_suffix(".new").rename(path)


@pytest.fixture
def faults(shim: Path, tmp_path: Path) -> Faults:
    """Faults that a test can switch on."""
    folder = tmp_path / "faults"
    folder.mkdir()
    return Faults(shim, folder)
