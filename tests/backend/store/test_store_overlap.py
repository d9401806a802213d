"""Promise P2: live leases and answers together never exceed the overlap, whatever happens at the same moment."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.types import Ask, Judge
from plumbline_backend.store import Store

HOUR = 3600.0


def plan(_: int) -> Iterator[Ask]:
    return (Ask(item, None, "random", item, None, "test") for item in range(1_000))


def people(store: Store, desk: Any, n: int) -> list[Judge]:
    return [store.judges.ensure(desk.project.id, "person", f"p{i}") for i in range(n)]


def claim(store: Store, desk: Any, judge: Judge, n: int, overlap: int, ttl_s: float = HOUR) -> list[int]:
    asks = store.leases.claim(
        desk.question.id, f"tab of {judge.name}", judge.id, plan, n, ttl_s, overlap, overlap
    )
    return [ask.item for ask in asks]


def answer(desk: Any, store: Store, judge: Judge, item: int, overlap: int, **more: Any) -> None:
    new = desk.new(item, **{"judge_id": judge.id, "stratum": "random", **more})
    store.ledger.record(new, overlap)


def test_an_answer_and_a_lease_together_fill_an_overlap_of_two(store: Store, desk: Any) -> None:
    a, b, c = people(store, desk, 3)
    assert claim(store, desk, a, 1, 2) == claim(store, desk, b, 1, 2) == [0]
    answer(desk, store, a, 0, 2)
    assert claim(store, desk, c, 1, 2) == [1]  # one answer and one lease: full


def test_an_answer_after_its_time_counts_while_the_item_is_still_wanted(store: Store, desk: Any) -> None:
    a, _ = people(store, desk, 2)
    assert claim(store, desk, a, 1, 1, ttl_s=0.05) == [0]
    time.sleep(0.1)
    answer(desk, store, a, 0, 1)
    assert desk.answers() == {(0, a.id): "cat"}


def test_an_answer_after_its_time_is_refused_when_the_item_went_to_others(store: Store, desk: Any) -> None:
    a, b = people(store, desk, 2)
    assert claim(store, desk, a, 1, 1, ttl_s=0.05) == [0]
    time.sleep(0.1)
    assert claim(store, desk, b, 1, 1) == [0]
    with pytest.raises(ConflictError, match="went to somebody else; this answer is not needed"):
        answer(desk, store, a, 0, 1)
    answer(desk, store, b, 0, 1)
    with pytest.raises(ConflictError):
        answer(desk, store, a, 0, 1)
    assert desk.answers() == {(0, b.id): "cat"}


@pytest.mark.parametrize("more", [{"stratum": "browse"}, {"stratum": "adjudication"}])
def test_what_a_person_chose_to_answer_is_always_kept(store: Store, desk: Any, more: dict[str, Any]) -> None:
    a, b = people(store, desk, 2)
    claim(store, desk, a, 1, 1)
    answer(desk, store, b, 0, 1, **more)
    answer(desk, store, a, 0, 1)  # and the promise to the other one holds
    assert len(desk.answers()) == 2


def test_a_revision_and_a_retry_pass_when_the_item_is_full(store: Store, desk: Any) -> None:
    a, b = people(store, desk, 2)
    claim(store, desk, a, 1, 1)
    first = desk.new(0, judge_id=a.id, stratum="random")
    kept = store.ledger.record(first, 1)
    assert store.ledger.record(first, 1) == kept
    answer(desk, store, a, 0, 1, answer="dog")
    with pytest.raises(ConflictError):
        answer(desk, store, b, 0, 1)
    assert desk.answers() == {(0, a.id): "dog"}


def test_skipping_leaves_room_for_another(store: Store, desk: Any) -> None:
    a, b = people(store, desk, 2)
    claim(store, desk, a, 1, 1)
    answer(desk, store, a, 0, 1, answer=None, state="skipped")
    assert claim(store, desk, b, 1, 1) == [0]


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_many_at_once_never_exceed_the_overlap(store: Store, desk: Any, overlap: int) -> None:
    """Eight people claim and answer, some after their leases ended. Controls: all have work, and some are refused."""
    judges = people(store, desk, 8)
    over: list[Counter[int]] = []

    def work(judge: Judge) -> tuple[int, int]:
        rng, kept, refused = random.Random(judge.id), 0, 0
        for _ in range(5):
            ttl_s = rng.choice([0.02, HOUR])
            for item in claim(store, desk, judge, 3, overlap, ttl_s):
                time.sleep(rng.choice([0.0, 0.03]))
                try:
                    answer(desk, store, judge, item, overlap)
                    kept += 1
                except ConflictError:
                    refused += 1
                over.append(counted(store))
        return kept, refused

    with ThreadPoolExecutor(len(judges)) as pool:
        done = list(pool.map(work, judges))
    assert sum(kept for kept, _ in done) > 40
    assert max(max(each.values(), default=0) for each in over) <= overlap
    answered = Counter(item for item, _ in desk.answers())
    assert max(answered.values()) == overlap


def counted(store: Store) -> Counter[int]:
    """Live leases and answers per item, at one moment."""
    from sqlalchemy import select

    from plumbline_backend.store.columns import now
    from plumbline_backend.store.tables import current_judgements, leases

    with store.database.read() as connection:
        held = connection.scalars(select(leases.c.item).where(leases.c.expires_at > now())).all()
        given = connection.scalars(select(current_judgements.c.item)).all()
    return Counter(held) + Counter(given)


def test_the_check_would_find_an_overlap_that_is_too_large(store: Store, desk: Any) -> None:
    a, b = people(store, desk, 2)
    for judge in (a, b):
        claim(store, desk, judge, 1, 2)
    assert counted(store)[0] == 2
