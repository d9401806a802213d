"""A process killed in the middle of a migration leaves the database as it was, and the next one finishes it."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, inspect, text

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


ROWS: dict[str, list[dict[str, object]]] = {
    "projects": [{"id": 1, "slug": "animals", "name": "Animals \u2603", "n_items": 9, "settings": {"seed": 1}}],
    "questions": [{"id": 1, "project_id": 1, "kind": "choice", "version": 1, "asks": 3}],
    "judges": [{"id": 1, "project_id": 1, "kind": "person", "name": "Ada", "spec": {}, "version": 1}],
    "judgements": [
        {"id": n, "question_id": 1, "question_version": 1, "judge_id": 1, "item": n, "client_uuid": f"u{n}",
         "state": "answered", "answer": "c1", "note": "kept \u2603"}
        for n in (1, 2)
    ],
}  # fmt: skip
"""What is written of each table; every other column that must have a value gets one by its type."""


def filled(connection: Connection) -> None:
    """Write `ROWS` into the tables as they are in this schema."""
    there = MetaData()
    there.reflect(connection)
    for name, rows in ROWS.items():
        table = there.tables[name]
        for row in rows:
            known = {column: value for column, value in row.items() if column in table.c}
            made_up = {
                column.name: _made_up(column)
                for column in table.columns
                if column.name not in known and not column.nullable and column.server_default is None
            }
            connection.execute(table.insert().values(**known, **made_up))


def _made_up(column: Column[Any]) -> object:
    kind = str(column.type).upper()
    if "DATE" in kind or "TIME" in kind:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    if "JSON" in kind:
        return {}
    if "BOOL" in kind:
        return False
    return "random" if column.name == "stratum" else "x" if "TEXT" in kind or "CHAR" in kind else 1


def contents(url: str, columns: dict[str, list[str]]) -> dict[str, list[tuple[object, ...]]]:
    """The named columns of every row."""
    database = Database(url)
    try:
        with database.read() as connection:
            return {
                name: [
                    tuple(row)
                    for row in connection.execute(text(f"SELECT {', '.join(found)} FROM {name} ORDER BY id"))
                ]
                for name, found in columns.items()
            }
    finally:
        database.close()


def columns_of(url: str) -> dict[str, list[str]]:
    database = Database(url)
    try:
        with database.read() as connection:
            return {name: sorted(c["name"] for c in inspect(connection).get_columns(name)) for name in ROWS}
    finally:
        database.close()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_rows_of_every_earlier_schema_stay_even_when_the_migration_is_killed(
    revision: str, database_url: str
) -> None:
    """Killed at its first and at a later statement; then run to the end: every column of every row is as it was."""
    at(database_url, revision)
    database = Database(database_url)
    database.write(filled)
    database.close()
    before_tables, columns = tables(database_url), columns_of(database_url)
    before = contents(database_url, columns)
    assert [len(rows) for rows in before.values()] == [1, 1, 1, 2]
    for statements in (0, 2):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, database_url, str(statements)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:  # a short migration is through before the third statement
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (tables(database_url), columns_of(database_url)) == (before_tables, columns)
        assert contents(database_url, columns) == before
    open_store(database_url).close()
    assert contents(database_url, columns) == before


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
