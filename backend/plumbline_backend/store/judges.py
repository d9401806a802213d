"""Judges: who or what answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from sqlalchemy import Connection, Row, insert, select

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.types import Judge, JudgeKind
from plumbline_backend.store.checks import integer_problem, json_object, refuse, text_problem
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import judges, projects

MAX_NAME = 500
KINDS: tuple[str, ...] = get_args(JudgeKind)


class Judges:
    """Judges of a project, each with a kind, a name and a version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure(
        self,
        project_id: int,
        kind: JudgeKind,
        name: str,
        version: int = 1,
        spec: Mapping[str, Any] | None = None,
    ) -> Judge:
        """The judge of that kind, name and version, made when missing.

        Raises ConflictError when it exists with another `spec` (a changed judge is a new version); an
        empty `spec` asks for whatever is there. Raises InputError, NotFoundError for the project.
        """
        if kind not in KINDS:
            raise InputError(f"judge kind {kind!r} does not exist; {did_you_mean(str(kind), KINDS)}")
        refuse(
            [
                text_problem("judge name", name, limit=MAX_NAME, required=True),
                integer_problem("judge version", version, low=1, high=2**31 - 1),
            ]
        )
        wanted = json_object("spec", {} if spec is None else spec)
        found = self._find(project_id, kind, name, version)
        if found is None:
            found = self._database.write(
                lambda connection: _insert(connection, Judge(0, project_id, kind, name, version, wanted))
            )
        if wanted and dict(found.spec) != wanted:
            raise ConflictError(f"{kind} judge {name!r} version {version} exists with another spec")
        return found

    def get(self, judge_id: int) -> Judge:
        """The judge. Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(select(judges).where(judges.c.id == judge_id)).first()
        if row is None:
            raise NotFoundError(f"judge {judge_id} does not exist")
        return _judge(row)

    def for_project(self, project_id: int, kind: JudgeKind | None = None) -> list[Judge]:
        """The project's judges, oldest first."""
        statement = select(judges).where(judges.c.project_id == project_id).order_by(judges.c.id)
        if kind is not None:
            statement = statement.where(judges.c.kind == kind)
        with self._database.read() as connection:
            return [_judge(row) for row in connection.execute(statement)]

    def _find(self, project_id: int, kind: str, name: str, version: int) -> Judge | None:
        with self._database.read() as connection:
            return _existing(connection, project_id, kind, name, version)


def _insert(connection: Connection, judge: Judge) -> Judge:
    """Insert, or read what another connection inserted meanwhile: the project's row lock orders them."""
    lock = select(projects.c.id).where(projects.c.id == judge.project_id).with_for_update(key_share=True)
    if connection.execute(lock).first() is None:
        raise NotFoundError(f"project {judge.project_id} does not exist")
    found = _existing(connection, judge.project_id, judge.kind, judge.name, judge.version)
    if found is not None:
        return found
    values = {
        "project_id": judge.project_id,
        "kind": judge.kind,
        "name": judge.name,
        "version": judge.version,
        "spec": dict(judge.spec),
    }
    return _judge(connection.execute(insert(judges).values(**values).returning(judges)).one())


def _existing(connection: Connection, project_id: int, kind: str, name: str, version: int) -> Judge | None:
    row = connection.execute(
        select(judges).where(
            judges.c.project_id == project_id,
            judges.c.kind == kind,
            judges.c.name == name,
            judges.c.version == version,
        )
    ).first()
    return None if row is None else _judge(row)


def _judge(row: Row[Any]) -> Judge:
    return Judge(row.id, row.project_id, row.kind, row.name, row.version, row.spec)
