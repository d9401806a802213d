"""The current view: the newest live judgement of each (item, question, judge), kept beside the ledger.

A row that revokes is never an answer; a row that is revoked is dead; the newest of the others is current.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    String,
    and_,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from plumbline_backend.domain.types import JudgeKind
from plumbline_backend.store.tables import current_judgements, judgements, judges

_KEY = ("question_id", "item", "judge_id")
_COPIED = ("state", "answer", "stratum")


class CurrentArrays(NamedTuple):
    """The current judgements of a question as columns of one length, oldest judgement first."""

    id: NDArray[np.int64]
    """Ledger ids."""
    item: NDArray[np.int64]
    judge_id: NDArray[np.int64]
    answer: NDArray[np.object_]
    """Class ids as they were answered (merges are not followed), None where the state is not "answered"."""
    state: NDArray[np.object_]
    stratum: NDArray[np.object_]


class Counts(NamedTuple):
    """How many current judgements a question has."""

    by_state: dict[str, int]
    by_class: dict[str, int]
    """By class id as answered (merges are not followed); classes without an answer are absent."""


def is_live(row: FromClause) -> ColumnElement[bool]:
    """Whether a row of the ledger (or of an alias of it) is an answer that nobody took back."""
    revoker = judgements.alias()
    return and_(row.c.revokes.is_(None), ~exists().where(revoker.c.revokes == row.c.id))


def current_ids(connection: Connection, question_id: int) -> NDArray[np.int64]:
    """(n,) ids of the question's current judgements, ascending."""
    return arrays(connection, question_id, get_args(JudgeKind)).id


def of_kinds(judge_id: ColumnElement[int], kinds: Sequence[JudgeKind]) -> ColumnElement[bool]:
    """Whether the judge is of one of the kinds."""
    return judge_id.in_(select(judges.c.id).where(judges.c.kind.in_(kinds)))


def set_current(connection: Connection, question_id: int, ids: Sequence[int]) -> None:
    """Makes ledger rows current. At most one of them per (item, judge)."""
    source = select(
        *(judgements.c[name] for name in _KEY), judgements.c.id, *(judgements.c[name] for name in _COPIED)
    ).where(judgements.c.question_id == question_id, judgements.c.id.in_(ids))
    upsert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(current_judgements)
    connection.execute(
        upsert.from_select([*_KEY, "judgement_id", *_COPIED], source).on_conflict_do_update(
            index_elements=list(_KEY),
            set_={name: upsert.excluded[name] for name in ("judgement_id", *_COPIED)},
        )
    )


def restore_current(connection: Connection, question_id: int, item: int, judge_id: int) -> None:
    """Looks the current judgement up in the ledger again, after one was revoked."""
    newest = select(func.max(judgements.c.id)).where(
        judgements.c.question_id == question_id,
        judgements.c.item == item,
        judgements.c.judge_id == judge_id,
        is_live(judgements),
    )
    found = connection.execute(newest).scalar()
    if found is not None:
        set_current(connection, question_id, [found])
        return
    here = current_judgements.c
    connection.execute(
        delete(current_judgements).where(
            here.question_id == question_id, here.item == item, here.judge_id == judge_id
        )
    )


def rebuild_current(connection: Connection, question_id: int) -> None:
    """Derives the question's current rows from the ledger, from nothing."""
    connection.execute(delete(current_judgements).where(current_judgements.c.question_id == question_id))
    newest = (
        select(func.max(judgements.c.id))
        .where(judgements.c.question_id == question_id, is_live(judgements))
        .group_by(judgements.c.item, judgements.c.judge_id)
    )
    source = select(
        *(judgements.c[name] for name in _KEY), judgements.c.id, *(judgements.c[name] for name in _COPIED)
    ).where(judgements.c.id.in_(newest))
    connection.execute(insert(current_judgements).from_select([*_KEY, "judgement_id", *_COPIED], source))


def select_arrays(question_id: int, kinds: Sequence[JudgeKind]) -> Select[Any]:
    """One row per combination of judge, state, answer and stratum, with all its "item,id" pairs as a text.

    Few rows, and numbers that numpy parses: row by row, a million take pg8000 ten times as long.
    """
    here = current_judgements.c
    pair = cast(here.item, String) + "," + cast(here.judgement_id, String)
    group = (here.judge_id, here.state, here.answer, here.stratum)
    return (
        select(*group, func.aggregate_strings(pair, ",").label("pairs"))
        .where(here.question_id == question_id, of_kinds(here.judge_id, kinds))
        .group_by(*group)
    )


def arrays(connection: Connection, question_id: int, kinds: Sequence[JudgeKind]) -> CurrentArrays:
    """Runs `select_arrays` and sorts by ledger id."""
    groups = connection.execute(select_arrays(question_id, kinds)).all()
    pairs = [np.fromstring(row.pairs, dtype=np.int64, sep=",").reshape(-1, 2) for row in groups]
    lengths = [len(part) for part in pairs]
    merged = np.concatenate([*pairs, np.empty((0, 2), np.int64)])
    order = np.argsort(merged[:, 1], kind="stable")
    group = np.repeat(np.arange(len(groups)), lengths)[order]

    def column(values: list[str | None]) -> NDArray[np.object_]:
        return np.array([*values, None], dtype=object)[:-1][group]

    return CurrentArrays(
        id=merged[order, 1],
        item=merged[order, 0],
        judge_id=np.array([row.judge_id for row in groups], dtype=np.int64)[group],
        answer=column([row.answer for row in groups]),
        state=column([row.state for row in groups]),
        stratum=column([row.stratum for row in groups]),
    )


def counts(connection: Connection, question_id: int, kinds: Sequence[JudgeKind]) -> Counts:
    """Counts from the covering index, without reading a judgement."""
    here = current_judgements.c
    statement = (
        select(here.state, here.answer, func.count())
        .where(here.question_id == question_id, of_kinds(here.judge_id, kinds))
        .group_by(here.judge_id, here.state, here.answer)
    )
    by_state: dict[str, int] = {}
    by_class: dict[str, int] = {}
    for state, answer, n in connection.execute(statement):
        by_state[state] = by_state.get(state, 0) + n
        if answer is not None:
            by_class[answer] = by_class.get(answer, 0) + n
    return Counts(by_state, by_class)
