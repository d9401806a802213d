"""The ledger: every judgement that was ever made. Rows are added, never changed and never removed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from plumbline_backend.domain.answer_forms import MAX_ANSWER
from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.domain.types import STATES, JudgeKind, Judgement, NewJudgement, Stratum
from plumbline_backend.store import current, rows
from plumbline_backend.store.checks import integer_problem, refuse, text_problem
from plumbline_backend.store.current import Counts, CurrentArrays
from plumbline_backend.store.database import Database
from plumbline_backend.store.recording import Schema, record_batch, record_one, revoke
from plumbline_backend.store.revoking import revoke_portion
from plumbline_backend.store.streaming import LedgerRow, stream
from plumbline_backend.store.tables import current_judgements, judgements

MAX_UUID = 100
MAX_NOTE = 100_000
MAX_BATCH_NAME = 500
BATCH_ROWS = 2_000
"""Rows of one transaction of a batch: about 0.1 s during which other SQLite writes wait."""
SHOWN_PROBLEMS = 10
LEARNT_FROM: tuple[JudgeKind, ...] = ("person", "imported")
STRATA: tuple[str, ...] = get_args(Stratum)


class Ledger:
    """Recording, undoing and reading judgements."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._schema = Schema()

    def record(self, new: NewJudgement, overlap: int | None = None) -> Judgement:
        """Adds a judgement and returns it once it is on disk; releases the judge's lease of the item.

        It supersedes the judge's current judgement of the item, if there is one. The same client_uuid
        twice is recorded once and gives the first row back. Raises InputError (text that cannot be stored,
        an answer outside the schema, an item outside the pool), NotFoundError (judge, question, version),
        ConflictError when the client_uuid was used for something else, or (with `overlap`, the number of people who
        are asked each item) when the item's lease has ended and the item went to as many others.
        """
        refuse(_problems(new))
        with _conflicts_named():
            return self._database.write(lambda connection: record_one(connection, self._schema, new, overlap))

    def record_many(self, new: Sequence[NewJudgement], batch: str) -> int:
        """Adds many judgements under a batch's name; returns how many were new (client_uuid not seen before).

        All are checked before the first is written. They are committed in portions of `BATCH_ROWS`, so
        that people's answers pass in between: after a failure, give the same rows again to complete it.
        """
        refuse([text_problem("batch", batch, limit=MAX_BATCH_NAME, required=True)])
        _refuse_many(new)
        added = 0
        for start in range(0, len(new), BATCH_ROWS):
            portion = new[start : start + BATCH_ROWS]
            added += self._record_portion(portion, batch)
        if len(new) > BATCH_ROWS:
            self._database.refresh_statistics()
        return added

    def undo(
        self, question_id: int, judge_id: int, client_uuid: str, judgement_id: int | None = None
    ) -> Judgement | None:
        """Revokes the judge's newest live judgement, or the named one, and returns it.

        None when there is nothing to undo (then nothing is recorded either). Undoing a revision brings the
        earlier answer back. The same client_uuid twice undoes once and gives the same judgement back.
        Raises ConflictError when the named one is undone already or is itself an undo, NotFoundError when
        it is not this judge's.
        """
        refuse([text_problem("client_uuid", client_uuid, limit=MAX_UUID, required=True)])
        with _conflicts_named():
            return self._database.write(
                lambda connection: revoke(connection, question_id, judge_id, client_uuid, judgement_id)
            )

    def revoke_many(
        self,
        question_id: int,
        client_uuid: str,
        *,
        batch: str | None = None,
        ids: Sequence[int] | None = None,
    ) -> int:
        """Revokes every live judgement of a batch, or the named ones; returns how many there were.

        What they superseded is in force again. In portions, so that people's answers pass in between; after a
        failure call it again. Nothing left to revoke gives 0. Raises InputError without batch and ids.
        """
        refuse(
            [
                text_problem("client_uuid", client_uuid, limit=MAX_UUID - 20, required=True),
                None if batch is None else text_problem("batch", batch, limit=MAX_BATCH_NAME, required=True),
                "batch and ids are both missing; expected one of them"
                if batch is None and ids is None
                else None,
            ]
        )
        named = None if ids is None else [int(each) for each in ids]
        portions = [None] if named is None else [named[i : i + 500] for i in range(0, len(named), 500)]
        revoked = 0
        for portion in portions:
            while taken := self._revoke_portion(question_id, client_uuid, batch, portion):
                revoked += taken
        return revoked

    def current(
        self,
        question_id: int,
        items: Iterable[int] | None = None,
        judge_id: int | None = None,
        judge_kinds: Sequence[JudgeKind] | None = None,
    ) -> list[Judgement]:
        """The newest live judgement of each (item, judge), by item. None does not restrict."""
        here = current_judgements.c
        statement = (
            select(*rows.JUDGEMENT)
            .select_from(current_judgements.join(judgements, judgements.c.id == here.judgement_id))
            .where(here.question_id == question_id)
            .order_by(here.item, here.judge_id)
        )
        if judge_id is not None:
            statement = statement.where(here.judge_id == judge_id)
        if judge_kinds is not None:
            statement = statement.where(current.of_kinds(here.judge_id, judge_kinds))
        with self._database.read() as connection:
            if items is None:
                return [rows.judgement(row) for row in connection.execute(statement)]
            wanted = sorted({int(item) for item in items})
            return [
                rows.judgement(row)
                for start in range(0, len(wanted), 1_000)
                for row in connection.execute(statement.where(here.item.in_(wanted[start : start + 1_000])))
            ]

    def current_arrays(
        self, question_id: int, judge_kinds: Sequence[JudgeKind] = LEARNT_FROM
    ) -> CurrentArrays:
        """The current judgements as columns, oldest first."""
        with self._database.read() as connection:
            return current.arrays(connection, question_id, judge_kinds)

    def history(
        self,
        question_id: int,
        *,
        item: int | None = None,
        judge_id: int | None = None,
        limit: int | None = 50,
    ) -> list[Judgement]:
        """Ledger rows, newest first, with the superseded, the revoked and the undos among them."""
        statement = select(*rows.JUDGEMENT).where(judgements.c.question_id == question_id)
        if item is not None:
            statement = statement.where(judgements.c.item == item)
        if judge_id is not None:
            statement = statement.where(judgements.c.judge_id == judge_id)
        with self._database.read() as connection:
            found = connection.execute(statement.order_by(judgements.c.id.desc()).limit(limit))
            return [rows.judgement(row) for row in found]

    def page(
        self,
        question_id: int,
        after_id: int,
        limit: int,
        *,
        item: int | None = None,
        judge_id: int | None = None,
    ) -> tuple[list[Judgement], set[int]]:
        """Up to `limit` rows newer than `after_id`, oldest first, and the ids of those that are in force.

        With several writers on Postgres a lower id can be committed after a higher one.
        """
        here = judgements.c
        statement = select(*rows.JUDGEMENT).where(here.question_id == question_id, here.id > after_id)
        if item is not None:
            statement = statement.where(here.item == item)
        if judge_id is not None:
            statement = statement.where(here.judge_id == judge_id)
        with self._database.read() as connection:
            found = [
                rows.judgement(row) for row in connection.execute(statement.order_by(here.id).limit(limit))
            ]
            ids = current_judgements.c.judgement_id
            in_force = select(ids).where(
                current_judgements.c.question_id == question_id, ids.in_([row.id for row in found])
            )
            return found, set(connection.scalars(in_force))

    def counts(self, question_id: int, judge_kinds: Sequence[JudgeKind] = LEARNT_FROM) -> Counts:
        """How many current judgements there are, by state and by class."""
        with self._database.read() as connection:
            return current.counts(connection, question_id, judge_kinds)

    def newest_id(
        self, question_id: int, judge_kinds: Sequence[JudgeKind] | None = None, after_id: int = 0
    ) -> int:
        """Id of the question's newest ledger row (an undo counts) beyond `after_id`, else `after_id`.

        judge_kinds: rows of these judges only; looking at all of them is quicker.
        """
        here = judgements.c
        if judge_kinds is None:
            statement = select(func.max(here.id)).where(here.question_id == question_id)
        else:
            learnt = current.of_kinds(here.judge_id, judge_kinds)
            beyond = select(here.id).where(here.question_id == question_id, here.id > after_id, learnt)
            statement = beyond.order_by(here.id.desc()).limit(1)
        kinds = None if judge_kinds is None else tuple(judge_kinds)
        newest = self._database.once(
            ("newest id", question_id, kinds, after_id), lambda c: int(c.execute(statement).scalar() or 0)
        )
        return max(after_id, newest)

    def items_since(self, question_id: int, after_id: int) -> list[int]:
        """Items with a row (an undo counts) newer than `after_id`, each once, in ascending order."""
        statement = (
            select(judgements.c.item)
            .where(judgements.c.question_id == question_id, judgements.c.id > after_id)
            .distinct()
            .order_by(judgements.c.item)
        )
        with self._database.read() as connection:
            return [int(item) for item in connection.scalars(statement)]

    def n_since(self, question_id: int, after_id: int, judge_kinds: Sequence[JudgeKind] = LEARNT_FROM) -> int:
        """How many rows (undos count) of such judges are newer than `after_id`."""
        statement = select(func.count()).where(
            judgements.c.question_id == question_id,
            judgements.c.id > after_id,
            current.of_kinds(judgements.c.judge_id, judge_kinds),
        )
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def iter_rows(
        self, question_id: int, include_superseded: bool = False, chunk: int = 2_000
    ) -> Iterator[LedgerRow]:
        """Streams the ledger, oldest first, as it is at the first row: for exports of any size.

        Only current judgements, unless `include_superseded`: then every row. In memory: `chunk` rows, and
        eight bytes for every current judgement.
        """
        refuse([integer_problem("chunk", chunk, low=1)])
        with self._database.read() as connection:
            yield from stream(connection, question_id, include_superseded, chunk)

    def rebuild_current(self, question_id: int) -> None:
        """Derives the current view from the ledger again; it changes nothing unless somebody edited the file."""
        self._database.write(lambda connection: current.rebuild_current(connection, question_id))

    def _record_portion(self, portion: Sequence[NewJudgement], batch: str) -> int:
        def apply(connection: Connection) -> int:
            return record_batch(connection, self._schema, portion, batch)

        with _conflicts_named():
            return self._database.write(apply)

    def _revoke_portion(
        self, question_id: int, client_uuid: str, batch: str | None, ids: Sequence[int] | None
    ) -> int:
        return self._database.write(
            lambda connection: revoke_portion(connection, question_id, client_uuid, batch, ids)
        )


