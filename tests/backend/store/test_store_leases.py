"""Leases: nobody is asked what somebody else is asked, and a refresh gets the same items."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.types import Ask, NewJudgement
from plumbline_backend.store import open_store
from plumbline_backend.store.columns import now_plus
from plumbline_backend.store.tables import leases


def in_order(asks: int) -> Iterator[Ask]:
    """Items 0, 1, 2, ...; every fifth ask is one of the stream."""
    for item in count():
        yield Ask(item, None, "stream" if asks % 5 == 0 else "model", item, 1.0 / (1 + item), "nearest")
        asks += 1


def end_leases(desk: Any, holder: str) -> None:
    """Lets the holder's time run out, by the database's clock."""
    statement = update(leases).where(leases.c.holder == holder).values(expires_at=now_plus(-1.0))
    desk.store.database.write(lambda connection: connection.execute(statement))


def items(asks: list[Ask]) -> list[int]:
    """Items of asks."""
    return [ask.item for ask in asks]


@pytest.fixture
def claim(desk: Any) -> Callable[..., list[Ask]]:
    """Claims for the desk's question."""

    def run(holder: str, n: int = 3, plan: Any = in_order, ttl_s: float = 60, **more: Any) -> list[Ask]:
        judge_id = more.pop("judge_id", desk.judge.id)
        return desk.store.leases.claim(desk.question.id, holder, judge_id, plan, n, ttl_s, **more)

    return run


def test_two_holders_get_different_items(desk: Any, claim: Any) -> None:
    assert items(claim("a")) == [0, 1, 2]
    assert items(claim("b")) == [3, 4, 5]
    assert desk.store.leases.live(desk.question.id) == {0, 1, 2, 3, 4, 5}


def test_a_refresh_gets_the_same_asks_first(claim: Any) -> None:
    first = claim("a", 3)
    assert claim("a", 3) == first
    assert claim("a", 2) == first[:2]
    assert items(claim("a", 5)) == [0, 1, 2, 3, 4]


def test_an_ask_comes_back_from_the_database_whole(claim: Any) -> None:
    ask = Ask(7, None, "random", 12, None, "drawn at random")
    assert claim("a", 1, lambda _: [ask]) == [ask]
    assert claim("a", 1) == [ask]


def test_a_utility_of_nan_is_unknown(claim: Any) -> None:
    claim("a", 1, lambda _: [Ask(7, None, "random", 0, float("nan"), "")])
    assert claim("a", 1)[0].utility is None


def test_the_ask_counter_counts_new_leases_only(desk: Any, claim: Any) -> None:
    seen: list[int] = []

    def plan(asks: int) -> Iterator[Ask]:
        seen.append(asks)
        return in_order(asks)

    claim("a", 3, plan)
    claim("a", 3, plan)
    claim("a", 5, plan)
    claim("b", 1, plan)
    assert seen == [0, 3, 5]
    assert desk.store.leases.bump_asks(desk.question.id, 4) == 6
    assert desk.store.leases.bump_asks(desk.question.id, 0) == 10


def test_recording_releases_the_item_and_it_is_not_asked_again(desk: Any, claim: Any) -> None:
    claim("a", 3)
    desk.record(1)
    assert desk.store.leases.live(desk.question.id) == {0, 2}
    assert items(claim("a", 3)) == [0, 2, 3]


def test_an_item_that_was_undone_may_be_asked_again(desk: Any, claim: Any) -> None:
    desk.record(0)
    assert items(claim("a", 1)) == [1]
    desk.undo()
    assert items(claim("a", 2)) == [1, 0]


def test_what_another_person_judged_is_the_plans_affair_unless_answers_are_enough(
    desk: Any, claim: Any
) -> None:
    grace = desk.store.judges.ensure(desk.project.id, "person", "Grace")
    desk.record(0)
    desk.record(1, None)
    assert items(claim("g", 2, judge_id=grace.id)) == [0, 1]
    desk.store.leases.release(desk.question.id, "g")
    assert items(claim("g", 2, judge_id=grace.id, enough_answers=1)) == [1, 2]


def test_several_may_hold_an_item_when_asked_for(desk: Any, claim: Any) -> None:
    grace, hedy = (desk.store.judges.ensure(desk.project.id, "person", name).id for name in ("Grace", "Hedy"))
    assert items(claim("a", 2, per_item=2)) == items(claim("b", 2, per_item=2, judge_id=grace)) == [0, 1]
    assert items(claim("c", 2, per_item=2, judge_id=hedy)) == [2, 3]


def test_two_tabs_of_one_person_are_never_asked_the_same(claim: Any) -> None:
    assert items(claim("a", 2, per_item=2)) == [0, 1]
    assert items(claim("b", 2, per_item=2)) == [2, 3]


def test_release_ends_some_or_all(desk: Any, claim: Any) -> None:
    claim("a", 4)
    claim("b", 1)
    assert desk.store.leases.release(desk.question.id, "a", [1, 99]) == 1
    assert desk.store.leases.live(desk.question.id) == {0, 2, 3, 4}
    assert desk.store.leases.release(desk.question.id, "a") == 3
    assert desk.store.leases.live(desk.question.id) == {4}


def test_leases_end_after_their_time(desk: Any, claim: Any) -> None:
    claim("a", 2, ttl_s=0.05)
    time.sleep(0.1)
    assert desk.store.leases.live(desk.question.id) == set()


