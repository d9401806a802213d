"""Webhooks: addresses that are told of new judgements and models, and how far each has been told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from plumbline_backend.domain.errors import InputError, NotFoundError, did_you_mean
from plumbline_backend.store.checks import refuse, text_problem
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import judgements, models, projects, questions
from plumbline_backend.store.tables_api import webhooks

EVENTS = ("judgements", "model")
MAX_URL = 2_000
MAX_PER_PROJECT = 20


@dataclass(frozen=True)
class Webhook:
    """One address and what it has been told. `failures` counts those since the last success."""

    id: int
    project_id: int
    url: str
    events: tuple[str, ...]
    by: str
    created_at: datetime
    judgement_id: int
    model_id: int
    failures: int
    last_error: str


class Webhooks:
    """Webhooks by project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, project_id: int, url: str, events: Sequence[str], by: str) -> Webhook:
        """A webhook that is told of what happens from now on. Raises InputError, NotFoundError."""
        refuse(
            [
                text_problem("url", url, limit=MAX_URL, required=True),
                None if events else "events is empty; expected at least one",
                *(
                    f"events: {event!r} does not exist; {did_you_mean(event, EVENTS)}"
                    for event in events
                    if event not in EVENTS
                ),
            ]
        )
        values = {
            "url": url,
            "events": list(dict.fromkeys(events)),
            "by": by,
            "failures": 0,
            "last_error": "",
        }

        def apply(connection: Connection) -> Webhook:
            lock = select(projects.c.id).where(projects.c.id == project_id).with_for_update(key_share=True)
            if connection.execute(lock).first() is None:
                raise NotFoundError(f"project {project_id} does not exist")
            _require_room(connection, project_id)
            seen = {
                "judgement_id": _newest_judgement(connection, project_id),
                "model_id": _newest_model(connection, project_id),
            }
            statement = insert(webhooks).values(project_id=project_id, created_at=now(), **values, **seen)
            return _webhook(connection.execute(statement.returning(webhooks)).one())

        return self._database.write(apply)

    def list(self, project_id: int | None = None) -> list[Webhook]:
        """A project's webhooks, or all of them (None), oldest first."""
        statement = select(webhooks).order_by(webhooks.c.id)
        if project_id is not None:
            statement = statement.where(webhooks.c.project_id == project_id)
        with self._database.read() as connection:
            return [_webhook(row) for row in connection.execute(statement)]

    def delete(self, project_id: int, webhook_id: int) -> None:
        """Tell this address no more. Raises NotFoundError."""
        statement = delete(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.project_id == project_id)
        if self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise NotFoundError(f"webhook {webhook_id} does not exist")

    def newest(self, project_id: int) -> tuple[int, int]:
        """(newest ledger row, newest model) of the project; 0 where there is none."""
        with self._database.read() as connection:
            return _newest_judgement(connection, project_id), _newest_model(connection, project_id)

    def told(self, webhook_id: int, judgement_id: int, model_id: int) -> None:
        """Note that the address knows everything up to these rows."""
        self._update(webhook_id, judgement_id=judgement_id, model_id=model_id, failures=0, last_error="")

    def failed(self, webhook_id: int, error: str) -> None:
        """Note that a delivery failed; it is tried again later."""
        self._update(webhook_id, failures=webhooks.c.failures + 1, last_error=error[:500])

    def _update(self, webhook_id: int, **values: object) -> None:
        statement = update(webhooks).where(webhooks.c.id == webhook_id).values(**values)
        self._database.write(lambda connection: connection.execute(statement))


def _require_room(connection: Connection, project_id: int) -> None:
    counted = select(func.count()).where(webhooks.c.project_id == project_id)
    if connection.execute(counted).scalar_one() >= MAX_PER_PROJECT:
        raise InputError(f"the project has {MAX_PER_PROJECT} webhooks; expected at most that many")


def _newest_judgement(connection: Connection, project_id: int) -> int:
    of_project = select(questions.c.id).where(questions.c.project_id == project_id)
    statement = select(func.max(judgements.c.id)).where(judgements.c.question_id.in_(of_project))
    return int(connection.execute(statement).scalar() or 0)


def _newest_model(connection: Connection, project_id: int) -> int:
    statement = select(func.max(models.c.id)).where(models.c.project_id == project_id)
    return int(connection.execute(statement).scalar() or 0)


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        row.id,
        row.project_id,
        row.url,
        tuple(row.events),
        row.by,
        row.created_at,
        row.judgement_id,
        row.model_id,
        row.failures,
        row.last_error,
    )
