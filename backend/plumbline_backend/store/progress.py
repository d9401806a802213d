"""How far each person is with a question."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import current_judgements, judgements, judges, leases


@dataclass(frozen=True)
class PersonProgress:
    """What one person has done, and what is promised to them now."""

    judge_id: int
    name: str
    n_by_state: dict[str, int] = field(default_factory=dict)
    n_held: int = 0
    last_at: datetime | None = None

    @property
    def n_answered(self) -> int:
        """Items with an answer."""
        return self.n_by_state.get("answered", 0)


class Progress:
    """Counts by person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, project_id: int, question_id: int) -> list[PersonProgress]:
        """Every person who has said anything or holds anything, by name."""
        here = current_judgements.c
        states = (
            select(here.judge_id, here.state, func.count())
            .where(here.question_id == question_id)
            .group_by(here.judge_id, here.state)
        )
        held = (
            select(leases.c.judge_id, func.count())
            .where(leases.c.question_id == question_id, leases.c.expires_at > now())
            .group_by(leases.c.judge_id)
        )
        newest = (
            select(judgements.c.judge_id, func.max(judgements.c.id))
            .where(judgements.c.question_id == question_id)
            .group_by(judgements.c.judge_id)
        ).subquery()
        times = select(judgements.c.judge_id, judgements.c.created_at).join(
            newest, newest.c[1] == judgements.c.id
        )
        who = select(judges.c.id, judges.c.name).where(
            judges.c.project_id == project_id, judges.c.kind == "person"
        )
        with self._database.read() as connection:
            names = {row[0]: row[1] for row in connection.execute(who)}
            n_by_state: dict[int, dict[str, int]] = defaultdict(dict)
            for judge_id, state, n in connection.execute(states):
                n_by_state[judge_id][state] = n
            n_held = {row[0]: row[1] for row in connection.execute(held)}
            last_at = {row[0]: row[1] for row in connection.execute(times)}
        found = [
            PersonProgress(id_, name, n_by_state.get(id_, {}), n_held.get(id_, 0), last_at.get(id_))
            for id_, name in names.items()
        ]
        return sorted((p for p in found if p.n_by_state or p.n_held), key=lambda p: p.name.casefold())
