"""What graders said: recording, undoing and reading grades, and the one answer that holds for each output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.criteria.book import CriteriaBook
from plumbline_backend.criteria.regrade import by_version
from plumbline_backend.domain.alignment import BAD, GOOD, UNGRADED
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.grades import FAIL, PASS, RATINGS, Criterion, Grade
from plumbline_backend.domain.types import STATES, Judge, Judgement, NewJudgement, State
from plumbline_backend.store import Store
from plumbline_backend.store.draws import Draw

MAX_NOTE = 10_000


class GradeBook:
    """The grades of one project."""

    def __init__(self, store: Store, project_id: int, n_outputs: int, criteria: CriteriaBook) -> None:
        self._store = store
        self._project_id = project_id
        self._n_outputs = n_outputs
        self._criteria = criteria

    def record(
        self,
        criterion: Criterion,
        output: int,
        grader: Judge,
        client_uuid: str,
        answer: str | None,
        state: State,
        note: str,
        seconds: float | None,
        draw: Draw | None,
    ) -> Judgement:
        """Write one grade durably. The same client_uuid again changes nothing. Raises InputError."""
        self._check(criterion, output, answer, state, note)
        return self._store.ledger.record(
            NewJudgement(
                item=output,
                question_id=criterion.id,
                question_version=criterion.version,
                judge_id=grader.id,
                client_uuid=client_uuid,
                state=state,
                answer=answer,
                note=note,
                seconds=seconds,
                query_id=None if draw is None else draw.query_id,
                stratum="browse" if draw is None else draw.stratum,
            )
        )

    def undo(self, grader: Judge, client_uuid: str) -> Judgement | None:
        """Revoke the grader's newest grade of any criterion; returns it, or None when there is none."""
        questions = self._store.questions.for_project(self._project_id)
        for question in questions:
            rows = self._store.ledger.history(question.id, judge_id=grader.id, limit=None)
            if any(row.client_uuid == client_uuid for row in rows):
                return self._store.ledger.undo(question.id, grader.id, client_uuid)
        standing = [row for q in questions for row in self._store.ledger.current(q.id, judge_id=grader.id)]
        if not standing:
            return None
        newest = max(standing, key=lambda row: row.id)
        return self._store.ledger.undo(newest.question_id, grader.id, client_uuid, newest.id)

    def of(
        self,
        criterion: Criterion,
        draws: Mapping[int, Draw],
        output: int | None = None,
        grader: str | None = None,
    ) -> list[Grade]:
        """What people say of the criterion today, by output."""
        items = None if output is None else [output]
        rows = self._store.ledger.current(criterion.id, items=items, judge_kinds=("person",))
        names = {judge.id: judge.name for judge in self._store.judges.for_project(self._project_id, "person")}
        return [
            grade_of(row, criterion, names[row.judge_id], draws)
            for row in rows
            if grader is None or names[row.judge_id] == grader
        ]

    def by_version(self, criterion: Criterion, draws: Mapping[int, Draw]) -> dict[int, list[Grade]]:
        """What people said of the criterion under each of its versions, oldest first, stale or not."""
        names = {judge.id: judge.name for judge in self._store.judges.for_project(self._project_id, "person")}
        history = self._store.ledger.history(criterion.id, limit=None)
        rows = by_version([row for row in history if row.judge_id in names])
        return {
            version: [grade_of(row, criterion, names[row.judge_id], draws) for row in found]
            for version, found in rows.items()
        }

    def _check(self, criterion: Criterion, output: int, answer: str | None, state: State, note: str) -> None:
        wrong = []
        valid = (PASS, FAIL) if criterion.kind == "pass_fail" else RATINGS
        if not 0 <= output < self._n_outputs:
            wrong.append(f"output: found {output}; expected 0 to {self._n_outputs - 1}")
        if criterion.status != "active":
            wrong.append(f"criterion: {criterion.name!r} is {criterion.status}; expected an active one")
        if state not in STATES:
            wrong.append(f"state: found {state!r}; expected one of {', '.join(STATES)}")
        if (state == "answered") != (answer is not None):
            wrong.append(f"answer: found {answer!r} with state {state!r}; expected one exactly when answered")
        elif answer is not None and answer not in valid:
            wrong.append(f"answer: found {answer!r}; {did_you_mean(answer, valid)}")
        if len(note) > MAX_NOTE:
            wrong.append(f"note: found {len(note)} characters; expected at most {MAX_NOTE}")
        if wrong:
            raise InputError("\n".join(wrong))


def grade_of(row: Judgement, criterion: Criterion, grader: str, draws: Mapping[int, Draw]) -> Grade:
    """A row of the ledger as a grade."""
    draw = None if row.query_id is None else draws.get(row.query_id)
    return Grade(
        judgement_id=row.id,
        output=row.item,
        criterion_id=criterion.id,
        criterion_version=row.question_version,
        grader=grader,
        state=row.state,
        answer=row.answer,
        passed=None if row.answer is None else criterion.passes(row.answer),
        note=row.note,
        seconds=row.seconds,
        at=row.created_at,
        stale=row.question_version < criterion.valid_from,
        stratum=row.stratum,
        probability=None if draw is None else draw.probability,
    )


def truth_of(grades: Sequence[Grade], n_outputs: int) -> NDArray[np.int8]:
    """(n_outputs,) GOOD, BAD or UNGRADED: what most graders say; a tie is nobody's word and counts as ungraded.

    Stale grades, and states other than answered, do not count.
    """
    votes: dict[int, Counter[bool]] = {}
    for grade in grades:
        if grade.passed is not None and not grade.stale:
            votes.setdefault(grade.output, Counter())[grade.passed] += 1
    truth = np.full(n_outputs, UNGRADED, dtype=np.int8)
    for output, count in votes.items():
        if count[True] != count[False]:
            truth[output] = GOOD if count[True] > count[False] else BAD
    return truth
