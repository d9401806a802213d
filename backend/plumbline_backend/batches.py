"""Answers given to many items at once: one step to give, one step to take back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plumbline_backend.domain import schema
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Judge, NewJudgement, State, Stratum
from plumbline_backend.store import Store

if TYPE_CHECKING:
    from plumbline_backend.project import Project

MOST = 100_000
"""Items of one step. More are a rule, not a judgement."""


class Step(NamedTuple):
    """One bulk action. `n_reserve` items belong to the random stream's reserve and were left alone."""

    batch: str
    n: int
    n_reserve: int
    words: str


class Batches:
    """Bulk answers of one project."""

    def __init__(self, project: Project, store: Store) -> None:
        self._project = project
        self._store = store

    def label(self, items: Iterable[int], judge: Judge, class_id: str) -> Step:
        """Give every item this class in the judge's name, as one step.

        Items of the random stream's reserve are left alone: a figure measured on items that were picked by hand
        would not be honest. Raises InputError for items outside the pool, a class that cannot be answered, or
        too many items.
        """
        label_class = schema.answerable(self._project.question(), class_id)
        chosen = self._outside_reserve(items)
        batch = f"bulk:{uuid.uuid4().hex}"
        n = self.write(chosen.items, judge, batch, "answered", class_id)
        return Step(batch, n, chosen.n_reserve, f"{n:,} items labelled {label_class.name!r}")

    def write(
        self,
        items: Iterable[int],
        judge: Judge,
        batch: str,
        state: State,
        class_id: str | None = None,
        note: str = "",
        stratum: Stratum = "browse",
    ) -> int:
        """Record the same judgement of every item under the batch's name; how many were new."""
        question = self._project.question()
        rows = [
            NewJudgement(
                item=int(item),
                question_id=question.id,
                question_version=question.version,
                judge_id=judge.id,
                client_uuid=uuid.uuid4().hex,
                state=state,
                answer=class_id,
                note=note,
                stratum=stratum,
            )
            for item in items
        ]
        n = self._store.ledger.record_many(rows, batch) if rows else 0
        self._project.loop.fit_soon()
        return n

    def undo(self, step: Step) -> int:
        """Take a step back: every judgement of it that is still in force. What they superseded holds again."""
        n = self._store.ledger.revoke_many(
            self._project.question().id, f"undo:{uuid.uuid4().hex}", batch=step.batch
        )
        self._project.loop.pacing.pseudo.forget()
        self._project.loop.fit_soon()
        return n

    def _outside_reserve(self, items: Iterable[int]) -> _Chosen:
        wanted = np.unique(np.fromiter((int(i) for i in items), dtype=np.int64))
        n_items = self._project.row.n_items
        if len(wanted) and (wanted[0] < 0 or wanted[-1] >= n_items):
            raise InputError(
                f"items: found {wanted[0]} to {wanted[-1]}; expected them within 0 to {n_items - 1}"
            )
        if len(wanted) > MOST:
            raise InputError(f"items: found {len(wanted):,}; expected at most {MOST:,} in one step")
        reserved = self._project.loop.answers.reserve_mask[wanted]
        return _Chosen(wanted[~reserved].tolist(), int(reserved.sum()))


class _Chosen(NamedTuple):
    items: list[int]
    n_reserve: int
