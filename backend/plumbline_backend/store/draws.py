"""The sampling design of grading projects: how the outputs were split, and which were drawn, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.types import Stratum
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.queries import require_question
from plumbline_backend.store.tables import draws, partitions, queries

DrawRows = list["Draw"]


@dataclass(frozen=True)
class Partition:
    """A split of a project's items into strata by the verdicts of some judges; `labels` has a letter per item."""

    id: int
    judges: tuple[int, ...]
    labels: str


@dataclass(frozen=True)
class Draw:
    """One ask. Only those of the sampling design have a partition and a probability."""

    query_id: int
    question_id: int
    judge_id: int
    item: int
    stratum: Stratum
    partition_id: int | None
    probability: float | None
    created_at: datetime
    closed_at: datetime | None


class Draws:
    """Partitions and draws of a project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def partitions(self, project_id: int) -> list[Partition]:
        """Every split that was used, oldest first."""
        statement = select(partitions).where(partitions.c.project_id == project_id).order_by(partitions.c.id)
        with self._database.read() as connection:
            return [Partition(row.id, tuple(row.judges), row.labels) for row in connection.execute(statement)]

    def add_partition(self, project_id: int, judges: Sequence[int], labels: str) -> Partition:
        """A new split."""
        values = {"project_id": project_id, "judges": list(judges), "labels": labels}

        def apply(connection: Connection) -> Partition:
            statement = insert(partitions).values(created_at=now(), **values).returning(partitions.c.id)
            return Partition(connection.execute(statement).scalar_one(), tuple(judges), labels)

        return self._database.write(apply)

    def add(
        self,
        project_id: int,
        question_id: int,
        judge_id: int,
        item: int,
        stratum: Stratum,
        partition_id: int | None = None,
        probability: float | None = None,
    ) -> Draw:
        """Record that the judge is asked for the item now; the draw's `query_id` goes into the judgements."""

        def apply(connection: Connection) -> Draw:
            require_question(connection, project_id, question_id)
            asked = {
                "project_id": project_id,
                "question_id": question_id,
                "strategy": stratum,
                "seed": 0,
                "folder": "",
                "created_at": now(),
            }
            query_id = connection.execute(
                insert(queries).values(**asked).returning(queries.c.id)
            ).scalar_one()
            values = {
                "query_id": query_id,
                "project_id": project_id,
                "judge_id": judge_id,
                "item": int(item),
                "stratum": stratum,
                "partition_id": partition_id,
                "probability": probability,
            }
            statement = insert(draws).values(created_at=now(), **values).returning(draws)
            return _draw(connection.execute(statement).one(), question_id)

        return self._database.write(apply)

    def list(self, project_id: int) -> DrawRows:
        """Every draw of the project, in order."""
        statement = (
            select(draws, queries.c.question_id)
            .join(queries, queries.c.id == draws.c.query_id)
            .where(draws.c.project_id == project_id)
            .order_by(draws.c.query_id)
        )
        with self._database.read() as connection:
            return [_draw(row, row.question_id) for row in connection.execute(statement)]

    def set_open(self, query_id: int, is_open: bool) -> None:
        """Close a draw once it is answered, or open it again. Raises NotFoundError."""
        values = {"closed_at": None if is_open else now()}

        def apply(connection: Connection) -> None:
            statement = update(draws).where(draws.c.query_id == query_id).values(**values)
            if connection.execute(statement).rowcount == 0:
                raise NotFoundError(f"draw {query_id} does not exist")

        self._database.write(apply)


def _draw(row: Row[Any], question_id: int) -> Draw:
    return Draw(
        query_id=row.query_id,
        question_id=question_id,
        judge_id=row.judge_id,
        item=row.item,
        stratum=row.stratum,
        partition_id=row.partition_id,
        probability=row.probability,
        created_at=row.created_at,
        closed_at=row.closed_at,
    )
