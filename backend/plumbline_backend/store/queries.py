"""Queries: why items were asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.types import QueryRow
from plumbline_backend.store.checks import integer_problem, refuse, text_problem
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import models, queries, questions

MAX_TEXT = 4_096


class Queries:
    """Rankings that were computed, each with the folder of its arrays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, project_id: int, question_id: int, strategy: str, model_id: int | None, seed: int, folder: str
    ) -> QueryRow:
        """A new query. Raises InputError when question or model are not of that project and question."""
        refuse(
            [
                text_problem("strategy", strategy, limit=MAX_TEXT, required=True),
                text_problem("folder", folder, limit=MAX_TEXT),
                integer_problem("seed", seed, low=-(2**63)),
            ]
        )

        def apply(connection: Connection) -> QueryRow:
            require_question(connection, project_id, question_id)
            if model_id is not None:
                owner = select(models.c.question_id).where(models.c.id == model_id)
                if connection.execute(owner).scalar() != question_id:
                    raise InputError(f"model {model_id} is not a model of question {question_id}")
            values = {
                "project_id": project_id,
                "question_id": question_id,
                "strategy": strategy,
                "model_id": model_id,
                "seed": int(seed),
                "folder": folder,
            }
            statement = insert(queries).values(created_at=now(), **values).returning(queries)
            return _query(connection.execute(statement).one())

        return self._database.write(apply)

    def newest(self, question_id: int) -> QueryRow | None:
        """The newest query of a question, or None before the first."""
        statement = (
            select(queries).where(queries.c.question_id == question_id).order_by(queries.c.id.desc()).limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _query(row)

    def get(self, query_id: int) -> QueryRow:
        """The query. Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(select(queries).where(queries.c.id == query_id)).first()
        if row is None:
            raise NotFoundError(f"query {query_id} does not exist")
        return _query(row)

    def find(self, question_id: int, query_id: int) -> QueryRow | None:
        """The query, or None where this question has no such one."""
        statement = select(queries).where(queries.c.id == query_id, queries.c.question_id == question_id)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else _query(row)


def require_question(connection: Connection, project_id: int, question_id: int) -> None:
    """Locks the question's row until commit. Raises InputError when it is not the project's."""
    statement = select(questions.c.project_id).where(questions.c.id == question_id)
    if connection.execute(statement.with_for_update(key_share=True)).scalar() != project_id:
        raise InputError(f"question {question_id} is not a question of project {project_id}")


def _query(row: Row[Any]) -> QueryRow:
    return QueryRow(
        id=row.id,
        project_id=row.project_id,
        question_id=row.question_id,
        strategy=row.strategy,
        model_id=row.model_id,
        seed=row.seed,
        created_at=row.created_at,
        folder=row.folder,
    )
