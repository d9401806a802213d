"""Taking many judgements back at once: a whole batch, or named rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, select

from plumbline_backend.store import rows
from plumbline_backend.store.bulk import insert_judgements
from plumbline_backend.store.current import is_live, set_current
from plumbline_backend.store.recording import lock_judge
from plumbline_backend.store.tables import current_judgements, judgements

PORTION = 1_000
"""Rows of one transaction: other writes pass in between."""


def revoke_portion(
    connection: Connection,
    question_id: int,
    client_uuid: str,
    batch: str | None,
    ids: Sequence[int] | None,
    limit: int = PORTION,
) -> int:
    """Revokes up to `limit` live rows of the batch or among `ids`; returns how many. 0: nothing is left to revoke.

    What each of them superseded is current again.
    """
    found = connection.execute(_live(question_id, batch, ids).limit(limit)).all()
    if not found:
        return 0
    for judge_id in sorted({row.judge_id for row in found}):
        lock_judge(connection, judge_id, question_id)
    found = connection.execute(_live(question_id, batch, [row.id for row in found])).all()
    if found:
        insert_judgements(connection, [_revocation(row, client_uuid) for row in found])
        _restore(connection, question_id, found)
    return len(found)


def _live(question_id: int, batch: str | None, ids: Sequence[int] | None) -> Select[Any]:
    statement = select(*rows.JUDGEMENT).where(judgements.c.question_id == question_id, is_live(judgements))
    if batch is not None:
        statement = statement.where(judgements.c.batch == batch)
    if ids is not None:
        statement = statement.where(judgements.c.id.in_(ids))
    return statement.order_by(judgements.c.id)


def _revocation(row: Row[Any], client_uuid: str) -> dict[str, Any]:
    return {
        "question_id": row.question_id,
        "question_version": row.question_version,
        "item": row.item,
        "judge_id": row.judge_id,
        "client_uuid": f"{client_uuid}:{row.id}",
        "state": row.state,
        "note": "",
        "stratum": row.stratum,
        "revokes": row.id,
    }


def _restore(connection: Connection, question_id: int, revoked: Sequence[Row[Any]]) -> None:
    """Drop the revoked rows from the current view, and bring back what stands below them."""
    here = current_judgements.c
    connection.execute(
        delete(current_judgements).where(
            here.question_id == question_id,
            here.item.in_([row.item for row in revoked]),
            here.judgement_id.in_([row.id for row in revoked]),
        )
    )
    pairs = {(row.item, row.judge_id) for row in revoked}
    newest = (
        select(judgements.c.item, judgements.c.judge_id, func.max(judgements.c.id).label("id"))
        .where(
            judgements.c.question_id == question_id,
            judgements.c.item.in_([item for item, _ in pairs]),
            is_live(judgements),
        )
        .group_by(judgements.c.item, judgements.c.judge_id)
    )
    below = [row.id for row in connection.execute(newest) if (row.item, row.judge_id) in pairs]
    if below:
        set_current(connection, question_id, below)
