"""Who may do what: accounts, roles in a project, and what each role can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

Role = Literal["owner", "editor", "annotator", "reader"]
ROLES: tuple[Role, ...] = get_args(Role)
Capability = Literal["read", "label", "comment", "edit", "manage"]
CAPABILITIES: tuple[Capability, ...] = get_args(Capability)

CAN: Mapping[Role, frozenset[Capability]] = {
    "owner": frozenset(CAPABILITIES),
    "editor": frozenset({"read", "label", "comment", "edit"}),
    "annotator": frozenset({"read", "label", "comment"}),
    "reader": frozenset({"read"}),
}
"""read: items, everybody's answers, figures, exports. label: be asked and answer. comment: talk about items.
edit: classes, training, review, adjudication. manage: people, settings, audit log, deletion."""
BLIND = frozenset({"label", "comment"})
"""What is left to an annotator of a blind project: others' answers are not shown."""


class Membership(NamedTuple):
    """A person's part in one project."""

    role: Role
    blind: bool

    def can(self, capability: Capability) -> bool:
        """Whether the role has the capability in this project."""
        allowed = CAN[self.role]
        return capability in (allowed & BLIND if self.blind and self.role == "annotator" else allowed)


@dataclass(frozen=True)
class Person:
    """An account. Its name is also the name of the judge that its answers are kept under, and never changes."""

    id: int
    name: str
    is_owner: bool
    may_create: bool
    has_password: bool
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True)
class Access:
    """What one request may do. `person` is None where there is no login: then everything is allowed."""

    person: Person | None
    memberships: Mapping[str, Membership] = field(default_factory=dict)
    """By the project's slug."""
    ticket: str = ""
    """Names the session it came by, without being of use to open one."""

    @property
    def is_owner(self) -> bool:
        """Whether everything is allowed."""
        return self.person is None or self.person.is_owner

    @property
    def may_create(self) -> bool:
        """Whether new projects may be made."""
        return self.person is None or self.person.is_owner or self.person.may_create

    def can(self, slug: str, capability: Capability) -> bool:
        """Whether the capability is there in the project. An unknown project gives no to all but owners."""
        if self.is_owner:
            return True
        membership = self.memberships.get(slug)
        return membership is not None and membership.can(capability)

    def sees(self, slug: str) -> bool:
        """Whether the project may be known to exist."""
        return self.is_owner or slug in self.memberships


EVERYTHING = Access(None)
"""Single-user mode: whoever reaches the port may do everything."""


@dataclass(frozen=True)
class Member:
    """A line of a project's list of people."""

    person: Person
    role: Role
    added_at: datetime


@dataclass(frozen=True)
class Invitation:
    """A link that makes one account, or adds one person to a project. `slug` is None for the workspace."""

    id: int
    slug: str | None
    role: Role | None
    may_create: bool
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_by: str | None = None
    revoked: bool = False


@dataclass(frozen=True)
class Comment:
    """Something said about an item."""

    id: int
    item: int
    author: str
    text: str
    created_at: datetime
    resolved_at: datetime | None = None
    resolved_by: str | None = None


@dataclass(frozen=True)
class AuditEntry:
    """One line of the audit log: who did what to what. `project` is a slug, empty for the workspace."""

    id: int
    at: datetime
    person: str
    project: str
    action: str
    subject: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    address: str = ""
