"""Postgres through pg8000: URLs as people write them, one engine, snapshots for reads."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.store.columns import dumps, loads

ANSWER_TIMEOUT_S = 60.0
"""Longest silence of the server before the connection is given up. The client keeps this time itself: a
server-side statement timeout alone hung 15 s on a frozen link."""
_OPTIONS = ("application_name", "host", "sslmode", "sslrootcert", "timeout")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def postgres_engine(url: URL) -> Engine:
    """An engine for `postgresql://user:password@host:port/name`.

    Options after `?`: host=/dir (a unix socket's folder), sslmode, sslrootcert, application_name,
    timeout (seconds). Raises InputError naming an option that is not one of these.
    """
    arguments = _arguments(url)
    plain = url.set(drivername="postgresql+pg8000", query={})
    engine = create_engine(
        plain,
        connect_args=arguments,
        client_encoding="utf8",
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=48,
        json_serializer=dumps,
        json_deserializer=loads,
    )

    @event.listens_for(engine, "connect")
    def insist_on_durable_commits(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.execute("COMMIT")
        cursor.close()

    event.listen(engine, "handle_error", _give_up_broken_connection)
    return engine


def _give_up_broken_connection(context: ExceptionContext) -> None:
    """After a timeout the late answer is still on its way: such a connection must not be used again."""
    if isinstance(context.original_exception, OSError):
        context.is_disconnect = True


def begin_snapshot(connection: Connection) -> None:
    """Make the transaction read one moment's data and refuse writes, as a SQLite reader does."""
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def check_encoding(connection: Connection) -> None:
    """Raises InputError when the database cannot hold every character."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise InputError(f"the Postgres database has encoding {encoding}; expected UTF8")


def _arguments(url: URL) -> dict[str, Any]:
    options = {name: value for name, value in url.query.items() if isinstance(value, str)}
    for name in url.query:
        if name not in _OPTIONS:
            raise InputError(f"database URL option {name!r} does not exist; {did_you_mean(name, _OPTIONS)}")
    arguments: dict[str, Any] = {
        "application_name": options.get("application_name", "plumbline"),
        "timeout": _seconds(options.get("timeout")),
        "ssl_context": _ssl_context(options),
    }
    folder = options.get("host", "")
    if folder.startswith("/"):
        arguments["unix_sock"] = f"{folder}/.s.PGSQL.{url.port or 5432}"
    elif folder:
        arguments["host"] = folder
    if not url.username:
        raise InputError("the database URL names no user; expected postgresql://user@host/name")
    return arguments


def _seconds(given: str | None) -> float:
    if given is None:
        return ANSWER_TIMEOUT_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 86_400:
        raise InputError(f"database URL option timeout is {given!r}; expected seconds, more than 0")
    return seconds


def _ssl_context(options: Mapping[str, str]) -> bool | ssl.SSLContext | None:
    """pg8000's words: False is plain text, None encrypts when the server offers it, True insists."""
    mode = options.get("sslmode", "prefer")
    if mode not in _SSL_MODES:
        raise InputError(f"sslmode {mode!r} does not exist; {did_you_mean(mode, _SSL_MODES)}")
    if mode in ("verify-ca", "verify-full"):
        context = ssl.create_default_context(cafile=options.get("sslrootcert"))
        context.check_hostname = mode == "verify-full"
        return context
    return {"disable": False, "allow": None, "prefer": None, "require": True}[mode]
