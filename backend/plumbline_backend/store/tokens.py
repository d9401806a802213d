"""API tokens. Only a digest is kept: whoever reads the database cannot call the API with it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, or_, select, update

from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.store.checks import refuse, text_problem
from plumbline_backend.store.columns import now, now_plus
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables_api import api_tokens

PREFIX = "plumb_"
SHOWN = len(PREFIX) + 4
SECRET_BYTES = 32
"""256 random bits: a plain digest suffices, since nobody can try that many."""
MAX_NAME = 100
MAX_DAYS = 3650.0


@dataclass(frozen=True)
class ApiToken:
    """A token as it can be shown: never the secret itself."""

    id: int
    person: str
    name: str
    start: str
    created_at: datetime
    expires_at: datetime | None


class NewToken(NamedTuple):
    """A token just made. `secret` exists only here."""

    token: ApiToken
    secret: str


class Tokens:
    """Tokens by person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, person: str, name: str, days: float | None = None) -> NewToken:
        """A new token. days: until it ends; None: it does not. Raises InputError."""
        refuse(
            [
                text_problem("person", person, limit=MAX_NAME, required=True),
                text_problem("name", name, limit=MAX_NAME, required=True),
                None
                if days is None or 0 < days <= MAX_DAYS
                else f"days is {days}; expected more than 0, at most {MAX_DAYS:g}",
            ]
        )
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        values: dict[str, Any] = {
            "person": person,
            "name": name.strip(),
            "start": secret[:SHOWN],
            "digest": digest(secret),
            "created_at": now(),
            "expires_at": None if days is None else now_plus(days * 86_400),
        }

        def apply(connection: Connection) -> ApiToken:
            return _token(connection.execute(insert(api_tokens).values(**values).returning(api_tokens)).one())

        return NewToken(self._database.write(apply), secret)

    def find(self, secret: str) -> ApiToken | None:
        """The live token with this secret; None when it is unknown, revoked or past its end."""
        here = api_tokens.c
        statement = select(api_tokens).where(
            here.digest == digest(secret),
            here.revoked_at.is_(None),
            or_(here.expires_at.is_(None), here.expires_at > now()),
        )
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _token(row)

    def of(self, person: str) -> list[ApiToken]:
        """A person's tokens that were not revoked, oldest first."""
        statement = (
            select(api_tokens)
            .where(api_tokens.c.person == person, api_tokens.c.revoked_at.is_(None))
            .order_by(api_tokens.c.id)
        )
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(statement)]

    def revoke(self, person: str, token_id: int) -> None:
        """End a token for good. Raises NotFoundError when the person has no such token."""
        statement = (
            update(api_tokens)
            .where(
                api_tokens.c.id == token_id,
                api_tokens.c.person == person,
                api_tokens.c.revoked_at.is_(None),
            )
            .values(revoked_at=now())
        )
        if self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise NotFoundError(f"token {token_id} does not exist")


def digest(secret: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(row.id, row.person, row.name, row.start, row.created_at, row.expires_at)
