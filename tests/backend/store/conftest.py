"""A small project in the store, and short ways to judge its items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from plumbline_backend.domain.types import Judge, Judgement, LabelClass, NewJudgement, ProjectRow, Question
from plumbline_backend.store import Store

CLASSES = (LabelClass("cat", "Cat", "#d55e00", "1"), LabelClass("dog", "Dog", "#0072b2", "2"))


@dataclass(frozen=True)
class Desk:
    """A project with a question and a person, ready to label."""

    store: Store
    project: ProjectRow
    question: Question
    judge: Judge

    def new(self, item: int, answer: str | None = "cat", /, **changes: Any) -> NewJudgement:
        """A judgement that is not recorded yet."""
        drafted = NewJudgement(
            item=item,
            question_id=self.question.id,
            question_version=1,
            judge_id=self.judge.id,
            client_uuid=uuid4().hex,
            state="answered" if answer is not None else "skipped",
            answer=answer,
        )
        return replace(drafted, **changes)

    def record(self, item: int, answer: str | None = "cat", /, **changes: Any) -> Judgement:
        """A recorded judgement."""
        return self.store.ledger.record(self.new(item, answer, **changes))

    def undo(self, judgement_id: int | None = None, judge: Judge | None = None) -> Judgement | None:
        """Undo as the person does it."""
        judge_id = (judge or self.judge).id
        return self.store.ledger.undo(self.question.id, judge_id, uuid4().hex, judgement_id)

    def answers(self, **restrictions: Any) -> dict[tuple[int, int], str | None]:
        """(item, judge) to the current answer."""
        found = self.store.ledger.current(self.question.id, **restrictions)
        return {(judgement.item, judgement.judge_id): judgement.answer for judgement in found}


@pytest.fixture
def make_desk() -> Callable[[Store], Desk]:
    """Sets a project up in a store."""

    def make(store: Store, slug: str = "animals", n_items: int = 1_000) -> Desk:
        project = store.projects.create(slug, "Animals", n_items, {})
        question = store.questions.create(project.id, "What is it?", "choice", "Look well.", CLASSES, "Ada")
        return Desk(store, project, question, store.judges.ensure(project.id, "person", "Ada"))

    return make


@pytest.fixture
def desk(store: Store, make_desk: Callable[[Store], Desk]) -> Desk:
    """A project in an empty store."""
    return make_desk(store)
