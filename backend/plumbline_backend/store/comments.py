"""What people say about items."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.people import Comment
from plumbline_backend.store.checks import integer_problem, refuse, text_problem
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import projects
from plumbline_backend.store.tables_people import comments

MAX_TEXT = 10_000
MAX_AUTHOR = 100
MAX_UUID = 100


class Comments:
    """Comments by project and item. They are added and resolved, never changed or removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, project_id: int, item: int, author: str, text: str, client_uuid: str) -> Comment:
        """Say something about an item. The same client_uuid twice is recorded once.

        Raises InputError for what cannot be stored or an item outside the pool, NotFoundError for the project,
        ConflictError when the client_uuid was used for something else.
        """
        refuse(
            [
                integer_problem("item", item),
                text_problem("author", author, limit=MAX_AUTHOR, required=True),
                text_problem("text", text, limit=MAX_TEXT, required=True),
                text_problem("client_uuid", client_uuid, limit=MAX_UUID, required=True),
            ]
        )
        values = {
            "project_id": project_id,
            "item": int(item),
            "author": author,
            "text": text,
            "client_uuid": client_uuid,
        }
        return self._database.write(lambda connection: _add(connection, values))

    def of_item(self, project_id: int, item: int, author: str | None = None) -> list[Comment]:
        """What was said about the item, oldest first; by this author alone when one is named."""
        statement = select(comments).where(comments.c.project_id == project_id, comments.c.item == item)
        if author is not None:
            statement = statement.where(comments.c.author == author)
        with self._database.read() as connection:
            return [_comment(row) for row in connection.execute(statement.order_by(comments.c.id))]

    def open(self, project_id: int, limit: int = 200) -> list[Comment]:
        """Comments that nobody has resolved, newest first."""
        here = comments.c
        statement = select(comments).where(here.project_id == project_id, here.resolved_at.is_(None))
        with self._database.read() as connection:
            found = connection.execute(statement.order_by(here.id.desc()).limit(limit))
            return [_comment(row) for row in found]

    def count_open(self, project_id: int) -> int:
        """How many comments nobody has resolved."""
        here = comments.c
        statement = select(func.count()).where(here.project_id == project_id, here.resolved_at.is_(None))
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def resolve(self, project_id: int, comment_id: int, by: str) -> Comment:
        """Mark a comment as settled; the first who does so is kept. Raises NotFoundError."""
        here = (comments.c.project_id == project_id, comments.c.id == comment_id)

        def apply(connection: Connection) -> Comment:
            settle = update(comments).where(*here, comments.c.resolved_at.is_(None))
            connection.execute(settle.values(resolved_at=now(), resolved_by=by))
            row = connection.execute(select(comments).where(*here)).first()
            if row is None:
                raise NotFoundError(f"comment {comment_id} does not exist")
            return _comment(row)

        return self._database.write(apply)


def _add(connection: Connection, values: dict[str, Any]) -> Comment:
    """The project's row lock makes two that come with one client_uuid take turns."""
    lock = select(projects.c.n_items).where(projects.c.id == values["project_id"])
    n_items = connection.execute(lock.with_for_update(key_share=True)).scalar()
    if n_items is None:
        raise NotFoundError(f"project {values['project_id']} does not exist")
    same = (comments.c.project_id == values["project_id"], comments.c.client_uuid == values["client_uuid"])
    present = connection.execute(select(comments).where(*same)).first()
    if present is not None:
        if (present.item, present.author, present.text) != (values["item"], values["author"], values["text"]):
            raise ConflictError("client_uuid was used before; expected a new one for every comment")
        return _comment(present)
    if values["item"] >= n_items:
        raise InputError(
            f"item {values['item']} does not exist; the project has {n_items} items, counted from 0"
        )
    row = connection.execute(insert(comments).values(created_at=now(), **values).returning(comments)).one()
    return _comment(row)


def _comment(row: Row[Any]) -> Comment:
    return Comment(row.id, row.item, row.author, row.text, row.created_at, row.resolved_at, row.resolved_by)
