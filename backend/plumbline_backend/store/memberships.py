"""Who takes part in which project, and the links by which people come in."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, insert, select, update

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.people import ROLES, Invitation, Member, Person, Role
from plumbline_backend.store.columns import now, now_plus
from plumbline_backend.store.database import Database
from plumbline_backend.store.people import checked_name, insert_person, name_key, person
from plumbline_backend.store.tables import judges, leases, projects
from plumbline_backend.store.tables_people import invitations, memberships, people


class NewPerson(NamedTuple):
    """An account that comes into being by accepting an invitation."""

    name: str
    password_hash: str | None
    identity: tuple[str, str] | None = None


class Memberships:
    """Roles by project, and invitations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_project(self, project_id: int) -> list[Member]:
        """The project's people, in the order they were added."""
        statement = (
            select(people, memberships.c.role, memberships.c.added_at)
            .join(memberships, memberships.c.person_id == people.c.id)
            .where(memberships.c.project_id == project_id)
            .order_by(memberships.c.added_at, people.c.id)
        )
        with self._database.read() as connection:
            return [Member(person(row), row.role, row.added_at) for row in connection.execute(statement)]

    def set_role(self, project_id: int, person_id: int, role: Role) -> None:
        """Add the person to the project, or change the role there. Raises InputError, NotFoundError."""
        checked = checked_role(role)
        self._database.write(lambda connection: _join(connection, project_id, person_id, checked))

    def remove(self, project_id: int, person_id: int) -> int:
        """Take the person out of the project; what was promised to them goes back. Returns how many items did."""

        def apply(connection: Connection) -> int:
            here = (memberships.c.project_id == project_id, memberships.c.person_id == person_id)
            if connection.execute(delete(memberships).where(*here)).rowcount == 0:
                raise NotFoundError(f"account {person_id} takes no part in project {project_id}")
            return _return_work(connection, person_id, project_id)

        return self._database.write(apply)

    def return_work(self, person_id: int, project_id: int | None = None) -> int:
        """End the person's leases, in one project or in all; returns how many there were."""
        return self._database.write(lambda connection: _return_work(connection, person_id, project_id))

    # Invitations

    def invite(
        self,
        token_hash: str,
        project_id: int | None,
        role: Role | None,
        *,
        may_create: bool,
        by: str,
        seconds: float,
    ) -> Invitation:
        """Remember an invitation by the hash of its secret. Raises NotFoundError, InputError."""
        if (project_id is None) != (role is None):
            raise InputError(f"role is {role!r}; expected one exactly when the invitation is to a project")
        values = {
            "token_hash": token_hash,
            "project_id": project_id,
            "role": None if role is None else checked_role(role),
            "may_create": may_create,
            "created_by": by,
        }

        def apply(connection: Connection) -> Invitation:
            if project_id is not None:
                _lock_project(connection, project_id)
            times = {"created_at": now(), "expires_at": now_plus(seconds)}
            statement = insert(invitations).values(**times, **values).returning(invitations.c.id)
            made = connection.execute(statement).scalar_one()
            return _invitation(connection.execute(_select().where(invitations.c.id == made)).one())

        return self._database.write(apply)

    def invitations(self, project_id: int | None) -> list[Invitation]:
        """Invitations to the project (None: to the workspace alone), newest first."""
        where = (
            invitations.c.project_id.is_(None)
            if project_id is None
            else invitations.c.project_id == project_id
        )
        with self._database.read() as connection:
            found = connection.execute(_select().where(where).order_by(invitations.c.id.desc()))
            return [_invitation(row) for row in found]

    def revoke_invitation(self, invitation_id: int, project_id: int | None) -> None:
        """End an invitation of this project (None: of the workspace). Raises NotFoundError."""
        here = invitations.c
        where = here.project_id.is_(None) if project_id is None else here.project_id == project_id
        statement = update(invitations).where(here.id == invitation_id, where).values(revoked_at=now())
        if self._database.write(lambda connection: connection.execute(statement).rowcount) == 0:
            raise NotFoundError(f"invitation {invitation_id} does not exist")

    def find_invitation(self, token_hash: str) -> Invitation | None:
        """The invitation, while it can still be accepted."""
        with self._database.read() as connection:
            row = connection.execute(_open_invitation(token_hash)).first()
        return None if row is None else _invitation(row)

    def accept(self, token_hash: str, who: NewPerson | Person) -> Person:
        """Use an invitation once: make the account when it is new, and let it into the project.

        Raises NotFoundError when the invitation cannot be used (any more), ConflictError when the name is taken.
        """

        def apply(connection: Connection) -> Person:
            row = connection.execute(_open_invitation(token_hash).with_for_update(of=invitations)).first()
            if row is None:
                raise NotFoundError(
                    "this invitation was used, withdrawn or is past its end; ask for a new one"
                )
            accepted = who if isinstance(who, Person) else _insert(connection, who, row.may_create)
            if isinstance(who, Person) and row.may_create:
                connection.execute(update(people).where(people.c.id == who.id).values(may_create=True))
            if row.project_id is not None:
                _join(connection, row.project_id, accepted.id, row.role, keep_better=True)
            used = update(invitations).where(invitations.c.id == row.id).values(used_by=accepted.name)
            connection.execute(used)
            return accepted

        return self._database.write(apply)


