"""Finding the judgements of a batch, so that the batch can be taken back as one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """An index over the rows that belong to a batch."""
    present = sa.text("batch IS NOT NULL")
    op.create_index(
        "ix_judgements_batch", "judgements", ["batch"], sqlite_where=present, postgresql_where=present
    )


def downgrade() -> None:
    """Without the index."""
    op.drop_index("ix_judgements_batch", "judgements")
