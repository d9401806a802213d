"""Accounts and the sessions they are signed in by."""

from __future__ import annotations

import unicodedata
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from plumbline_backend.domain.errors import ConflictError, NotFoundError
from plumbline_backend.domain.people import Access, Membership, Person
from plumbline_backend.store.checks import refuse, text_problem
from plumbline_backend.store.columns import now, now_plus
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import projects
from plumbline_backend.store.tables_people import memberships, people, sessions

MAX_NAME = 60
MAX_AGENT = 200
PersonRows = list[Person]


class People:
    """Accounts by name. Names that differ only by case or width are one name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        password_hash: str | None,
        *,
        is_owner: bool = False,
        may_create: bool = False,
        identity: tuple[str, str] | None = None,
    ) -> Person:
        """A new account. identity: (issuer, subject) of OpenID Connect. Raises InputError, ConflictError if taken."""
        clean = checked_name(name)
        issuer, subject = identity or (None, None)
        values = {
            "name": clean,
            "name_key": name_key(clean),
            "password_hash": password_hash,
            "is_owner": is_owner,
            "may_create": may_create,
            "issuer": issuer,
            "subject": subject,
        }
        return self._database.write(lambda connection: insert_person(connection, values))

    def list(self) -> PersonRows:
        """Every account, oldest first, with those that were disabled."""
        with self._database.read() as connection:
            return [person(row) for row in connection.execute(select(people).order_by(people.c.id))]

    def count_owners(self) -> int:
        """How many accounts that are not disabled own the workspace."""
        here = people.c
        statement = select(func.count()).where(here.is_owner, here.disabled_at.is_(None))
        with self._database.read() as connection:
            return int(connection.execute(statement).scalar_one())

    def get(self, name: str) -> Person:
        """The account of this name. Raises NotFoundError."""
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"there is no account named {name!r}")
        return found[0]

    def find(self, name: str) -> tuple[Person, str | None] | None:
        """The account of this name and its password's hash; None when there is none."""
        if _name_problem(name) is not None:
            return None
        statement = select(people).where(people.c.name_key == name_key(name))
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else (person(row), row.password_hash)

    def find_identity(self, issuer: str, subject: str) -> Person | None:
        """The account that signs in as this subject of an OpenID Connect issuer."""
        statement = select(people).where(people.c.issuer == issuer, people.c.subject == subject)
        with self._database.read() as connection:
            row = connection.execute(statement).first()
        return None if row is None else person(row)

    def set_password(self, person_id: int, password_hash: str, keep_session: str = "") -> None:
        """Change the password and end every session of the person but the kept one (by its hash)."""

        def apply(connection: Connection) -> None:
            _require(connection, update(people).values(password_hash=password_hash), person_id)
            connection.execute(
                delete(sessions).where(
                    sessions.c.person_id == person_id, sessions.c.token_hash != keep_session
                )
            )

        self._database.write(apply)

    def set_rights(self, person_id: int, *, is_owner: bool, may_create: bool) -> None:
        """Change what the account may do in the workspace. Raises ConflictError for the last owner."""

        def apply(connection: Connection) -> None:
            if not is_owner:
                _keep_an_owner(connection, person_id)
            values = {"is_owner": is_owner, "may_create": may_create}
            _require(connection, update(people).values(**values), person_id)

        self._database.write(apply)

    def disable(self, person_id: int) -> None:
        """Close the account: its sessions end, its name stays taken. Raises ConflictError for the last owner."""

        def apply(connection: Connection) -> None:
            _keep_an_owner(connection, person_id)
            _require(connection, update(people).values(disabled_at=now()), person_id)
            connection.execute(delete(sessions).where(sessions.c.person_id == person_id))

        self._database.write(apply)

    def enable(self, person_id: int) -> None:
        """Open a closed account again."""
        statement = update(people).values(disabled_at=None)
        self._database.write(lambda connection: _require(connection, statement, person_id))

    # Sessions

    def start_session(self, person_id: int, token_hash: str, seconds: float, agent: str) -> None:
        """Remember a session by the hash of its secret; sessions that have ended are removed."""
        values = {
            "token_hash": token_hash,
            "person_id": person_id,
            "expires_at": now_plus(seconds),
            "created_at": now(),
            "agent": "".join(each for each in agent if each.isprintable())[:MAX_AGENT],
        }

        def apply(connection: Connection) -> None:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now()))
            connection.execute(insert(sessions).values(**values))

        self._database.write(apply)

    def end_session(self, token_hash: str) -> None:
        """Forget a session; nothing happens when it is gone."""
        statement = delete(sessions).where(sessions.c.token_hash == token_hash)
        self._database.write(lambda connection: connection.execute(statement).rowcount)

    def access_by_session(self, token_hash: str) -> Access | None:
        """What the session may do now; None when it has ended or the account is closed."""
        statement = (
            select(people)
            .join(sessions, sessions.c.person_id == people.c.id)
            .where(
                sessions.c.token_hash == token_hash,
                sessions.c.expires_at > now(),
                people.c.disabled_at.is_(None),
            )
        )
        return self._access(statement, ticket=token_hash)

    def access_by_name(self, name: str) -> Access | None:
        """What the person may do now; None without an open account of this name."""
        if _name_problem(name) is not None:
            return None
        statement = select(people).where(people.c.name_key == name_key(name), people.c.disabled_at.is_(None))
        return self._access(statement, ticket="")

    def _access(self, statement: Any, ticket: str) -> Access | None:
        with self._database.read() as connection:
            row = connection.execute(statement).first()
            if row is None:
                return None
            theirs = (
                select(projects.c.slug, projects.c.settings, memberships.c.role)
                .join(memberships, memberships.c.project_id == projects.c.id)
                .where(memberships.c.person_id == row.id)
            )
            parts = {
                slug: Membership(role, bool(settings.get("blind", False)))
                for slug, settings, role in connection.execute(theirs)
            }
        return Access(person(row), parts, ticket)