def checked_role(role: str) -> Role:
    """The role itself. Raises InputError with the nearest one."""
    if role not in ROLES:
        raise InputError(f"role {role!r} does not exist; {did_you_mean(str(role), ROLES)}")
    return next(each for each in ROLES if each == role)


def _join(
    connection: Connection, project_id: int, person_id: int, role: Role, keep_better: bool = False
) -> None:
    _lock_project(connection, project_id)
    if connection.execute(select(people.c.id).where(people.c.id == person_id)).first() is None:
        raise NotFoundError(f"account {person_id} does not exist")
    here = (memberships.c.project_id == project_id, memberships.c.person_id == person_id)
    present = connection.execute(select(memberships.c.role).where(*here)).scalar()
    if present is None:
        values = {"project_id": project_id, "person_id": person_id, "role": role, "added_at": now()}
        connection.execute(insert(memberships).values(**values))
    elif not (keep_better and ROLES.index(present) < ROLES.index(role)):
        connection.execute(update(memberships).where(*here).values(role=role))


def _lock_project(connection: Connection, project_id: int) -> None:
    statement = select(projects.c.id).where(projects.c.id == project_id).with_for_update(key_share=True)
    if connection.execute(statement).first() is None:
        raise NotFoundError(f"project {project_id} does not exist")


def _return_work(connection: Connection, person_id: int, project_id: int | None) -> int:
    name = select(people.c.name).where(people.c.id == person_id).scalar_subquery()
    theirs = select(judges.c.id).where(judges.c.kind == "person", judges.c.name == name)
    if project_id is not None:
        theirs = theirs.where(judges.c.project_id == project_id)
    return connection.execute(delete(leases).where(leases.c.judge_id.in_(theirs))).rowcount


def _insert(connection: Connection, who: NewPerson, may_create: bool) -> Person:
    clean = checked_name(who.name)
    if who.password_hash is None and who.identity is None:
        raise ConflictError("an account needs a password or an identity elsewhere")
    issuer, subject = who.identity or (None, None)
    values = {
        "name": clean,
        "name_key": name_key(clean),
        "password_hash": who.password_hash,
        "is_owner": False,
        "may_create": may_create,
        "issuer": issuer,
        "subject": subject,
    }
    return insert_person(connection, values)


def _select() -> Any:
    return select(invitations, projects.c.slug).outerjoin(projects, projects.c.id == invitations.c.project_id)


def _open_invitation(token_hash: str) -> Any:
    here = invitations.c
    return _select().where(
        here.token_hash == token_hash,
        here.used_by.is_(None),
        here.revoked_at.is_(None),
        here.expires_at > now(),
    )


def _invitation(row: Row[Any]) -> Invitation:
    ends: datetime = row.expires_at
    return Invitation(
        row.id,
        row.slug,
        row.role,
        row.may_create,
        row.created_by,
        row.created_at,
        ends,
        row.used_by,
        row.revoked_at is not None,
    )
