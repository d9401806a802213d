"""Tokens for the API, and webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Adds both tables."""
    op.create_table(
        "api_tokens",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what the person calls it"),
        sa.Column("start", sa.Text(), nullable=False, comment="first characters, to tell tokens apart"),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the token, as hex"),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("digest", name="uq_api_tokens_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_tokens_person", "api_tokens", ["person"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False, comment="names of the events that are told"),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("judgement_id", sa.BigInteger(), nullable=False, comment="newest ledger row that was told"),
        sa.Column("model_id", sa.BigInteger(), nullable=False, comment="newest model that was told"),
        sa.Column("failures", sa.Integer(), nullable=False, comment="deliveries that failed in a row"),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_webhooks_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhooks_project_id", "webhooks", ["project_id"], unique=False)


def downgrade() -> None:
    """Drops them. Every token ends, and nobody is told anything any more."""
    op.drop_table("webhooks")
    op.drop_table("api_tokens")
