"""SQLite: which library, which journal, and the two engines (many readers, one writer)."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

from plumbline_backend.domain.errors import InputError
from plumbline_backend.store.columns import dumps, loads

BUSY_TIMEOUT_MS = 5_000
"""Patience with another process's write. Ours take milliseconds: a group commit measured 48 ms at p99."""
_DRIVERS = ("sqlite3", "pysqlite3")


@dataclass(frozen=True)
class SqliteReport:
    """What `plumbline doctor` says about SQLite. `advice` is empty when all is well."""

    driver: str
    version: str
    wal_safe: bool
    journal_mode: str
    advice: str


def wal_safe(version: tuple[int, int, int]) -> bool:
    """Whether two connections may checkpoint a WAL at once without corrupting it.

    3.7.0 to 3.51.2 can lose pages in the WAL-reset race; fixed in 3.51.3 and backported to 3.50.7 and
    3.44.6. Source: sqlite.org/wal.html, "The WAL-Reset Bug".
    """
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def sqlite_report() -> SqliteReport:
    """The SQLite library that `sqlite_engines` uses, and whether it may use a write-ahead log."""
    module = _library()
    safe = wal_safe(_version(module))
    advice = (
        ""
        if safe
        else f"SQLite {module.sqlite_version} can corrupt a write-ahead log, so the slower rollback journal "
        "is used; `pip install pysqlite3` brings a fixed SQLite"
    )
    name = module.__name__.partition(".")[0]
    return SqliteReport(name, module.sqlite_version, safe, "wal" if safe else "delete", advice)


def sqlite_engines(path: Path) -> tuple[Engine, Engine]:
    """(reader, writer) for a database file, which is made when missing. The reader cannot write.

    Raises InputError when the folder does not exist.
    """
    if not path.parent.is_dir():
        raise InputError(f"database {str(path)!r}: the folder {str(path.parent)!r} does not exist")
    module, report = _library(), sqlite_report()

    def engine(**options: Any) -> Engine:
        return create_engine(
            f"sqlite:///{path}",
            module=module,
            connect_args={"isolation_level": None, "check_same_thread": False},
            json_serializer=dumps,
            json_deserializer=loads,
            **options,
        )

    reader = engine(pool_size=8, max_overflow=56)
    writer = engine(pool_size=1, max_overflow=0)
    _on_connect(writer, report.journal_mode, query_only=False)
    _on_connect(reader, report.journal_mode, query_only=True)
    event.listen(reader, "begin", _begin_snapshot)
    event.listen(writer, "begin", _begin_immediate)
    return reader, writer


def _on_connect(engine: Engine, journal_mode: str, *, query_only: bool) -> None:
    synchronous = "FULL" if journal_mode == "wal" else "EXTRA"

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            f"journal_mode = {journal_mode}",
            f"synchronous = {synchronous}",
            "foreign_keys = ON",
            "journal_size_limit = 67108864",
            "cache_size = -16384",
            f"query_only = {'ON' if query_only else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()


def _begin_snapshot(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: a deferred transaction that upgrades later fails under load."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _library() -> ModuleType:
    """The first library whose write-ahead log is safe, else the standard library's."""
    found = [module for module in map(_import, _DRIVERS) if module is not None]
    return next((module for module in found if wal_safe(_version(module))), found[0])


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"{name}.dbapi2")
    except ImportError:
        return None


def _version(module: ModuleType) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in module.sqlite_version.split(".")[:3])
    return major, minor, patch
