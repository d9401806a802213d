"""Adding many ledger rows with one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Connection, bindparam, cast, column, func, insert, select

from plumbline_backend.store.columns import now
from plumbline_backend.store.tables import judgements


def insert_judgements(connection: Connection, values: Sequence[Mapping[str, Any]]) -> list[int]:
    """Inserts rows that all have the same columns; returns their ids.

    Postgres gets them as one JSON parameter: pg8000 looks at every character of a statement, which makes a long
    VALUES list slow.
    """
    if connection.dialect.name == "sqlite":
        statement = insert(judgements).values(created_at=now()).returning(judgements.c.id)
        return list(connection.scalars(statement, list(values)))
    names = list(values[0])
    given = (
        func.json_to_recordset(cast(bindparam("given", type_=JSON), JSON))
        .table_valued(*(column(name, judgements.c[name].type) for name in names), name="given")
        .render_derived(with_types=True)
    )
    source = select(*(given.c[name] for name in names), now())
    from_json = insert(judgements).from_select([*names, "created_at"], source).returning(judgements.c.id)
    return list(connection.scalars(from_json, {"given": list(values)}))
