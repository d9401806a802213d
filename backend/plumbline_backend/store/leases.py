"""Leases: a promise that nobody else is asked an item now. They end by the database's clock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, insert, select, update

from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.types import Ask, Stratum
from plumbline_backend.store.checks import integer_problem, refuse, text_problem
from plumbline_backend.store.columns import now, now_plus
from plumbline_backend.store.database import Database
from plumbline_backend.store.overlap import answered_by_people, lock_question
from plumbline_backend.store.recording import lock_judge
from plumbline_backend.store.tables import current_judgements, leases, questions

MAX_HOLDER = 200
MAX_REASON = 2_000
MIN_LOOKAHEAD = 32
"""Candidates checked at once. Most are free, so one query usually suffices for a queue of ten."""

Plan = Callable[[int], Iterable[Ask]]
"""From the number of items asked so far to candidates in order of preference. Runs inside the write
transaction: it must be quick, lazy, and touch no database."""


@dataclass(frozen=True)
class _Claim:
    question_id: int
    holder: str
    judge_id: int
    ttl_s: float
    per_item: int
    enough_answers: int | None


class Leases:
    """Claiming items to ask, and letting go of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        question_id: int,
        holder: str,
        judge_id: int,
        plan: Plan,
        n: int,
        ttl_s: float,
        per_item: int = 1,
        enough_answers: int | None = None,
    ) -> list[Ask]:
        """Leases up to `n` items to `holder` (a browser tab) for `ttl_s` seconds, atomically.

        What the holder already has comes first, renewed, so that a refresh shows the same items. The rest
        comes from `plan`, in its order, without items that `per_item` others hold, that `judge_id` holds in
        another tab or has a current judgement of, or (when `enough_answers` is given) whose answers by people
        and leases together are that many. The question's ask counter advances by the number newly leased.
        """
        refuse(
            [
                text_problem("holder", holder, limit=MAX_HOLDER, required=True),
                integer_problem("n", n, high=10_000),
                integer_problem("per_item", per_item, low=1),
                None if 0 < ttl_s < math.inf else f"ttl_s is {ttl_s}; expected seconds, more than 0",
            ]
        )
        claim = _Claim(question_id, holder, judge_id, float(ttl_s), per_item, enough_answers)
        return self._database.write(lambda connection: _claim(connection, claim, plan, n))

    def release(self, question_id: int, holder: str, items: Iterable[int] | None = None) -> int:
        """Ends the holder's leases, of the given items or all; returns how many ended."""
        statement = delete(leases).where(leases.c.question_id == question_id, leases.c.holder == holder)
        if items is not None:
            statement = statement.where(leases.c.item.in_([int(item) for item in items]))
        return self._database.write(lambda connection: connection.execute(statement).rowcount)

    def live(self, question_id: int) -> set[int]:
        """Items that somebody holds now."""
        statement = select(leases.c.item).where(
            leases.c.question_id == question_id, leases.c.expires_at > now()
        )
        with self._database.read() as connection:
            return set(connection.scalars(statement))

    def stratum(self, question_id: int, item: int, judge_id: int) -> Stratum | None:
        """How an item that the judge holds came to be asked; None where the judge holds it no longer."""
        statement = select(leases.c.stratum).where(
            leases.c.question_id == question_id, leases.c.item == item, leases.c.judge_id == judge_id
        )
        with self._database.read() as connection:
            found: Stratum | None = connection.scalar(statement)
        return found

    def bump_asks(self, question_id: int, n: int) -> int:
        """Advances the question's ask counter by `n`; returns its value before."""
        refuse([integer_problem("n", n)])
        return self._database.write(lambda connection: _bump(connection, question_id, n))

    def sweep(self) -> int:
        """Removes leases that have ended, of every question; returns how many. Claiming does so for its own."""
        statement = delete(leases).where(leases.c.expires_at <= now())
        return self._database.write(lambda connection: connection.execute(statement).rowcount)


def _claim(connection: Connection, claim: _Claim, plan: Plan, n: int) -> list[Ask]:
    asks = lock_question(connection, claim.question_id)
    lock_judge(connection, claim.judge_id, claim.question_id)
    connection.execute(
        delete(leases).where(leases.c.question_id == claim.question_id, leases.c.expires_at <= now())
    )
    held = _renew(connection, claim)
    wanted = n - len(held)
    if wanted <= 0:
        return held[:n]
    taken = list(islice(_free(connection, claim, plan(asks), {ask.item for ask in held}), wanted))
    if taken:
        values = [_values(claim, ask, asks + number) for number, ask in enumerate(taken)]
        connection.execute(insert(leases).values(expires_at=now_plus(claim.ttl_s)), values)
        _bump(connection, claim.question_id, len(taken))
    return held + taken


