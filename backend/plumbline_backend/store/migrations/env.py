"""Run by Alembic: applies the migrations through the connection that `store.migrate` opened."""

from __future__ import annotations

from alembic import context

from plumbline_backend.store.tables import metadata


def run() -> None:
    """Migrate in the caller's transaction, which commits or undoes everything together."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
