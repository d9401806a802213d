"""Projects, questions, judges, the ledger, queries, leases, models and jobs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_TABLES = (
    "projects",
    "questions",
    "question_versions",
    "judges",
    "models",
    "queries",
    "judgements",
    "current_judgements",
    "leases",
    "jobs",
)


def upgrade() -> None:
    """From an empty database."""
    _create_projects()
    _create_questions()
    _create_question_versions()
    _create_judges()
    _create_models()
    _create_queries()
    _create_judgements()
    _create_current_judgements()
    _create_leases()
    _create_jobs()


def downgrade() -> None:
    """Back to an empty database. Everything in it is lost."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("n_items", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("slug", name="uq_projects_slug"),
        sqlite_autoincrement=True,
    )


def _create_questions() -> None:
    op.create_table(
        "questions",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("asks", sa.BigInteger(), nullable=False, comment="how many items were ever leased for it"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_questions_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_questions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_questions_project_id", "questions", ["project_id"], unique=False)


def _create_question_versions() -> None:
    op.create_table(
        "question_versions",
        sa.Column("question_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("guidelines", sa.Text(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_question_versions_question_id"),
        sa.PrimaryKeyConstraint("question_id", "version", name="pk_question_versions"),
    )


def _create_judges() -> None:
    op.create_table(
        "judges",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_judges_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_judges"),
        sa.UniqueConstraint(
            "project_id", "kind", "name", "version", name="uq_judges_project_id_kind_name_version"
        ),
        sqlite_autoincrement=True,
    )


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("question_id", _ID, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("judge_id", _ID, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("n_train", sa.BigInteger(), nullable=False),
        sa.Column("n_stream", sa.BigInteger(), nullable=False),
        sa.Column("ledger_id", sa.BigInteger(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["judge_id"], ["judges.id"], name="fk_models_judge_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_models_project_id"),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_models_question_id"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("question_id", "version", name="uq_models_question_id_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_models_judge_id", "models", ["judge_id"], unique=False)
    op.create_index("ix_models_project_id", "models", ["project_id"], unique=False)


def _create_queries() -> None:
    op.create_table(
        "queries",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=False),
        sa.Column("question_id", _ID, nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("model_id", _ID, nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_queries_model_id"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_queries_project_id"),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_queries_question_id"),
        sa.PrimaryKeyConstraint("id", name="pk_queries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queries_model_id", "queries", ["model_id"], unique=False)
    op.create_index("ix_queries_project_id", "queries", ["project_id"], unique=False)
    op.create_index("ix_queries_question_id", "queries", ["question_id"], unique=False)


def _create_judgements() -> None:
    op.create_table(
        "judgements",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("question_id", _ID, nullable=False),
        sa.Column("question_version", sa.Integer(), nullable=False),
        sa.Column("item", sa.BigInteger(), nullable=False),
        sa.Column("judge_id", _ID, nullable=False),
        sa.Column("client_uuid", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("proba", sa.JSON(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(precision=53), nullable=True),
        sa.Column("query_id", _ID, nullable=True),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("supersedes", _ID, nullable=True),
        sa.Column("revokes", _ID, nullable=True),
        sa.CheckConstraint(
            "revokes IS NOT NULL OR (state = 'answered') = (answer IS NOT NULL)", name="ck_judgements_answer"
        ),
        sa.CheckConstraint(
            "state IN ('answered', 'skipped', 'unsure', 'flagged')", name="ck_judgements_state"
        ),
        sa.CheckConstraint("item >= 0", name="ck_judgements_item"),
        sa.ForeignKeyConstraint(["judge_id"], ["judges.id"], name="fk_judgements_judge_id"),
        sa.ForeignKeyConstraint(["query_id"], ["queries.id"], name="fk_judgements_query_id"),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_judgements_question_id"),
        sa.ForeignKeyConstraint(["revokes"], ["judgements.id"], name="fk_judgements_revokes"),
        sa.ForeignKeyConstraint(["supersedes"], ["judgements.id"], name="fk_judgements_supersedes"),
        sa.PrimaryKeyConstraint("id", name="pk_judgements"),
        sa.UniqueConstraint("question_id", "client_uuid", name="uq_judgements_question_id_client_uuid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_judgements_item", "judgements", ["question_id", "item", "id"], unique=False)
    op.create_index("ix_judgements_judge", "judgements", ["judge_id", "question_id", "id"], unique=False)
    op.create_index("ix_judgements_query", "judgements", ["query_id"], unique=False, **_present("query_id"))
    op.create_index("ix_judgements_question", "judgements", ["question_id", "id"], unique=False)
    op.create_index(
        "ix_judgements_supersedes", "judgements", ["supersedes"], unique=False, **_present("supersedes")
    )
    op.create_index("uq_judgements_revokes", "judgements", ["revokes"], unique=True, **_present("revokes"))


def _create_current_judgements() -> None:
    op.create_table(
        "current_judgements",
        sa.Column("question_id", _ID, nullable=False),
        sa.Column("item", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("judge_id", _ID, nullable=False),
        sa.Column("judgement_id", _ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["judge_id"], ["judges.id"], name="fk_current_judgements_judge_id"),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_current_judgements_question_id"),
        sa.PrimaryKeyConstraint("question_id", "item", "judge_id", name="pk_current_judgements"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_current_judgements_tally",
        "current_judgements",
        ["question_id", "judge_id", "state", "answer", "stratum", "judgement_id", "item"],
        unique=False,
    )


def _create_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("question_id", _ID, nullable=False),
        sa.Column("item", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("judge_id", _ID, nullable=False),
        sa.Column("ask", sa.BigInteger(), nullable=False, comment="value of the question's ask counter"),
        sa.Column("query_id", _ID, nullable=True),
        sa.Column("stratum", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("utility", sa.Float(precision=53), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["judge_id"], ["judges.id"], name="fk_leases_judge_id"),
        sa.ForeignKeyConstraint(["query_id"], ["queries.id"], name="fk_leases_query_id"),
        sa.ForeignKeyConstraint(["question_id"], ["questions.id"], name="fk_leases_question_id"),
        sa.PrimaryKeyConstraint("question_id", "item", "holder", name="pk_leases"),
    )
    op.create_index("ix_leases_expiry", "leases", ["question_id", "expires_at"], unique=False)
    op.create_index("ix_leases_holder", "leases", ["question_id", "holder", "ask"], unique=False)
    op.create_index("ix_leases_judge_id", "leases", ["judge_id"], unique=False)
    op.create_index("ix_leases_query_id", "leases", ["query_id"], unique=False)


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("project_id", _ID, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("progress", sa.Float(precision=53), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False, comment="fencing token of the newest claim"),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("started_at", _INSTANT, nullable=True),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.Column("lease_until", _INSTANT, nullable=True),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="ck_jobs_state"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_jobs_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_project", "jobs", ["project_id", "id"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state", "lease_until"], unique=False)


def _present(column: str) -> dict[str, Any]:
    """Options of an index over the rows that have the column."""
    condition = sa.text(f"{column} IS NOT NULL")
    return {"sqlite_where": condition, "postgresql_where": condition}
