"""From database rows to the domain's values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from plumbline_backend.domain.types import Judgement, LabelClass


def judgement(row: Row[Any]) -> Judgement:
    """A ledger row."""
    return Judgement(
        item=row.item,
        question_id=row.question_id,
        question_version=row.question_version,
        judge_id=row.judge_id,
        client_uuid=row.client_uuid,
        state=row.state,
        answer=row.answer,
        proba=None if row.proba is None else tuple(row.proba),
        note=row.note,
        seconds=row.seconds,
        query_id=row.query_id,
        stratum=row.stratum,
        id=row.id,
        created_at=row.created_at,
        supersedes=row.supersedes,
        revokes=row.revokes,
    )


def label_classes(stored: list[dict[str, Any]]) -> tuple[LabelClass, ...]:
    """The classes of a question version."""
    return tuple(LabelClass(**entry) for entry in stored)
