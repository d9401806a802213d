"""Requests that are answered once: sent again under the same key they get the same answer, nothing is done twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from plumbline_backend.domain.errors import ConflictError, InputError
from plumbline_backend.store.checks import refuse, text_problem
from plumbline_backend.store.columns import now, now_plus
from plumbline_backend.store.database import Database, is_integrity_error
from plumbline_backend.store.errors import DatabaseError
from plumbline_backend.store.tables_api import requests

MAX_KEY = 100
KEPT_S = 7 * 86_400.0
"""A client has long given up by then."""
AT_WORK_S = 60.0
"""What a route does under a key, such as starting a job, takes milliseconds; after this long its server has died."""


class Requests:
    """Requests by person and key. A key is claimed before the work and gets its answer after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, person: str, key: str, content: str) -> Any | None:
        """None: this is the first request with the key, go ahead; else the answer that it was given.

        content: a digest of what is asked. Raises InputError for a key that came with other content, DatabaseError
        (send it again later) while the first is being answered, ConflictError where the server died in between.
        """
        refuse([text_problem("Idempotency-Key", key, limit=MAX_KEY, required=True)])
        mine = (requests.c.person == person) & (requests.c.key == key)

        def apply(connection: Connection) -> Any:
            connection.execute(delete(requests).where(requests.c.created_at < now_plus(-KEPT_S)))
            fresh = requests.c.created_at > now_plus(-AT_WORK_S)
            row = connection.execute(select(requests, fresh.label("fresh")).where(mine)).first()
            if row is None:
                values = {"person": person, "key": key, "content": content, "created_at": now()}
                connection.execute(insert(requests).values(**values))
            return row

        try:
            row = self._database.write(apply)
        except DBAPIError as error:
            if not is_integrity_error(error):
                raise
            raise DatabaseError(_BUSY) from error
        if row is None:
            return None
        if row.content != content:
            raise InputError(
                f"Idempotency-Key: {key!r} came with another request before; expected a new key for a new one"
            )
        if row.answer is not None:
            return row.answer
        if row.fresh:
            raise DatabaseError(_BUSY)
        raise ConflictError(
            "the server ended between doing this and saying what came of it; look whether it was done, and send it "
            "with a new key where it was not"
        )

    def finish(self, person: str, key: str, answer: Any) -> None:
        """Keep what the request was answered."""
        mine = (requests.c.person == person) & (requests.c.key == key)
        self._database.write(lambda c: c.execute(update(requests).where(mine).values(answer=answer)))

    def release(self, person: str, key: str) -> None:
        """Forget a request that was refused: nothing was done, and it may come again."""
        mine = (requests.c.person == person) & (requests.c.key == key)
        self._database.write(lambda c: c.execute(delete(requests).where(mine)))


_BUSY = "the same request is being answered just now; send it again in a moment"
