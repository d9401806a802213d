"""Brings a database to the newest schema. The migrations lie inside this package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from plumbline_backend.domain.errors import InputError
from plumbline_backend.store.database import Database
from plumbline_backend.store.postgres import check_encoding

_LOCK = 7_310_579_104
"""A number of our own for Postgres's advisory locks: two processes that start together take turns."""


def migrate(database: Database) -> None:
    """Runs the migrations that the database has not seen, in one transaction: all of them or none.

    Raises InputError when the database was written by a newer Plumbline.
    """
    database.write(upgrade)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Upgrades through an open transaction."""
    if connection.dialect.name == "postgresql":
        check_encoding(connection)
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = _config(connection)
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    present = set(MigrationContext.configure(connection).get_current_heads())
    if present - known:
        raise InputError(
            f"the database has schema {', '.join(sorted(present - known))}, which this version does not "
            "know; it was written by a newer Plumbline: upgrade Plumbline to open it"
        )
    if present != set(scripts.get_heads()):
        command.upgrade(config, revision)


def _config(connection: Connection) -> Config:
    config = Config()
    folder = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
