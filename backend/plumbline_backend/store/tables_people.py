"""Tables of people: accounts, sessions, roles, invitations, comments, and the audit log."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from plumbline_backend.store.columns import Instant
from plumbline_backend.store.tables import Id, metadata


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


people = Table(
    "people",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True, comment="the name as names are compared"),
    Column("password_hash", Text, nullable=True, comment="argon2id; null: signs in elsewhere"),
    Column("is_owner", Boolean, nullable=False),
    Column("may_create", Boolean, nullable=False),
    Column("issuer", Text, nullable=True, comment="of OpenID Connect"),
    Column("subject", Text, nullable=True),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant, nullable=True),
    UniqueConstraint("issuer", "subject"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("person_id", Id, ForeignKey("people.id"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("agent", Text, nullable=False),
)

_ROLE = "role IN ('owner', 'editor', 'annotator', 'reader')"

memberships = Table(
    "memberships",
    metadata,
    Column("project_id", Id, ForeignKey("projects.id"), primary_key=True, autoincrement=False),
    Column("person_id", Id, ForeignKey("people.id"), primary_key=True, autoincrement=False, index=True),
    Column("role", Text, nullable=False),
    Column("added_at", Instant, nullable=False),
    CheckConstraint(_ROLE, name="role"),
)

invitations = Table(
    "invitations",
    metadata,
    _id(),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=True, index=True),
    Column("role", Text, nullable=True),
    Column("may_create", Boolean, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_by", Text, nullable=True),
    Column("revoked_at", Instant, nullable=True),
    CheckConstraint(f"role IS NULL OR {_ROLE}", name="role"),
    CheckConstraint("(project_id IS NULL) = (role IS NULL)", name="project"),
    sqlite_autoincrement=True,
)

comments = Table(
    "comments",
    metadata,
    _id(),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False),
    Column("item", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("client_uuid", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("resolved_at", Instant, nullable=True),
    Column("resolved_by", Text, nullable=True),
    UniqueConstraint("project_id", "client_uuid"),
    CheckConstraint("item >= 0", name="item"),
    Index("ix_comments_item", "project_id", "item", "id"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", Instant, nullable=False),
    Column("person", Text, nullable=False),
    Column(
        "project", Text, nullable=False, comment="a slug, kept when the project is gone; empty: workspace"
    ),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("address", Text, nullable=False),
    Index("ix_audit_project", "project", "id"),
    Index("ix_audit_person", "person", "id"),
    Index("ix_audit_action", "action", "id"),
    sqlite_autoincrement=True,
)
