"""A process killed in the middle of a migration leaves the database as it was, and the next one finishes it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect

from plumbline_backend.store import Database, open_store
from plumbline_backend.store.migrate import upgrade
from plumbline_backend.store.tables import metadata

REVISIONS = sorted(
    path.name[1:5] for path in Path(upgrade.__code__.co_filename).parent.glob("migrations/versions/v*.py")
)
KILLED = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from plumbline_backend.store import open_store

left = int(sys.argv[2])

@event.listens_for(Engine, "before_cursor_execute")
def kill(_connection, _cursor, statement, *_):
    global left
    if statement.lstrip().upper().startswith(("CREATE", "ALTER", "DROP", "INSERT INTO ALEMBIC", "UPDATE ALEMBIC")):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

open_store(sys.argv[1]).close()
"""


def at(url: str, revision: str) -> None:
    """Make a database with the schema of an earlier release."""
    database = Database(url)
    database.write(lambda connection: upgrade(connection, revision))
    database.close()


def tables(url: str) -> set[str]:
    database = Database(url)
    try:
        with database.read() as connection:
            return set(inspect(connection).get_table_names())
    finally:
        database.close()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_every_earlier_schema_is_brought_to_todays(revision: str, database_url: str) -> None:
    at(database_url, revision)
    with open_store(database_url) as store:
        assert store.projects.list() == []
    assert tables(database_url) == {"alembic_version", *metadata.tables}


@pytest.mark.parametrize("statements", [1, 4])
def test_a_migration_killed_in_the_middle_leaves_the_old_schema(statements: int, database_url: str) -> None:
    at(database_url, "0001")
    before = tables(database_url)
    assert metadata.tables.keys() - before, "there is something to migrate"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, database_url, str(statements)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert tables(database_url) == before
    open_store(database_url).close()
    assert tables(database_url) == {"alembic_version", *metadata.tables}


def test_the_killer_would_let_a_short_migration_pass(database_url: str) -> None:
    at(database_url, "0001")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, database_url, "1000"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert tables(database_url) == {"alembic_version", *metadata.tables}
