"""The ledger against the simplest thing that could be right: a list, searched from the start each time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from sqlalchemy import select

from plumbline_backend.domain.errors import ConflictError, NotFoundError
from plumbline_backend.domain.types import NewJudgement
from plumbline_backend.store import Store, open_store
from plumbline_backend.store.tables import current_judgements

ITEMS = st.integers(0, 3)
WHO = st.integers(0, 1)
ANSWERS = st.sampled_from(["cat", "dog", None])


@dataclass
class Row:
    """A row of the list."""

    id: int
    uuid: str
    item: int
    who: int
    answer: str | None
    revokes: int | None = None


class Model:
    """The rules of the current view, as DESIGN words them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def live(self) -> list[Row]:
        dead = {row.revokes for row in self.rows}
        return [row for row in self.rows if row.revokes is None and row.id not in dead]

    def current(self) -> dict[tuple[int, int], tuple[int, str | None]]:
        return {(row.item, row.who): (row.id, row.answer) for row in self.live()}

    def newest(self, who: int) -> Row | None:
        return next((row for row in reversed(self.live()) if row.who == who), None)


class LedgerMachine(RuleBasedStateMachine):
    """Two people, four items, every order of recording, revising, repeating and undoing."""

    store: Store
    make_desk: Any

    @initialize()
    def start(self) -> None:
        self.desk = self.make_desk(self.store, f"p{uuid4().hex}", n_items=4)
        other = self.store.judges.ensure(self.desk.project.id, "person", "Grace")
        self.judges = [self.desk.judge.id, other.id]
        self.model = Model()
        self.sent: list[NewJudgement] = []

    @rule(item=ITEMS, who=WHO, answer=ANSWERS)
    def record(self, item: int, who: int, answer: str | None) -> None:
        new = self.desk.new(item, answer, judge_id=self.judges[who])
        before = self.model.current().get((item, who))
        made = self.store.ledger.record(new)
        assert made.supersedes == (None if before is None else before[0])
        self.sent.append(new)
        self.model.rows.append(Row(made.id, new.client_uuid, item, who, answer))

    @rule(judged=st.lists(st.tuples(ITEMS, WHO, ANSWERS), max_size=6))
    def record_batch(self, judged: list[tuple[int, int, str | None]]) -> None:
        batch = [self.desk.new(item, answer, judge_id=self.judges[who]) for item, who, answer in judged]
        assert self.store.ledger.record_many(batch, "batch") == len(batch)
        self.sent += batch
        ids = {
            row.client_uuid: row.id for row in self.store.ledger.history(self.desk.question.id, limit=None)
        }
        for new, (item, who, answer) in zip(batch, judged, strict=True):
            self.model.rows.append(Row(ids[new.client_uuid], new.client_uuid, item, who, answer))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        new = data.draw(st.sampled_from(self.sent))
        made = self.store.ledger.record(new)
        assert made.id == next(row.id for row in self.model.rows if row.uuid == new.client_uuid)

    @rule(who=WHO, times=st.integers(1, 2))
    def undo(self, who: int, times: int) -> None:
        expected, uuid = self.model.newest(who), uuid4().hex
        for _ in range(times if expected else 1):
            undone = self.store.ledger.undo(self.desk.question.id, self.judges[who], uuid)
            assert (undone and undone.id) == (expected and expected.id)
        if expected is not None:
            self._add_revocation(expected, uuid)

    @precondition(lambda self: self.model.rows)
    @rule(data=st.data(), who=WHO)
    def undo_named(self, data: st.DataObject, who: int) -> None:
        target = data.draw(st.sampled_from(self.model.rows))
        uuid = uuid4().hex
        allowed = target.who == who and target in self.model.live()
        try:
            undone = self.store.ledger.undo(self.desk.question.id, self.judges[who], uuid, target.id)
        except (ConflictError, NotFoundError):
            assert not allowed
        else:
            assert allowed
            assert undone is not None
            assert undone.id == target.id
            self._add_revocation(target, uuid)

    def _add_revocation(self, target: Row, uuid: str) -> None:
        newest = self.store.ledger.newest_id(self.desk.question.id)
        self.model.rows.append(Row(newest, uuid, target.item, target.who, None, revokes=target.id))

    @invariant()
    def same_current_view(self) -> None:
        if not hasattr(self, "model"):
            return
        expected = {(item, self.judges[who]): found for (item, who), found in self.model.current().items()}
        question_id = self.desk.question.id
        rows = self.store.ledger.current(question_id)
        assert {(row.item, row.judge_id): (row.id, row.answer) for row in rows} == expected
        arrays = self.store.ledger.current_arrays(question_id)
        columns = zip(
            arrays.item.tolist(), arrays.judge_id.tolist(), arrays.id.tolist(), arrays.answer, strict=True
        )
        assert {(item, judge): (id_, answer) for item, judge, id_, answer in columns} == expected
        streamed = self.store.ledger.iter_rows(question_id, chunk=3)
        assert {row.judgement.id for row in streamed} == {id_ for id_, _ in expected.values()}

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        before = _derived(self.store, self.desk.question.id)
        self.store.ledger.rebuild_current(self.desk.question.id)
        assert _derived(self.store, self.desk.question.id) == before
        ids = [row.id for row in self.store.ledger.history(self.desk.question.id, limit=None)]
        assert sorted(ids) == sorted(row.id for row in self.model.rows)


def _derived(store: Store, question_id: int) -> set[tuple[Any, ...]]:
    statement = select(current_judgements).where(current_judgements.c.question_id == question_id)
    with store.database.read() as connection:
        return {tuple(row) for row in connection.execute(statement)}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shared_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all examples: a database each would cost more than the examples."""
    url: str | Path = tmp_path_factory.mktemp("model") / "plumbline.db"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        server.psql("CREATE DATABASE ledger_model")
        url = server.get_uri(database="ledger_model")
    with open_store(url) as opened:
        yield opened


def test_any_sequence_gives_the_current_view_of_the_model(shared_store: Store, make_desk: Any) -> None:
    machine = type("Machine", (LedgerMachine,), {"store": shared_store, "make_desk": staticmethod(make_desk)})
    run_machine(
        machine,
        settings=settings(
            max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
