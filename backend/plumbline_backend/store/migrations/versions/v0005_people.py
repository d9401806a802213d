"""People: accounts, sessions, roles, invitations, comments, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_ROLE = "role IN ('owner', 'editor', 'annotator', 'reader')"


def upgrade() -> None:
    """Adds the tables; until the first account is made nothing asks for a login."""
    _create_people()
    _create_memberships()
    _create_invitations()
    _create_comments()
    _create_audit()


def downgrade() -> None:
    """Drops them: accounts, roles, comments and the audit log are lost; judgements stay."""
    for table in ("audit", "comments", "invitations", "memberships", "sessions", "people"):
        op.drop_table(table)


def _create_people() -> None:
    op.create_table(
        "people",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False, comment="the name as names are compared"),
        sa.Column("password_hash", sa.Text(), nullable=True, comment="argon2id; null: signs in elsewhere"),
        sa.Column("is_owner", sa.Boolean(), nullable=False),
        sa.Column("may_create", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=True, comment="of OpenID Connect"),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("disabled_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("name_key", name="uq_people_name_key"),
        sa.UniqueConstraint("issuer", "subject", name="uq_people_issuer_subject"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("person_id", _ID, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_sessions_person_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_person_id", "sessions", ["person_id"], unique=False)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("project_id", _ID, autoincrement=False, nullable=False),
        sa.Column("person_id", _ID, autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("added_at", _INSTANT, nullable=False),
        sa.CheckConstraint(_ROLE, name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_memberships_project_id"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_memberships_person_id"),
        sa.PrimaryKeyConstraint("project_id", "person_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_person_id", "memberships", ["person_id"], unique=False)


def _create_invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("may_create", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("used_by", sa.Text(), nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.CheckConstraint(f"role IS NULL OR {_ROLE}", name=op.f("ck_invitations_role")),
        sa.CheckConstraint("(project_id IS NULL) = (role IS NULL)", name=op.f("ck_invitations_project")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_invitations_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("token_hash", name="uq_invitations_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_invitations_project_id", "invitations", ["project_id"], unique=False)


def _create_comments() -> None:
    op.create_table(
        "comments",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("item", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("client_uuid", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("resolved_at", _INSTANT, nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.CheckConstraint("item >= 0", name=op.f("ck_comments_item")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_comments_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comments"),
        sa.UniqueConstraint("project_id", "client_uuid", name="uq_comments_project_id_client_uuid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_comments_item", "comments", ["project_id", "item", "id"], unique=False)


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column(
            "project",
            sa.Text(),
            nullable=False,
            comment="a slug, kept when the project is gone; empty: workspace",
        ),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    for column in ("project", "person", "action"):
        op.create_index(f"ix_audit_{column}", "audit", [column, "id"], unique=False)
