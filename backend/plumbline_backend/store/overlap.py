"""How many people may be asked about an item: live leases and answers together never exceed the overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select

from plumbline_backend.domain.errors import ConflictError, NotFoundError
from plumbline_backend.domain.types import NewJudgement
from plumbline_backend.store.columns import now
from plumbline_backend.store.tables import current_judgements, judges, leases, questions

ASKED = ("stream", "model", "random")
"""Strata of the queue. What a person chooses to answer (browse, review, adjudication) was promised to nobody."""


def lock_question(connection: Connection, question_id: int) -> int:
    """Claims on one question take turns. Returns its ask counter. Raises NotFoundError."""
    statement = select(questions.c.asks).where(questions.c.id == question_id)
    asks = connection.execute(statement.with_for_update(key_share=True)).scalar()
    if asks is None:
        raise NotFoundError(f"question {question_id} does not exist")
    return int(asks)


def answered_by_people(question_id: int, items: Sequence[int]) -> Select[Any]:
    """The items, each as often as people have answered it."""
    here = current_judgements.c
    return (
        select(here.item)
        .join(judges, judges.c.id == here.judge_id)
        .where(
            here.question_id == question_id,
            here.item.in_(items),
            here.state == "answered",
            judges.c.kind == "person",
        )
    )


def keep_overlap(connection: Connection, new: NewJudgement, overlap: int) -> None:
    """Raises ConflictError for an answer that comes after its lease ended, when the item went to others meanwhile.

    A live lease is locked, so that it cannot be swept before the answer is there. Without one the question is locked,
    so that no claim comes in between. A revision of one's own answer, or of an item that is still wanted, passes.
    """
    if new.stratum not in ASKED or new.state != "answered":
        return
    held = (leases.c.question_id == new.question_id, leases.c.item == new.item, leases.c.expires_at > now())
    own = select(leases.c.item).where(*held, leases.c.judge_id == new.judge_id)
    if connection.execute(own.with_for_update()).first() is not None:
        return
    lock_question(connection, new.question_id)
    _sweep(connection, new)
    here = current_judgements.c
    revised = select(here.item).where(
        here.question_id == new.question_id, here.item == new.item, here.judge_id == new.judge_id
    )
    if connection.execute(revised).first() is not None:
        return
    others = connection.execute(select(func.count()).where(*held)).scalar_one()
    answers = len(connection.scalars(answered_by_people(new.question_id, [new.item])).all())
    if others + answers >= overlap:
        raise ConflictError(
            f"the time that item {new.item} was promised to you for has ended, and it went to somebody else; "
            "this answer is not needed and was not kept"
        )


def _sweep(connection: Connection, new: NewJudgement) -> None:
    """Remove the item's leases that have ended. Waits for an answer that is being written under one of them: it locked
    its lease while that was live, and would otherwise be counted neither as a lease nor as an answer."""
    connection.execute(
        delete(leases).where(
            leases.c.question_id == new.question_id, leases.c.item == new.item, leases.c.expires_at <= now()
        )
    )