def _renew(connection: Connection, claim: _Claim) -> list[Ask]:
    """The holder's leases, with a new expiry. Those it took as another judge end."""
    ours = (leases.c.question_id == claim.question_id, leases.c.holder == claim.holder)
    connection.execute(delete(leases).where(*ours, leases.c.judge_id != claim.judge_id))
    connection.execute(update(leases).where(*ours).values(expires_at=now_plus(claim.ttl_s)))
    return [_ask(row) for row in connection.execute(select(leases).where(*ours).order_by(leases.c.ask))]


def _free(connection: Connection, claim: _Claim, candidates: Iterable[Ask], seen: set[int]) -> Iterator[Ask]:
    """The candidates that may be leased, each once.

    Leases are counted before answers: an answer that is committed in between is then counted twice, never not at all.
    """
    held, elsewhere = _leased(connection, claim)
    full = {item for item, n in held.items() if n >= claim.per_item} | elsewhere
    remaining = (ask for ask in candidates if ask.item not in full)
    while chunk := list(islice(remaining, MIN_LOOKAHEAD)):
        refuse(_candidate_problem(ask) for ask in chunk)
        barred = _barred(connection, claim, [ask.item for ask in chunk], held)
        for ask in chunk:
            if ask.item not in barred and ask.item not in seen:
                seen.add(ask.item)
                yield ask


def _leased(connection: Connection, claim: _Claim) -> tuple[dict[int, int], set[int]]:
    """How often each item of the question is leased, and which of them to this judge (in another tab).

    Read once: fifty people hold 500 items at the head of a ranking, and looking those up a few at a time took 60
    queries for each claim.
    """
    mine = func.max(case((leases.c.judge_id == claim.judge_id, 1), else_=0))
    statement = (
        select(leases.c.item, func.count(), mine)
        .where(leases.c.question_id == claim.question_id)
        .group_by(leases.c.item)
    )
    rows = connection.execute(statement).all()
    return {item: n for item, n, _ in rows}, {item for item, _, own in rows if own}


def _barred(connection: Connection, claim: _Claim, items: Sequence[int], held: Mapping[int, int]) -> set[int]:
    """Those of `items` that must not be asked for what was answered. Lookups by primary key; the ledger is not read."""
    here = current_judgements.c
    own = select(here.item).where(
        here.question_id == claim.question_id, here.item.in_(items), here.judge_id == claim.judge_id
    )
    barred = set(connection.scalars(own))
    if claim.enough_answers is None:
        return barred
    answered = Counter(connection.scalars(answered_by_people(claim.question_id, items)))
    enough = {item for item, n in answered.items() if n + held.get(item, 0) >= claim.enough_answers}
    return barred | enough


def _bump(connection: Connection, question_id: int, n: int) -> int:
    statement = (
        update(questions).where(questions.c.id == question_id).values(asks=questions.c.asks + n)
    ).returning(questions.c.asks)
    after = connection.execute(statement).scalar()
    if after is None:
        raise NotFoundError(f"question {question_id} does not exist")
    return int(after) - n


def _candidate_problem(ask: Ask) -> str | None:
    return integer_problem("a candidate's item", ask.item) or text_problem(
        "a candidate's reason", ask.reason, limit=MAX_REASON
    )


def _values(claim: _Claim, ask: Ask, number: int) -> dict[str, Any]:
    unknown = ask.utility is None or math.isnan(ask.utility)
    return {
        "question_id": claim.question_id,
        "item": int(ask.item),
        "holder": claim.holder,
        "judge_id": claim.judge_id,
        "ask": number,
        "query_id": ask.query_id,
        "stratum": ask.stratum,
        "rank": int(ask.rank),
        "utility": None if unknown else float(ask.utility),  # type: ignore[arg-type]
        "reason": ask.reason,
    }


def _ask(row: Row[Any]) -> Ask:
    return Ask(row.item, row.query_id, row.stratum, row.rank, row.utility, row.reason)
