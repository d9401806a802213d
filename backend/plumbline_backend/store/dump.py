"""Every row of every table as text, the same on SQLite and Postgres, and back into an empty database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Table, func, insert, literal, select, tuple_

from plumbline_backend.domain.errors import ConflictError, InputError, did_you_mean
from plumbline_backend.store.columns import Instant, dumps, loads
from plumbline_backend.store.database import Database
from plumbline_backend.store.migrate import upgrade
from plumbline_backend.store.tables import metadata, projects

ROWS_AT_ONCE = 2_000
Lines = Iterator[bytes]


def dump(database: Database, take: Callable[[str, Lines], None]) -> str:
    """Give `take` each table's name and its rows, one JSON object a line, in order of primary key.

    All tables are as of one moment. Returns the schema's revision.
    """
    with database.read() as connection:
        (revision,) = MigrationContext.configure(connection).get_current_heads()
        for table in metadata.sorted_tables:
            take(table.name, _lines(connection, table))
    return revision


def load(
    database: Database, revision: str, tables: Callable[[str], Iterable[bytes] | None]
) -> dict[str, int]:
    """Fill an empty database from the lines of each table (None: the dump has no such table), all or nothing.

    revision: of the schema that was dumped; the rows are brought to today's from there. Returns rows by table. Raises
    ConflictError when the database holds projects, InputError for lines that do not fit.
    """

    def apply(connection: Connection) -> dict[str, int]:
        if connection.dialect.has_table(connection, projects.name):
            if connection.execute(select(func.count()).select_from(projects)).scalar_one():
                raise ConflictError("the database holds projects already; expected an empty one")
            (found,) = MigrationContext.configure(connection).get_current_heads()
            if found != revision:
                raise ConflictError(
                    f"the database has schema {found}, the backup {revision}; expected an empty one"
                )
        else:
            upgrade(connection, revision)
        loaded = {}
        for table in metadata.sorted_tables:
            lines = tables(table.name)
            if lines is not None:
                loaded[table.name] = _load_table(connection, table, lines)
        upgrade(connection)
        return loaded

    return database.write(apply)


def _lines(connection: Connection, table: Table) -> Lines:
    """Rows in portions by primary key: no driver holds more than one of them in memory."""
    names = [column.name for column in table.columns]
    key = list(table.primary_key.columns)
    places = [names.index(column.name) for column in key]
    following = select(table).order_by(*key).limit(ROWS_AT_ONCE)
    statement = following
    while rows := connection.execute(statement).all():
        for row in rows:
            values = {name: _plain(value) for name, value in zip(names, row, strict=True)}
            yield dumps(values).encode() + b"\n"
        last = [literal(rows[-1][place], column.type) for place, column in zip(places, key, strict=True)]
        statement = following.where(tuple_(*key) > tuple_(*last))


def _load_table(connection: Connection, table: Table, lines: Iterable[bytes]) -> int:
    stream = iter(lines)
    n = 0
    while portion := list(islice(stream, ROWS_AT_ONCE)):
        rows = [_row(table, n + offset, line) for offset, line in enumerate(portion, 1)]
        connection.execute(insert(table), rows)
        n += len(rows)
    if n and connection.dialect.name == "postgresql" and "id" in table.columns:
        # Rows came with their ids, which the sequence has not seen.
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), (SELECT max(id) FROM {table.name}))"
        )
    return n


def _row(table: Table, number: int, line: bytes) -> dict[str, Any]:
    try:
        values = loads(line.decode())
    except ValueError as error:
        raise InputError(f"table {table.name}, row {number}: not JSON: {error}") from error
    known = {column.name: column for column in table.columns}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise InputError(
            f"table {table.name}, row {number}: no column {unknown[0]!r}; {did_you_mean(unknown[0], known)}"
        )
    return {name: _typed(known[name], value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _typed(column: Any, value: Any) -> Any:
    if value is not None and isinstance(column.type, Instant):
        return datetime.fromisoformat(value)
    return value
