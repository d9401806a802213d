"""The state of labelling as JSON: question, progress, honest accuracy, and a person's last answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from plumbline_app.item_view import excerpt, view
from plumbline_backend.domain.schema import effective_keys
from plumbline_backend.domain.types import Ask, Judge, Judgement, Question
from plumbline_backend.plugins import choices
from plumbline_backend.ranking import plugins_beside

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.standing import LoopStatus

HISTORY_SHOWN = 24
HISTORY_READ = 120
"""Rows of the ledger that are read to find so many answers in force: undone and revised ones take rows too."""


def question_state(question: Question) -> dict[str, Any]:
    """The question with its classes in display order; merged classes too, so that old answers keep a name."""
    keys = effective_keys(question)
    return {
        "version": question.version,
        "kind": question.kind,
        "text": question.text,
        "guidelines": question.guidelines,
        "classes": [
            {
                "id": c.id,
                "name": c.name,
                "color": c.color,
                "key": keys.get(c.id, ""),
                "own_key": c.key or "",
                "description": c.description,
                "merged_into": c.merged_into,
                "parent": c.parent,
            }
            for c in question.classes
        ],
    }


def status_state(
    status: LoopStatus, question_version: int, headline: tuple[str, str], shown_from: int
) -> dict[str, Any]:
    """What the side panel shows. `accuracy` is [value, low, high, n] on the random stream, or None.

    headline: key in the model's metrics and name of the figure that stands there. shown_from: n below which it says
    too little to be shown.
    """
    model = status.model
    return {
        "question_version": question_version,
        "n_items": status.n_items,
        "n_answered": status.n_answered,
        "by_state": dict(status.n_by_state),
        "by_class": dict(status.n_by_class),
        "n_train": status.n_train,
        "n_stream": status.n_stream,
        "stream_share": status.stream_share,
        "strategy": status.strategy,
        "model": None if model is None else {"version": model.version, "n_train": model.n_train},
        "accuracy": None if model is None else _interval(model.metrics, headline[0]),
        "measure": headline[1],
        "shown_from": shown_from,
        "n_behind": status.n_behind,
        "training": None
        if status.training is None
        else {"progress": status.training.progress, "message": status.training.message},
        "failed": "" if status.failed is None else status.failed.message,
        "waiting": status.waiting,
    }


def strategies(project: Project) -> list[dict[str, str]]:
    """Every query strategy, plug-ins too, with its one-sentence explanation."""
    offered, own = choices(plugins_beside(project.folders.models)), project.kind.strategies
    return [
        {"name": name, "explanation": explanation} for name, explanation in offered if not own or name in own
    ]


def ask_states(project: Project, asks: Iterable[Ask]) -> list[dict[str, Any]]:
    """The items of the look-ahead queue, each with why it was asked."""
    asks = list(asks)
    items = project.pool.items([ask.item for ask in asks])
    return [
        {**view(project, item), "query_id": ask.query_id, "stratum": ask.shown_stratum, "reason": ask.reason}
        for ask, item in zip(asks, items, strict=True)
    ]


def history_state(project: Project, judge: Judge) -> list[dict[str, Any]]:
    """The person's answers in force, newest first, one per item."""
    live = _in_force(project.history(judge=judge, limit=HISTORY_READ))[:HISTORY_SHOWN]
    items = project.pool.items([row.item for row in live])
    return [
        {
            "judgement_id": row.id,
            "uuid": row.client_uuid,
            "item": row.item,
            "state": row.state,
            "class_id": row.answer,
            "note": row.note,
            "excerpt": excerpt(project, item),
            "sync": "saved",
        }
        for row, item in zip(live, items, strict=True)
    ]


def _in_force(rows: Iterable[Judgement]) -> list[Judgement]:
    """Rows newest first, without revocations, revoked rows, and rows that a later one in force stands above."""
    rows = list(rows)
    revoked = {row.revokes for row in rows if row.revokes is not None}
    seen: set[int] = set()
    live = []
    for row in rows:
        if row.revokes is None and row.id not in revoked and row.item not in seen:
            seen.add(row.item)
            live.append(row)
    return live


def _interval(metrics: Mapping[str, Any], name: str) -> list[float] | None:
    found = metrics.get(name)
    if found is None or any(not isinstance(part, (int, float)) or part != part for part in found):
        return None
    return list(found)