def test_an_ended_lease_is_free_for_others(desk: Any, claim: Any) -> None:
    claim("a", 2)
    assert items(claim("b", 1)) == [2]
    end_leases(desk, "a")
    assert desk.store.leases.live(desk.question.id) == {2}
    assert items(claim("c", 2)) == [0, 1]
    assert items(claim("a", 1)) == [3]


def test_a_claim_renews(desk: Any, claim: Any) -> None:
    claim("a", 1, ttl_s=5)
    claim("a", 1, ttl_s=600)
    soon = select(leases.c.item).where(leases.c.expires_at < now_plus(300.0))
    with desk.store.database.read() as connection:
        assert connection.scalars(soon).all() == []


def test_sweep_removes_what_has_ended(claim: Any, desk: Any) -> None:
    claim("a", 2)
    claim("b", 1)
    end_leases(desk, "a")
    assert desk.store.leases.sweep() == 2
    assert desk.store.leases.sweep() == 0


def test_a_tab_that_changes_its_person_starts_afresh(desk: Any, claim: Any) -> None:
    grace = desk.store.judges.ensure(desk.project.id, "person", "Grace")
    claim("a", 2)
    desk.record(0, judge_id=grace.id)
    assert items(claim("a", 2, judge_id=grace.id)) == [1, 2]


def test_a_plan_may_end_early_or_repeat_itself(claim: Any) -> None:
    ask = Ask(4, None, "browse", 0, 0.0, "")
    assert items(claim("a", 5, lambda _: [ask, ask])) == [4]
    assert claim("b", 5, lambda _: []) == []


def test_a_plan_that_fails_leaves_nothing_behind(desk: Any, claim: Any) -> None:
    def plan(asks: int) -> Iterator[Ask]:
        yield from [ask for ask, _ in zip(in_order(asks), range(40), strict=False)]
        raise KeyError("scores")

    with pytest.raises(KeyError):
        claim("a", 60, plan)
    assert desk.store.leases.live(desk.question.id) == set()
    assert desk.store.leases.bump_asks(desk.question.id, 0) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"holder": "\0"}, "holder has a NUL"),
        ({"holder": ""}, "holder is empty"),
        ({"n": -1}, "n is -1"),
        ({"ttl_s": 0}, "ttl_s is 0"),
        ({"ttl_s": float("nan")}, "ttl_s is nan"),
        ({"per_item": 0}, "per_item is 0"),
        ({"plan": lambda _: [Ask(-1, None, "model", 0, 0.0, "")]}, "a candidate's item is -1"),
        (
            {"plan": lambda _: [Ask(1, None, "model", 0, 0.0, "\ud800")]},
            "a candidate's reason has a lone surrogate",
        ),
    ],
)
def test_bad_claims_are_refused(claim: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        claim(**{"holder": "a", **changes})


def test_the_question_must_exist(desk: Any) -> None:
    with pytest.raises(NotFoundError, match="question 99 does not exist"):
        desk.store.leases.claim(99, "a", desk.judge.id, in_order, 1, 60)
    with pytest.raises(NotFoundError, match="question 99 does not exist"):
        desk.store.leases.bump_asks(99, 1)


def test_eight_people_at_once_never_get_the_same_item(desk: Any) -> None:
    """Each claims, answers, claims: 8 x 12 rounds of 5 items. Every item is leased and answered once."""
    people = [desk.store.judges.ensure(desk.project.id, "person", f"person {n}") for n in range(8)]
    start = threading.Barrier(8)
    question_id = desk.question.id

    def work(number: int) -> list[int]:
        judge, mine = people[number], []
        start.wait()
        for round_ in range(12):
            asks = desk.store.leases.claim(
                question_id, f"tab {number}", judge.id, in_order, 5, 60, enough_answers=1
            )
            for ask in asks:
                uuid = f"{number}-{round_}-{ask.item}"
                desk.store.ledger.record(
                    NewJudgement(ask.item, question_id, 1, judge.id, uuid, "answered", "cat")
                )
                mine.append(ask.item)
        return mine

    with ThreadPoolExecutor(8) as pool:
        answered = [item for mine in pool.map(work, range(8)) for item in mine]
    assert sorted(answered) == list(range(8 * 12 * 5))
    assert desk.store.leases.bump_asks(question_id, 0) == 8 * 12 * 5
    assert desk.store.leases.live(question_id) == set()


def test_a_claim_reads_no_table_from_end_to_end(tmp_path: Path, make_desk: Any) -> None:
    """SQLite plans every statement of a claim as a search by index, and none of them reads the ledger."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            statements.append((statement, parameters))

    with open_store(tmp_path / "plumbline.db") as store:
        desk = make_desk(store)
        desk.record(0)
        event.listen(store.database._writing, "before_cursor_execute", note)
        asks = store.leases.claim(desk.question.id, "a", desk.judge.id, in_order, 3, 60, enough_answers=1)
        assert items(asks) == [1, 2, 3]
        assert len(statements) >= 8
        with store.database.read() as connection:
            for statement, parameters in statements:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                assert not [step for step in plan if step[3].startswith("SCAN")], (statement, plan)
                assert not re.search(r"\bjudgements\b", statement)