def name_key(name: str) -> str:
    """The name as names are compared."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def checked_name(name: str) -> str:
    """The name as it is kept. Raises InputError."""
    refuse([_name_problem(name)])
    return unicodedata.normalize("NFC", name).strip()


def insert_person(connection: Connection, values: dict[str, Any]) -> Person:
    """Adds the account through an open transaction. Raises ConflictError when the name is taken."""
    if connection.execute(select(people.c.id).where(people.c.name_key == values["name_key"])).first():
        raise ConflictError(f"the name {values['name']!r} is taken; choose another one")
    row = connection.execute(insert(people).values(created_at=now(), **values).returning(people)).one()
    return person(row)


def person(row: Row[Any]) -> Person:
    """An account from its row."""
    return Person(
        row.id,
        row.name,
        row.is_owner,
        row.may_create,
        row.password_hash is not None,
        row.created_at,
        row.disabled_at,
    )


def _name_problem(name: object) -> str | None:
    problem = text_problem("name", name, limit=MAX_NAME, required=True)
    if problem is None and not str(name).strip().isprintable():
        return f"name is {name!r}; expected characters that can be seen"
    return problem


def _require(connection: Connection, statement: Any, person_id: int) -> None:
    if connection.execute(statement.where(people.c.id == person_id)).rowcount == 0:
        raise NotFoundError(f"account {person_id} does not exist")


def _keep_an_owner(connection: Connection, person_id: int) -> None:
    """Raises ConflictError when nobody but this account owns the workspace. Locks the owners' rows."""
    here = people.c
    owners = select(here.id).where(here.is_owner, here.disabled_at.is_(None)).order_by(here.id)
    if list(connection.scalars(owners.with_for_update())) == [person_id]:
        raise ConflictError("this is the only owner of the workspace; make somebody else an owner first")
