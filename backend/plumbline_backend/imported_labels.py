"""A label column of an imported file as judgements, in the form of the project's question kind."""

from __future__ import annotations

from plumbline_backend.domain.types import NewJudgement, Question
from plumbline_backend.kinds.base import Kind
from plumbline_backend.pool.pool import Pool
from plumbline_backend.store import Store

CHUNK = 10_000


def record_imported(store: Store, slug: str, question: Question, kind: Kind, column: str, pool: Pool) -> None:
    """Record what the column says of every item that has a value in it. Recording twice changes nothing."""
    judge = store.judges.ensure(question.project_id, "imported", f"column {column}", spec={"column": column})
    answers: dict[str, str] = {}
    for start in range(0, pool.n_items, CHUNK):
        positions = range(start, min(start + CHUNK, pool.n_items))
        rows = []
        for position, value in zip(positions, pool.column_values(column, list(positions)), strict=True):
            text = "" if value is None else str(value)
            if not text:
                continue
            if text not in answers:
                answers[text] = kind.imported(text, question)
            rows.append(
                NewJudgement(
                    item=position,
                    question_id=question.id,
                    question_version=question.version,
                    judge_id=judge.id,
                    client_uuid=f"import:{slug}:{position}",
                    answer=answers[text],
                )
            )
        store.ledger.record_many(rows, batch=f"import {start}")
