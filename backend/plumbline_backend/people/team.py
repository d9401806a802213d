"""What a team needs beyond answering: progress by person, disputes, comments, and how work is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plumbline_backend.domain.agreement import MISSING, alpha_interval
from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.people import Comment
from plumbline_backend.domain.types import Interval, Judgement
from plumbline_backend.store import Store
from plumbline_backend.store.progress import PersonProgress

if TYPE_CHECKING:
    from plumbline_backend.project import Project

MAX_OVERLAP = 20
ADJUDICATION = "Adjudication by {}"
"""The judge of last words. Not the person's own: what the person answered as an annotator stays what it was."""


class Said(NamedTuple):
    """One person's answer to a disputed item."""

    person: str
    class_id: str
    note: str


class Dispute(NamedTuple):
    """An item that people gave different classes."""

    item: int
    said: tuple[Said, ...]


class Team:
    """The people's side of one project."""

    def __init__(self, project: Project, store: Store) -> None:
        self._project = project
        self._store = store

    # How work is shared

    @property
    def overlap(self) -> int:
        """How many people are asked each item."""
        return self._project.loop.overlap

    @property
    def is_blind(self) -> bool:
        """Whether annotators see nothing of what others, or the model, say."""
        return bool(self._project.settings().get("blind", False))

    def share(self, *, overlap: int | None = None, blind: bool | None = None) -> None:
        """Change how many people are asked each item, and what annotators see. Raises InputError."""
        if overlap is not None:
            if not 1 <= overlap <= MAX_OVERLAP:
                raise InputError(f"overlap: found {overlap}; expected 1 to {MAX_OVERLAP} people")
            self._project.set_settings(overlap=int(overlap))
        if blind is not None:
            self._project.set_settings(blind=bool(blind))

    def progress(self) -> list[PersonProgress]:
        """What each person has done and holds, by name."""
        return self._store.progress.of(self._project.row.id, self._project.question().id)

    # Disputes

    def disputes(self, limit: int = 50) -> tuple[list[Dispute], int]:
        """The first `limit` disputed items, and how many there are."""
        question = self._project.question()
        self._project.loop.answers.refresh()
        items = self._project.loop.answers.disputed(question).tolist()
        rows = self._store.ledger.current(question.id, items=items[:limit], judge_kinds=("person",))
        names = {judge.id: judge.name for judge in self._store.judges.for_project(self._project.row.id)}
        said: dict[int, list[Said]] = {item: [] for item in items[:limit]}
        for row in rows:
            if row.answer is not None:
                said[row.item].append(Said(names[row.judge_id], question.resolve(row.answer), row.note))
        return [Dispute(item, tuple(answers)) for item, answers in said.items()], len(items)

    def adjudicate(self, item: int, class_id: str, by: str, client_uuid: str, note: str = "") -> Judgement:
        """Give the last word on an item. It counts for training and measuring; the others' answers stay."""
        judge = self._project.person(ADJUDICATION.format(by))
        return self._project.record(
            item=item,
            judge=judge,
            client_uuid=client_uuid,
            answer=class_id,
            note=note,
            stratum="adjudication",
        )

    def agreement(self) -> Interval:
        """Krippendorff's alpha of the annotators over the items that several answered, nominal; NaN when unknown."""
        question = self._project.question()
        arrays = self._store.ledger.current_arrays(question.id, judge_kinds=("person",))
        keep = (arrays.state == "answered") & (arrays.stratum != "adjudication")
        judges, judge_index = np.unique(arrays.judge_id[keep], return_inverse=True)
        items, item_index = np.unique(arrays.item[keep], return_inverse=True)
        order = {c.id: number for number, c in enumerate(question.classes)}
        ratings = np.full((len(items), len(judges)), MISSING, dtype=np.int64)
        ratings[item_index, judge_index] = [order[question.resolve(str(a))] for a in arrays.answer[keep]]
        several = ratings[(ratings != MISSING).sum(axis=1) > 1]
        if len(several) == 0:
            return Interval(float("nan"), float("nan"), float("nan"), 0)
        return alpha_interval(several, np.random.default_rng(self._project.seed))

    # Comments

    def comment(self, item: int, by: str, text: str, client_uuid: str) -> Comment:
        """Say something about an item."""
        return self._store.comments.add(self._project.row.id, item, by, text, client_uuid)

    def comments(self, item: int, only_by: str | None = None) -> list[Comment]:
        """What was said about an item; by one person alone when named."""
        if not 0 <= item < self._project.row.n_items:
            raise NotFoundError(f"item {item} does not exist; the pool has {self._project.row.n_items}")
        return self._store.comments.of_item(self._project.row.id, item, only_by)

    def require_comment(self, item: int, comment_id: int, only_by: str | None = None) -> None:
        """Raises NotFoundError when the item has no such comment (of this person, when one is named)."""
        if comment_id not in {comment.id for comment in self.comments(item, only_by)}:
            raise NotFoundError(f"item {item} has no comment {comment_id}")

    def open_comments(self) -> list[Comment]:
        """Comments that nobody has resolved, newest first."""
        return self._store.comments.open(self._project.row.id)

    def resolve(self, comment_id: int, by: str) -> Comment:
        """Mark a comment as settled."""
        return self._store.comments.resolve(self._project.row.id, comment_id, by)
