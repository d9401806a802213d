"""Migrations: from nothing to the tables of the code, once, by whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from plumbline_backend.domain.errors import InputError
from plumbline_backend.store import Database, Store, open_store
from plumbline_backend.store.migrate import _config
from plumbline_backend.store.tables import metadata


def test_the_migrations_end_at_the_tables_of_the_code(store: Store) -> None:
    with store.database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_opening_again_changes_nothing(database_url: str, make_desk: Any) -> None:
    with open_store(database_url) as store:
        made = make_desk(store).record(1)
    with open_store(database_url) as store:
        assert store.ledger.current(made.question_id) == [made]


def test_downgrade_empties_the_database_and_upgrade_fills_it(database_url: str) -> None:
    open_store(database_url).close()
    database = Database(database_url)

    def down_and_up(connection: Connection) -> tuple[list[str], list[str]]:
        command.downgrade(_config(connection), "base")
        empty = inspect(connection).get_table_names()
        command.upgrade(_config(connection), "head")
        return empty, inspect(connection).get_table_names()

    empty, full = database.write(down_and_up)
    database.close()
    assert empty == ["alembic_version"]
    assert set(full) == {"alembic_version", *metadata.tables}


def test_four_that_start_together_all_get_a_store(database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(open_store, [database_url] * 4))
    for opened in stores:
        assert opened.projects.list() == []
        opened.close()


def test_a_database_of_a_newer_plumbline_is_refused(database_url: str) -> None:
    with open_store(database_url) as store:
        store.database.write(
            lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        )
    with pytest.raises(InputError, match=r"schema 9999.*newer Plumbline"):
        open_store(database_url)


def test_a_migration_that_fails_leaves_nothing_behind(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            open_store(database_url)
    with open_store(database_url) as store:
        assert store.projects.list() == []
