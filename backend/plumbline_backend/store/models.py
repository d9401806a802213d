"""Model versions: trained, calibrated heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.types import ModelVersion
from plumbline_backend.store.checks import integer_problem, json_object, refuse, text_problem
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.queries import require_question
from plumbline_backend.store.tables import models

MAX_TEXT = 4_096

ModelVersions = list[ModelVersion]


class Models:
    """Models of a question, numbered from 1."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        *,
        project_id: int,
        question_id: int,
        judge_id: int,
        folder: str,
        n_train: int,
        n_stream: int,
        ledger_id: int,
        metrics: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """A new model with the question's next version number. NaN in `metrics` stays NaN."""
        numbers = {"n_train": n_train, "n_stream": n_stream, "ledger_id": ledger_id, "judge_id": judge_id}
        refuse(
            [
                text_problem("folder", folder, limit=MAX_TEXT),
                *(integer_problem(name, value) for name, value in numbers.items()),
            ]
        )
        values = {
            "project_id": project_id,
            "question_id": question_id,
            "folder": folder,
            "metrics": json_object("metrics", {} if metrics is None else metrics),
            **{name: int(value) for name, value in numbers.items()},
        }

        def apply(connection: Connection) -> ModelVersion:
            require_question(connection, project_id, question_id)
            newest = select(func.max(models.c.version)).where(models.c.question_id == question_id)
            version = (connection.execute(newest).scalar() or 0) + 1
            statement = insert(models).values(created_at=now(), version=version, **values)
            return _model(connection.execute(statement.returning(models)).one())

        return self._database.write(apply)

    def list(self, question_id: int) -> ModelVersions:
        """Every model of a question, newest first."""
        return self._select(question_id, None)

    def newest(self, question_id: int) -> ModelVersion | None:
        """The newest model, or None before the first."""
        key = ("newest model", question_id)
        return self._database.once(key, lambda _: next(iter(self._select(question_id, 1)), None))

    def get(self, model_id: int) -> ModelVersion:
        """The model. Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(select(models).where(models.c.id == model_id)).first()
        if row is None:
            raise NotFoundError(f"model {model_id} does not exist")
        return _model(row)

    def _select(self, question_id: int, limit: int | None) -> ModelVersions:
        statement = select(models).where(models.c.question_id == question_id)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(models.c.version.desc()).limit(limit))
            return [_model(row) for row in rows]


def _model(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        id=row.id,
        project_id=row.project_id,
        question_id=row.question_id,
        version=row.version,
        judge_id=row.judge_id,
        folder=row.folder,
        created_at=row.created_at,
        n_train=row.n_train,
        n_stream=row.n_stream,
        ledger_id=row.ledger_id,
        metrics=row.metrics,
    )
