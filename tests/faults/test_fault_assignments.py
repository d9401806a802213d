"""P2 and P3 under many at once: nobody is asked what is leased or answered, and a double click counts once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from test_fault_kill_server import moved_to_postgres

from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.store import leases
from plumbline_backend.workspace import open_workspace

PEOPLE = 10
ROUNDS = 6
"""Each person asks for five items and answers three of them, so often."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def project(folder: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """An open project of many items on either database. It does not train: the head is not what is tried here."""
    url = None
    if request.param == "postgres":
        url = moved_to_postgres(folder, request.getfixturevalue("postgres"))
    with open_workspace(folder, database_url=url, executor=InlineExecutor()) as workspace:
        found = workspace.project("many")
        until = time.monotonic() + 60
        while found.loop.newest_query() is None:  # the first ranking; another plan from then on
            assert time.monotonic() < until
            time.sleep(0.02)
        found.loop.fit_soon = lambda: None  # type: ignore[method-assign]
        yield found


def label_at_once(project: Project) -> tuple[Counter[int], int]:
    """Ten people label at the same time. Answers by item, and how often an item was held or answered twice."""
    answered: Counter[int] = Counter()
    holding: Counter[int] = Counter()
    over = 0
    lock = threading.Lock()

    def person(number: int) -> None:
        nonlocal over
        judge = project.person(f"person {number}")
        held: set[int] = set()
        for turn in range(ROUNDS):
            asks = {ask.item for ask in project.next_items(judge, f"tab {number}", 5)}
            with lock:
                new = asks - held
                holding.update(new)
                over += sum(holding[item] + answered[item] > 1 for item in new)
            held |= asks
            for item in sorted(asks)[:3]:
                with (
                    lock
                ):  # before it is released, or another's claim would rightly win the race to the count
                    answered[item] += 1
                    holding[item] -= 1
                held.discard(item)
                project.record(item=item, judge=judge, client_uuid=f"{number}-{turn}-{item}", answer="c1")

    with ThreadPoolExecutor(PEOPLE) as pool:
        list(pool.map(person, range(PEOPLE)))
    return answered, over


def test_leases_and_judgements_never_exceed_the_overlap(project: Project) -> None:
    answered, over = label_at_once(project)
    assert over == 0
    assert sum(answered.values()) == PEOPLE * ROUNDS * 3
    assert max(answered.values()) == 1


def test_the_check_finds_leases_that_are_not_respected(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "_leased", lambda *_: ({}, set()))
    monkeypatch.setattr(leases, "_barred", lambda *_: set())
    _, over = label_at_once(project)
    assert over > 0


def test_a_double_click_counts_once(project: Project) -> None:
    judge = project.person("Ada")

    def click(_: int) -> int:
        return project.record(item=7, judge=judge, client_uuid="one click", answer="c1").id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(click, range(16)))
    assert len(ids) == 1
    assert len(project.history(item=7)) == 1


def test_two_tabs_of_one_person_are_asked_different_items(project: Project) -> None:
    judge = project.person("Ada")
    with ThreadPoolExecutor(4) as pool:
        tabs = list(pool.map(lambda tab: project.next_items(judge, f"tab {tab}", 10), range(4)))
    items = [ask.item for asks in tabs for ask in asks]
    assert len(items) == len(set(items)) == 40


def test_a_clock_two_hours_off_ends_no_lease(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases live by the database's clock; the control is a lease that the database itself lets end."""
    ada, bob = project.person("Ada"), project.person("Bob")
    mine = {ask.item for ask in project.next_items(ada, "tab", 5)}
    really = time.time
    for hours in (2, -2):
        monkeypatch.setattr(time, "time", lambda hours=hours: really() + hours * 3600)
        others = {ask.item for ask in project.next_items(bob, f"other {hours}", 5)}
        assert not others & mine
    monkeypatch.undo()
    store: Any = project._store
    plan = project.loop._plan
    brief = store.leases.claim(project.question().id, "brief", ada.id, plan, 3, ttl_s=0.2)
    time.sleep(0.4)
    later = {ask.item for ask in project.next_items(bob, "later", 20)}
    assert {ask.item for ask in brief} <= later
