"""The ledger row by row, with who made each and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from sqlalchemy import Connection, func, select

from plumbline_backend.domain.types import JudgeKind, Judgement
from plumbline_backend.store import rows
from plumbline_backend.store.current import current_ids
from plumbline_backend.store.tables import judgements, judges, questions

Standing = Literal["current", "superseded", "revoked", "revocation"]


class LedgerRow(NamedTuple):
    """A judgement with who made it and what became of it, for exports and histories."""

    judgement: Judgement
    judge_name: str
    judge_kind: JudgeKind
    judge_version: int
    standing: Standing


def stream(
    connection: Connection, question_id: int, include_superseded: bool, chunk: int
) -> Iterator[LedgerRow]:
    """Rows by ascending id, inside the connection's snapshot.

    It goes by windows of ids and joins nothing: no planner can get that wrong, whatever its statistics say.
    """
    who = _judges(connection, question_id)
    current = current_ids(connection, question_id)
    is_revocation = (judgements.c.question_id == question_id, judgements.c.revokes.is_not(None))
    revoked = set(connection.scalars(select(judgements.c.revokes).where(*is_revocation)))
    for page in _pages(connection, question_id, chunk):
        for judgement, is_current in zip(page, _contains(current, page), strict=True):
            if is_current or include_superseded:
                standing = _standing(judgement, bool(is_current), revoked)
                yield LedgerRow(judgement, *who[judgement.judge_id], standing)


def _judges(connection: Connection, question_id: int) -> dict[int, tuple[str, JudgeKind, int]]:
    statement = (
        select(judges.c.id, judges.c.name, judges.c.kind, judges.c.version)
        .join(questions, questions.c.project_id == judges.c.project_id)
        .where(questions.c.id == question_id)
    )
    return {row.id: (row.name, row.kind, row.version) for row in connection.execute(statement)}


def _pages(connection: Connection, question_id: int, chunk: int) -> Iterator[list[Judgement]]:
    of_question = judgements.c.question_id == question_id
    last = 0
    while True:
        first = connection.scalar(
            select(func.min(judgements.c.id)).where(of_question, judgements.c.id > last)
        )
        if first is None:
            return
        last = first + chunk - 1
        window = select(*rows.JUDGEMENT).where(of_question, judgements.c.id.between(first, last))
        yield [rows.judgement(row) for row in connection.execute(window.order_by(judgements.c.id))]


def _contains(ascending: np.ndarray, page: list[Judgement]) -> np.ndarray:
    ids = np.array([judgement.id for judgement in page], dtype=np.int64)
    return np.isin(ids, ascending[slice(*np.searchsorted(ascending, [ids[0], ids[-1] + 1]))])


def _standing(judgement: Judgement, is_current: bool, revoked: set[int]) -> Standing:
    if judgement.revokes is not None:
        return "revocation"
    if is_current:
        return "current"
    return "revoked" if judgement.id in revoked else "superseded"
