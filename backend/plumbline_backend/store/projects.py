"""Projects: what a workspace holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from plumbline_backend.domain.errors import ConflictError, NotFoundError, did_you_mean, shorten
from plumbline_backend.domain.types import ProjectRow
from plumbline_backend.store.checks import integer_problem, json_object, refuse, text_problem
from plumbline_backend.store.columns import now
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import (
    current_judgements,
    draws,
    jobs,
    judgements,
    judges,
    leases,
    models,
    partitions,
    projects,
    queries,
    question_versions,
    questions,
)
from plumbline_backend.store.tables_api import webhooks
from plumbline_backend.store.tables_people import comments, invitations, memberships, people

MAX_NAME = 200
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")

ProjectRows = list[ProjectRow]


class Projects:
    """Projects by slug."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        slug: str,
        name: str,
        n_items: int,
        settings: Mapping[str, Any] | None = None,
        owner: str | None = None,
    ) -> ProjectRow:
        """A new project. Raises ConflictError when the slug is taken, InputError for what cannot be stored.

        owner: name of the account that owns it from its first moment on.

        slug: 1 to 80 of a-z, 0-9, - and _, not starting with - or _: it is part of URLs and folder names.
        """
        refuse([_slug_problem(slug), _name_problem(name), integer_problem("n_items", n_items)])
        values = {
            "slug": slug,
            "name": name,
            "n_items": int(n_items),
            "settings": json_object("settings", {} if settings is None else settings),
        }

        def apply(connection: Connection) -> ProjectRow:
            if connection.execute(select(projects.c.id).where(projects.c.slug == slug)).first() is not None:
                raise ConflictError(f"a project named {slug!r} exists already; choose another name")
            statement = insert(projects).values(created_at=now(), **values).returning(projects)
            made = _project(connection.execute(statement).one())
            if owner is not None:
                _own(connection, made.id, owner)
            return made

        return self._database.write(apply)

    def get(self, slug: str) -> ProjectRow:
        """The project. Raises NotFoundError with the nearest slug."""
        return self._database.once(("project", slug), lambda connection: _named(connection, slug))

    def list(self) -> ProjectRows:
        """Every project, oldest first."""
        with self._database.read() as connection:
            return [_project(row) for row in connection.execute(select(projects).order_by(projects.c.id))]

    def update_settings(self, project_id: int, settings: Mapping[str, Any]) -> ProjectRow:
        """Replaces the project's settings."""
        return self._update(project_id, settings=json_object("settings", settings))

    def change_settings(self, project_id: int, changes: Mapping[str, Any]) -> ProjectRow:
        """Changes the named settings and keeps the others, whoever else is changing some at the same time."""
        checked = json_object("settings", changes)

        def apply(connection: Connection) -> ProjectRow:
            here = select(projects.c.settings).where(projects.c.id == project_id).with_for_update()
            found = connection.execute(here).scalar()
            if found is None:
                raise NotFoundError(f"project {project_id} does not exist")
            statement = update(projects).where(projects.c.id == project_id)
            return _project(
                connection.execute(statement.values(settings={**found, **checked}).returning(projects)).one()
            )

        return self._database.write(apply)

    def rename(self, project_id: int, name: str) -> ProjectRow:
        """Changes the name that people see; the slug stays."""
        refuse([_name_problem(name)])
        return self._update(project_id, name=name)

    def delete(self, project_id: int) -> None:
        """Removes the project and everything said in it, for good. Raises NotFoundError."""
        self._database.write(lambda connection: _delete(connection, project_id))

    def _update(self, project_id: int, **values: object) -> ProjectRow:
        def apply(connection: Connection) -> ProjectRow:
            statement = update(projects).where(projects.c.id == project_id).values(**values)
            row = connection.execute(statement.returning(projects)).first()
            if row is None:
                raise NotFoundError(f"project {project_id} does not exist")
            return _project(row)

        return self._database.write(apply)


def _own(connection: Connection, project_id: int, owner: str) -> None:
    person_id = connection.execute(select(people.c.id).where(people.c.name == owner)).scalar()
    if person_id is None:
        raise NotFoundError(f"there is no account named {owner!r}")
    values = {"project_id": project_id, "person_id": person_id, "role": "owner", "added_at": now()}
    connection.execute(insert(memberships).values(**values))


def _delete(connection: Connection, project_id: int) -> None:
    """Children before parents."""
    of_project = select(questions.c.id).where(questions.c.project_id == project_id).scalar_subquery()
    for table in (leases, current_judgements, judgements):
        connection.execute(delete(table).where(table.c.question_id.in_(of_project)))
    for table in (comments, invitations, memberships, webhooks, draws, partitions, queries, models):
        connection.execute(delete(table).where(table.c.project_id == project_id))
    connection.execute(delete(question_versions).where(question_versions.c.question_id.in_(of_project)))
    for table in (questions, judges, jobs):
        connection.execute(delete(table).where(table.c.project_id == project_id))
    if connection.execute(delete(projects).where(projects.c.id == project_id)).rowcount == 0:
        raise NotFoundError(f"project {project_id} does not exist")


def _named(connection: Connection, slug: str) -> ProjectRow:
    possible = _slug_problem(slug) is None  # Postgres refuses to look for a NUL
    found = connection.execute(select(projects).where(projects.c.slug == slug)) if possible else None
    row = None if found is None else found.first()
    if row is None:
        slugs = connection.scalars(select(projects.c.slug)).all()
        raise NotFoundError(f"project {shorten(slug)!r} does not exist; {did_you_mean(slug, slugs)}")
    return _project(row)


def _slug_problem(slug: object) -> str | None:
    if isinstance(slug, str) and _SLUG.fullmatch(slug):
        return None
    return f"slug is {shorten(repr(slug))}; expected 1 to 80 of a-z, 0-9, - and _, starting with a-z or 0-9"


def _name_problem(name: object) -> str | None:
    return text_problem("name", name, limit=MAX_NAME, required=True)


def _project(row: Row[Any]) -> ProjectRow:
    return ProjectRow(
        id=row.id,
        slug=row.slug,
        name=row.name,
        created_at=row.created_at,
        n_items=row.n_items,
        settings=row.settings,
    )
