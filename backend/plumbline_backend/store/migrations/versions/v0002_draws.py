"""Which outputs were drawn for grading, from which strata, with which probability."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_IN_A_PARTITION = sa.text("partition_id IS NOT NULL")


def upgrade() -> None:
    """Adds both tables."""
    _create_partitions()
    _create_draws()


def downgrade() -> None:
    """Drops them. The estimates of grading projects then have no sampling design to stand on."""
    op.drop_table("draws")
    op.drop_table("partitions")


def _create_partitions() -> None:
    op.create_table(
        "partitions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column(
            "judges", sa.JSON(), nullable=False, comment="ids of the judges whose verdicts split the outputs"
        ),
        sa.Column("labels", sa.Text(), nullable=False, comment="one letter per item: its stratum"),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_partitions_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_partitions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_partitions_project_id", "partitions", ["project_id"], unique=False)


def _create_draws() -> None:
    op.create_table(
        "draws",
        sa.Column("query_id", _ID, autoincrement=False, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("judge_id", _ID, nullable=False, comment="who is asked"),
        sa.Column("item", sa.BigInteger(), nullable=False),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("partition_id", _ID, nullable=True),
        sa.Column("probability", sa.Float(precision=53), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["judge_id"], ["judges.id"], name="fk_draws_judge_id"),
        sa.ForeignKeyConstraint(["partition_id"], ["partitions.id"], name="fk_draws_partition_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_draws_project_id"),
        sa.ForeignKeyConstraint(["query_id"], ["queries.id"], name="fk_draws_query_id"),
        sa.PrimaryKeyConstraint("query_id", name="pk_draws"),
    )
    for column in ("judge_id", "partition_id", "project_id"):
        op.create_index(f"ix_draws_{column}", "draws", [column], unique=False)
    op.create_index(
        "uq_draws_item",
        "draws",
        ["project_id", "item"],
        unique=True,
        sqlite_where=_IN_A_PARTITION,
        postgresql_where=_IN_A_PARTITION,
    )
