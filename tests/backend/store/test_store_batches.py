"""A batch of judgements is taken back as one, on SQLite and on Postgres."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.store import revoking


def test_a_batch_is_revoked_as_one_and_only_it(desk: Any) -> None:
    head = desk.store.judges.ensure(desk.project.id, "head", "linear", version=1)
    batch = [desk.new(item, "cat", judge_id=head.id) for item in range(10)]
    desk.store.ledger.record_many(batch, "one")
    desk.store.ledger.record_many([desk.new(20, "cat", judge_id=head.id)], "two")
    mine = desk.record(3, "dog")
    assert desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, batch="one") == 10
    assert desk.answers() == {(3, desk.judge.id): "dog", (20, head.id): "cat"}
    assert desk.store.ledger.current(desk.question.id, judge_id=desk.judge.id) == [mine]
    assert desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, batch="one") == 0


def test_what_a_batch_superseded_is_in_force_again(desk: Any) -> None:
    desk.record(1, "dog")
    desk.record(2, "dog")
    desk.undo()
    desk.store.ledger.record_many([desk.new(1, "cat"), desk.new(2, "cat")], "bulk")
    assert set(desk.answers().values()) == {"cat"}
    desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, batch="bulk")
    assert desk.answers() == {(1, desk.judge.id): "dog"}


def test_an_answer_that_came_after_the_batch_stays(desk: Any) -> None:
    desk.store.ledger.record_many([desk.new(1, "cat")], "bulk")
    desk.record(1, "dog")
    desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, batch="bulk")
    assert desk.answers() == {(1, desk.judge.id): "dog"}
    desk.undo()
    assert desk.answers() == {}


def test_named_rows_are_revoked_and_others_stay(desk: Any) -> None:
    made = [desk.record(item) for item in range(4)]
    assert desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, ids=[made[0].id, made[2].id, 99]) == 2
    assert sorted(item for item, _ in desk.answers()) == [1, 3]
    assert desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, ids=[]) == 0


def test_the_current_view_equals_one_built_anew(desk: Any) -> None:
    for item in range(5):
        desk.record(item, "dog")
    desk.store.ledger.record_many([desk.new(item, "cat") for item in range(3, 9)], "bulk")
    desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, batch="bulk")
    before = desk.answers()
    desk.store.ledger.rebuild_current(desk.question.id)
    assert desk.answers() == before == {(item, desk.judge.id): "dog" for item in range(5)}


def test_large_batches_are_revoked_in_portions(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    portion = revoking.revoke_portion

    def counted(*args: Any) -> int:
        asked.append(portion(*args, 7))
        return asked[-1]

    monkeypatch.setattr("plumbline_backend.store.ledger.revoke_portion", counted)
    desk.store.ledger.record_many([desk.new(item) for item in range(20)], "bulk")
    assert desk.store.ledger.revoke_many(desk.question.id, uuid4().hex, batch="bulk") == 20
    assert asked == [7, 7, 6, 0]


def test_neither_batch_nor_rows_is_refused(desk: Any) -> None:
    with pytest.raises(InputError, match="batch and ids are both missing"):
        desk.store.ledger.revoke_many(desk.question.id, uuid4().hex)


def test_the_newest_row_of_people_can_be_told_from_a_heads(desk: Any) -> None:
    head = desk.store.judges.ensure(desk.project.id, "head", "linear", version=1)
    mine = desk.record(1)
    desk.store.ledger.record_many([desk.new(2, "cat", judge_id=head.id)], "pace")
    ledger, question = desk.store.ledger, desk.question.id
    assert ledger.newest_id(question) > mine.id
    assert ledger.newest_id(question, ("person", "imported")) == mine.id
    assert ledger.newest_id(question, ("person",), after_id=mine.id) == mine.id
    assert ledger.n_since(question, 0) == 1
    assert ledger.n_since(question, 0, ("head",)) == 1