class _conflicts_named:  # noqa: N801 - a context manager
    """Turns the database's own refusals into words: two judges used one client_uuid, or a query is unknown."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not isinstance(error, DBAPIError):
            return
        reason = str(error.orig).lower()
        if "foreign key" in reason:
            raise InputError("query_id names a query that does not exist") from error
        if "client_uuid" in reason:
            raise ConflictError(
                "client_uuid was used before; expected a new one for every judgement"
            ) from error


def _refuse_many(new: Sequence[NewJudgement]) -> None:
    found: list[str] = []
    n_problems = 0
    for number, entry in enumerate(new, 1):
        for problem in _problems(entry):
            if problem is not None:
                n_problems += 1
                if n_problems <= SHOWN_PROBLEMS:
                    found.append(f"judgement {number}: {problem}")
    if n_problems > SHOWN_PROBLEMS:
        found.append(f"... and {n_problems - SHOWN_PROBLEMS} more")
    refuse(found)


def _problems(new: NewJudgement) -> Iterable[str | None]:
    yield integer_problem("item", new.item)
    yield text_problem("client_uuid", new.client_uuid, limit=MAX_UUID, required=True)
    yield text_problem("note", new.note, limit=MAX_NOTE)
    if new.state not in STATES:
        yield f"state is {new.state!r}; expected one of {', '.join(STATES)}"
    if new.stratum not in STRATA:
        yield f"stratum is {new.stratum!r}; expected one of {', '.join(STRATA)}"
    if new.answer is not None:
        yield text_problem("answer", new.answer, limit=MAX_ANSWER, required=True)
    if (new.state == "answered") != (new.answer is not None):
        yield f"answer is {new.answer!r} in state {new.state!r}; expected an answer exactly when answered"
    if new.seconds is not None and not (math.isfinite(new.seconds) and new.seconds >= 0):
        yield f"seconds is {new.seconds}; expected a duration of 0 or more"
    if new.proba is not None and not all(0 <= value <= 1 for value in new.proba):
        yield "proba has a value outside 0 to 1 (or NaN); expected probabilities"
