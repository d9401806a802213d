"""Everything that is done with people, each step written to the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.people import Access, AuditEntry, Capability, Invitation, Member, Person, Role
from plumbline_backend.people.errors import ForbiddenError, SignInError, TooManyAttemptsError
from plumbline_backend.people.keys import Cookies, derived, digest, new_secret, workspace_key
from plumbline_backend.people.limits import SignInLimits
from plumbline_backend.people.passwords import (
    checked_password,
    generate_password,
    hash_password,
    matches,
    outdated,
)
from plumbline_backend.store import Store
from plumbline_backend.store.memberships import NewPerson
from plumbline_backend.store.people import name_key
from plumbline_backend.store.tokens import ApiToken

OWNER = "owner"
SESSION_S = 14 * 86_400.0
INVITATION_S = 7 * 86_400.0


@dataclass(frozen=True)
class Caller:
    """Who does something, and from where."""

    name: str
    address: str = ""
    agent: str = ""


class PeopleService:
    """Accounts, sign-in, invitations and roles of one open workspace."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        key = workspace_key(folder)
        self.cookies = Cookies(key)
        self.page_key = derived(key, "pages")
        """Signs the tokens by which a page finds its document again."""
        self._limits = SignInLimits()

    # Accounts

    def ensure_owner(self) -> str | None:
        """Make the first owner. Returns the generated password, which is kept nowhere; None when there is one."""
        if self._store.people.count_owners() > 0:
            return None
        password = generate_password()
        present = self._store.people.find(OWNER)
        if present is None:
            self._store.people.create(OWNER, hash_password(password), is_owner=True, may_create=True)
        else:
            person = present[0]
            self._store.people.enable(person.id)
            self._store.people.set_rights(person.id, is_owner=True, may_create=True)
            self._store.people.set_password(person.id, hash_password(password))
        self._store.audit.add("server", "owner created", OWNER)
        return password

    def people(self) -> list[Person]:
        """Every account, oldest first."""
        return self._store.people.list()

    def reset_password(self, name: str, by: Caller) -> str:
        """Give the account a generated password, which ends its sessions, and return it."""
        person, password = self._store.people.get(name), generate_password()
        self._store.people.set_password(person.id, hash_password(password))
        self._log(by, "password reset", person.name)
        return password

    def change_password(self, access: Access, old: str, new: str, by: Caller) -> None:
        """Change one's own password; other sessions end. Raises SignInError, InputError, TooManyAttemptsError."""
        person = _known(access)
        found = self._store.people.find(person.name)
        stored = None if found is None else found[1]
        self._try(person.name, by)
        if not matches(stored, old):
            raise SignInError("the old password is wrong")
        self._limits.succeeded(name_key(person.name), by.address)
        fresh = hash_password(checked_password(new, person.name))
        self._store.people.set_password(person.id, fresh, keep_session=access.ticket)
        self._log(by, "password changed", person.name)

    def close_account(self, name: str, by: Caller) -> int:
        """Close an account: sessions and tokens end, work goes back. Returns how many items did."""
        person = self._store.people.get(name)
        self._store.people.disable(person.id)
        for token in self._store.tokens.of(person.name):
            self._store.tokens.revoke(person.name, token.id)
        returned = self._store.memberships.return_work(person.id)
        self._log(by, "account closed", person.name, items_returned=returned)
        return returned

    def open_account(self, name: str, by: Caller) -> None:
        """Open a closed account again."""
        self._store.people.enable(self._store.people.get(name).id)
        self._log(by, "account opened", name)

    def set_rights(self, name: str, by: Caller, *, is_owner: bool, may_create: bool) -> None:
        """Change what an account may do in the workspace."""
        person = self._store.people.get(name)
        self._store.people.set_rights(person.id, is_owner=is_owner, may_create=may_create)
        self._log(by, "rights changed", person.name, is_owner=is_owner, may_create=may_create)

    # Sessions

    def sign_in(self, name: str, password: str, by: Caller) -> str:
        """The value of a session's cookie. Raises SignInError, the same for a wrong name and a wrong password."""
        self._try(name, by)
        found = self._store.people.find(name)
        usable = found is not None and found[0].disabled_at is None
        right = matches(found[1] if found is not None and usable else None, password)
        if found is None or not right:
            self._store.audit.add(name, "sign-in refused", address=by.address)
            raise SignInError("name or password are wrong")
        person, stored = found
        self._limits.succeeded(name_key(name), by.address)
        if stored is not None and outdated(stored):
            self._store.people.set_password(person.id, hash_password(password))
        return self.start_session(person, by)

    def start_session(self, person: Person, by: Caller) -> str:
        """The value of a new session's cookie, for a person who has shown who they are."""
        secret = new_secret()
        self._store.people.start_session(person.id, digest(secret), SESSION_S, by.agent)
        self._store.audit.add(person.name, "signed in", address=by.address)
        return self.cookies.seal(secret)

    def sign_out(self, cookie: str, by: Caller) -> None:
        """End the cookie's session, if there is one; what was promised to the person goes back."""
        access = self.access(cookie)
        if access is None or access.person is None:
            return
        self._store.people.end_session(access.ticket)
        returned = self._store.memberships.return_work(access.person.id)
        self._log(by, "signed out", access.person.name, items_returned=returned)

    def access(self, cookie: str | None) -> Access | None:
        """What a session's cookie may do now; None for one that is not valid (any more)."""
        secret = None if cookie is None else self.cookies.open(cookie)
        return None if secret is None else self.access_by_ticket(digest(secret))

    def access_by_ticket(self, ticket: str) -> Access | None:
        """What the session of this digest may do now."""
        return self._store.people.access_by_session(ticket)

    def access_by_token(self, secret: str) -> Access | None:
        """What an API token's person may do now; None for a token that is not valid (any more)."""
        token = self._store.tokens.find(secret)
        return None if token is None else self._store.people.access_by_name(token.person)

    # Projects

    def members(self, slug: str) -> list[Member]:
        """The project's people."""
        return self._store.memberships.of_project(self._store.projects.get(slug).id)

    def set_role(self, slug: str, name: str, role: Role, by: Caller) -> None:
        """Add somebody to the project, or change their role. Taking the label role away returns their work."""
        project, person = self._store.projects.get(slug), self._store.people.get(name)
        self._store.memberships.set_role(project.id, person.id, role)
        if role == "reader":
            self._store.memberships.return_work(person.id, project.id)
        self._log(by, "role set", person.name, project=slug, role=role)

    def remove_member(self, slug: str, name: str, by: Caller) -> int:
        """Take somebody out of the project. Returns how many items went back to the others."""
        project, person = self._store.projects.get(slug), self._store.people.get(name)
        returned = self._store.memberships.remove(project.id, person.id)
        self._log(by, "removed from project", person.name, project=slug, items_returned=returned)
        return returned

    # Tokens and the log

    def tokens_of(self, name: str) -> list[ApiToken]:
        """The person's tokens for scripts."""
        return self._store.tokens.of(name)

    def make_token(self, name: str, what_for: str, by: Caller) -> str:
        """The text of a new token, which is kept nowhere."""
        made = self._store.tokens.create(name, what_for)
        self._log(by, "token made", made.token.name)
        return made.secret

    def end_token(self, name: str, token_id: int, by: Caller) -> None:
        """End one of the person's tokens. Raises NotFoundError."""
        self._store.tokens.revoke(name, token_id)
        self._log(by, "token ended", str(token_id))

    def note(self, by: Caller, action: str, subject: str, project: str = "", **detail: object) -> None:
        """Write a line about something that was done elsewhere."""
        self._log(by, action, subject, project, **detail)

    def audited(self, filters: Mapping[str, str], before_id: int | None, limit: int) -> list[AuditEntry]:
        """Lines of the audit log, newest first. Raises InputError for a field that cannot be filtered by."""
        return self._store.audit.page(filters, before_id=before_id, limit=limit)

    def audited_actions(self) -> list[str]:
        """Every action in the log."""
        return self._store.audit.actions()

    # Invitations

    def invite(self, slug: str | None, role: Role | None, by: Caller, *, may_create: bool = False) -> str:
        """The secret of an invitation's link, for one person and a week: to a project, or to the workspace."""
        secret = new_secret()
        project_id = None if slug is None else self._store.projects.get(slug).id
        self._store.memberships.invite(
            digest(secret), project_id, role, may_create=may_create, by=by.name, seconds=INVITATION_S
        )
        self._log(by, "invited", role or "workspace", project=slug or "", may_create=may_create)
        return secret

    def invitations(self, slug: str | None) -> list[Invitation]:
        """Invitations to the project (None: to the workspace alone), newest first."""
        return self._store.memberships.invitations(
            None if slug is None else self._store.projects.get(slug).id
        )

    def withdraw_invitation(self, invitation_id: int, slug: str | None, by: Caller) -> None:
        """End an invitation before it is used."""
        project_id = None if slug is None else self._store.projects.get(slug).id
        self._store.memberships.revoke_invitation(invitation_id, project_id)
        self._log(by, "invitation withdrawn", str(invitation_id), project=slug or "")

    def invitation(self, secret: str) -> Invitation:
        """The invitation of a link. Raises NotFoundError when it cannot be used (any more)."""
        found = self._store.memberships.find_invitation(digest(secret))
        if found is None:
            raise NotFoundError("this invitation was used, withdrawn or is past its end; ask for a new one")
        return found

    def accept_as_new(self, secret: str, name: str, password: str, by: Caller) -> str:
        """Make the invited account and sign it in; returns the cookie's value."""
        invitation = self.invitation(secret)
        fresh = hash_password(checked_password(password, name))
        return self._accept(secret, invitation, NewPerson(name, fresh), by)

    def accept_with_identity(self, secret: str, name: str, identity: tuple[str, str], by: Caller) -> str:
        """Make the invited account for somebody who signs in elsewhere; returns the cookie's value."""
        return self._accept(secret, self.invitation(secret), NewPerson(name, None, identity), by)

    def accept_as(self, secret: str, access: Access, by: Caller) -> None:
        """Let somebody who is signed in use an invitation."""
        person, invitation = _known(access), self.invitation(secret)
        self._store.memberships.accept(digest(secret), person)
        self._log(by, "invitation accepted", person.name, project=invitation.slug or "")

    def sign_in_identity(self, identity: tuple[str, str], by: Caller) -> str:
        """The cookie's value for an account that signs in elsewhere. Raises SignInError without one."""
        person = self._store.people.find_identity(*identity)
        if person is None or person.disabled_at is not None:
            self._store.audit.add(identity[1], "sign-in refused", identity[0], address=by.address)
            raise SignInError(
                "there is no account for you here; ask for an invitation and open its link first"
            )
        return self.start_session(person, by)

    def _accept(self, secret: str, invitation: Invitation, who: NewPerson, by: Caller) -> str:
        person = self._store.memberships.accept(digest(secret), who)
        named = Caller(person.name, by.address, by.agent)
        self._log(named, "invitation accepted", person.name, project=invitation.slug or "")
        return self.start_session(person, named)

    def _try(self, name: str, by: Caller) -> None:
        wait_s = self._limits.attempt(name_key(name), by.address)
        if wait_s > 0:
            raise TooManyAttemptsError(wait_s)

    def _log(self, by: Caller, action: str, subject: str, project: str = "", **detail: object) -> None:
        self._store.audit.add(by.name, action, subject, project=project, detail=detail, address=by.address)


def require(access: Access, slug: str, capability: Capability) -> None:
    """Raises ForbiddenError when the capability is missing, NotFoundError when the project must not be known."""
    require_seen(access, slug)
    if not access.can(slug, capability):
        role = access.memberships[slug].role
        raise ForbiddenError(f"your role in this project is {role}; this needs the right to {capability}")


def require_seen(access: Access, slug: str) -> None:
    """Raises NotFoundError for a project that the person takes no part in."""
    if not access.sees(slug):
        raise NotFoundError(f"project {slug!r} does not exist, or you take no part in it")


def _known(access: Access) -> Person:
    if access.person is None:
        raise InputError("there are no accounts in single-user mode; start the server with a login")
    return access.person
