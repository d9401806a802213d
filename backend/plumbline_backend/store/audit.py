"""The audit log: who did what. Lines are added, never changed and never removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, insert, select

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.people import AuditEntry
from plumbline_backend.store.checks import json_object, refuse, text_problem
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables_people import audit

MAX_TEXT = 300
MAX_PAGE = 1_000
FILTERS = ("person", "project", "action")
"""The only fields that a reader may filter by. Filters by whatever field is named let readers of other products
guess secrets character by character."""


class Audit:
    """Lines of the log, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        person: str,
        action: str,
        subject: str = "",
        *,
        project: str = "",
        detail: Mapping[str, Any] | None = None,
        address: str = "",
    ) -> None:
        """Write a line. What is too long or cannot be stored is cut or replaced: a line is never refused for it."""
        values = {
            "person": _storable(person),
            "action": _storable(action),
            "subject": _storable(subject),
            "project": _storable(project),
            "address": _storable(address),
            "detail": json_object("detail", detail or {}),
        }
        statement = insert(audit).values(at=now(), **values)
        self._database.write(lambda connection: connection.execute(statement).rowcount)

    def page(
        self, filters: Mapping[str, str] | None = None, *, before_id: int | None = None, limit: int = 100
    ) -> list[AuditEntry]:
        """Up to `limit` lines older than `before_id` that meet every filter.

        Raises InputError for a field that is not in `FILTERS`.
        """
        statement = select(audit).order_by(audit.c.id.desc()).limit(max(1, min(int(limit), MAX_PAGE)))
        for field, value in (filters or {}).items():
            if field not in FILTERS:
                raise InputError(f"filter {field!r} does not exist; {did_you_mean(field, FILTERS)}")
            refuse([text_problem(field, value, limit=MAX_TEXT)])
            statement = statement.where(audit.c[field] == value)
        if before_id is not None:
            statement = statement.where(audit.c.id < before_id)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(statement)]

    def actions(self) -> list[str]:
        """Every action that occurs, in alphabetical order."""
        with self._database.read() as connection:
            return list(connection.scalars(select(audit.c.action).distinct().order_by(audit.c.action)))


def _storable(text: str) -> str:
    kept = text.replace("\0", "�").encode("utf-8", "replace").decode()
    return kept if len(kept) <= MAX_TEXT else kept[: MAX_TEXT - 1] + "…"


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        row.id, row.at, row.person, row.project, row.action, row.subject, row.detail, row.address
    )
