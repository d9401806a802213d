"""Column types that mean the same on SQLite and Postgres: instants and JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_NUMBER_KEY = "$number"


class Instant(TypeDecorator[datetime]):
    """A timezone-aware UTC time. SQLite keeps it as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database. Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; expected an aware time")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database, always in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def dumps(value: Any) -> str:
    """JSON text as the engines write it. `{"$number": "nan"}` stands for what JSON has no word for.

    `value` must have passed `checks.json_value`.
    """
    return json.dumps(_encode(value), allow_nan=False, separators=(",", ":"), ensure_ascii=False)


def loads(text: str) -> Any:
    """The value that `dumps` was given."""
    return json.loads(text, object_hook=_decode)


def _encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER_KEY: repr(value)}
    if isinstance(value, dict):
        return {key: _encode(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_encode(entry) for entry in value]
    return value


def _decode(entries: dict[str, Any]) -> Any:
    if len(entries) == 1 and entries.get(_NUMBER_KEY) in _NUMBERS:
        return _NUMBERS[entries[_NUMBER_KEY]]
    return entries


class now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's clock at the moment the statement runs."""

    type = Instant()
    inherit_cache = True
    name = "now"


class now_plus(FunctionElement[datetime]):  # noqa: N801
    """The database's clock plus a number of seconds, which may be fractional."""

    type = Instant()
    inherit_cache = True
    name = "now_plus"


@compiles(now, "sqlite")
def _now_sqlite(_element: now, _compiler: SQLCompiler, **_: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


@compiles(now, "postgresql")
def _now_postgresql(_element: now, _compiler: SQLCompiler, **_: Any) -> str:
    return "clock_timestamp()"


@compiles(now_plus, "sqlite")
def _now_plus_sqlite(element: now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+f seconds', {seconds}))"


@compiles(now_plus, "postgresql")
def _now_plus_postgresql(element: now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    return f"clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **kw)})"
