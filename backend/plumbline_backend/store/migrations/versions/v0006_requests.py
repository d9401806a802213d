"""Requests that are answered once, by the key that a client gives them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "requests",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="made up by the client"),
        sa.Column("content", sa.Text(), nullable=False, comment="SHA-256 of what was asked, as hex"),
        sa.Column("answer", sa.JSON(), nullable=True, comment="null until it is known"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person", "key", name="pk_requests"),
    )
    op.create_index("ix_requests_created_at", "requests", ["created_at"], unique=False)


def downgrade() -> None:
    """Drops it: what is sent again then counts as new."""
    op.drop_table("requests")
