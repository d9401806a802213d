"""A database by its URL: reads see one moment, writes return when they are on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from plumbline_backend.domain.errors import InputError
from plumbline_backend.store.errors import DatabaseError
from plumbline_backend.store.postgres import begin_snapshot, postgres_engine
from plumbline_backend.store.sqlite import sqlite_engines, sqlite_report
from plumbline_backend.store.writer import GroupWriter

T = TypeVar("T")

_ATTEMPTS = 5
_RETRY_CODES = ("40001", "40P01")
"""Postgres: serialization failure and deadlock. Both say: nothing happened, try again."""


class _Moment:
    """A connection, and what was found through it so far."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.found: dict[tuple[object, ...], Any] = {}


class _Here(threading.local):
    """The moment that a thread reads from, if any."""

    moment: _Moment | None = None


class Database:
    """Connections to one SQLite file or one Postgres database.

    url: a path, `sqlite:///path` or `postgresql://user:password@host:port/name`.
    Raises InputError for any other URL, DatabaseError when the database cannot be opened.
    """

    def __init__(self, url: str | Path) -> None:
        self.path: Path | None = None
        self._here = _Here()
        self._writer: GroupWriter | None = None
        text = str(url)
        if isinstance(url, Path) or "://" not in text:
            text = f"sqlite:///{text}"
        try:
            parsed = make_url(text)
        except (ArgumentError, ValueError) as error:
            raise InputError(
                "the database URL cannot be read; expected a path or postgresql://..."
            ) from error
        self.url = parsed.render_as_string(hide_password=True)
        if parsed.drivername == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise InputError("the SQLite URL names no file; expected sqlite:///path/to/file.db")
            self.path = Path(parsed.database)
            self._reader, self._writing = sqlite_engines(self.path)
            self._writer = GroupWriter(self._writing)
        elif parsed.drivername in ("postgresql", "postgres", "postgresql+pg8000"):
            self._reader = self._writing = postgres_engine(parsed)
        else:
            raise InputError(f"database URL {self.url!r}: expected sqlite:///... or postgresql://...")
        self.dialect = self._writing.dialect.name

    def describe(self) -> str:
        """The database's name and version, for `doctor`."""
        if self.dialect == "sqlite":
            report = sqlite_report()
            return f"SQLite {report.version} ({report.driver}, journal {report.journal_mode})"
        with self.read() as connection:
            return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection on which every statement sees the same moment, and none can write."""
        moment = self._here.moment
        if moment is not None:
            with self._translated():
                yield moment.connection
            return
        with self._translated(), self._reader.begin() as connection:
            if self.dialect == "postgresql":
                begin_snapshot(connection)
            yield connection

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Everything that this thread reads in here it reads from one moment, through one connection.

        Asking for the next items took fifteen transactions for two milliseconds of reading. Not to be held while
        writing: what is written is not seen in here, and on Postgres a write takes a connection of its own.
        """
        if self._here.moment is not None:
            yield
            return
        reading = self.read()
        self._here.moment = _Moment(reading.__enter__())
        try:
            yield  # what goes wrong in here need not be the database's fault, and is not told as that
        finally:
            self._here.moment = None
            reading.__exit__(None, None, None)

    def once(self, key: tuple[object, ...], read: Callable[[Connection], T]) -> T:
        """What `read` finds; in a `moment` it is looked for once for each key. The finding must not be changed."""
        moment = self._here.moment
        if moment is None:
            with self.read() as connection:
                return read(connection)
        if key not in moment.found:
            with self._translated():
                moment.found[key] = read(moment.connection)
        found: T = moment.found[key]
        return found

    def write(self, apply: Callable[[Connection], T]) -> T:
        """Runs `apply` in a transaction; returns its result when it is committed and on disk.

        `apply` must be short (on SQLite every other write waits for it) and may be run again from the
        start when Postgres reports a deadlock. Raises what `apply` raises, having undone it;
        DatabaseError when the database fails.
        """
        with self._translated():
            if self._writer is not None:
                return self._writer.write(apply)
            return self._write_alone(apply)

    def refresh_statistics(self) -> None:
        """After many rows came in: Postgres plans badly until it has counted them. SQLite needs none."""
        if self.dialect == "postgresql":
            self.write(
                lambda connection: connection.exec_driver_sql("ANALYZE judgements, current_judgements")
            )

    def close(self) -> None:
        """Finishes the writes already asked for and closes every connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader.dispose()
        self._writing.dispose()

    def _write_alone(self, apply: Callable[[Connection], T]) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._writing.begin() as connection:
                    return apply(connection)
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not _may_retry(error):
                    raise
        raise AssertionError("unreachable")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            if isinstance(error, DBAPIError) and is_integrity_error(error):
                raise
            raise DatabaseError(f"database {self.url}: {_reason(error)}") from error


def is_integrity_error(error: DBAPIError) -> bool:
    """Whether a constraint refused the rows (pg8000 calls some of these programming errors)."""
    return isinstance(error, IntegrityError) or _postgres_details(error).get("C", "").startswith("23")


def _may_retry(error: DBAPIError) -> bool:
    return _postgres_details(error).get("C") in _RETRY_CODES


def _reason(error: Exception) -> str:
    if not isinstance(error, DBAPIError):
        return str(error)
    return _postgres_details(error).get("M") or str(error.orig)


def _postgres_details(error: DBAPIError) -> dict[str, str]:
    """Postgres's own fields: C is the code, M the message."""
    details = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return details if isinstance(details, dict) else {}
