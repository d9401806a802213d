"""P1 and P3: a server killed at random moments loses nothing that it acknowledged and doubles nothing."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from plumbline_backend.client import ApiError, Client
from plumbline_backend.store import open_store

ROUNDS = 4
WRITERS = 4
PROJECT = "many"


class Writer(threading.Thread):
    """A script that records item after item, and sends the unacknowledged one again to the next server."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.next_item = number
        self.acknowledged: list[str] = []
        self.url = ""

    def run_against(self, url: str) -> Writer:
        """The same script against another server."""
        again = Writer(self.number)
        again.next_item, again.acknowledged, again.url = self.next_item, self.acknowledged, url
        return again

    def run(self) -> None:
        """Until the server dies."""
        with Client(self.url, timeout_s=10) as client:
            while True:
                uuid = f"{self.number}-{self.next_item}"
                judgement = {"uuid": uuid, "item": self.next_item, "class_id": "c1"}
                try:
                    (ack,) = client.record_many(PROJECT, [judgement])
                except (OSError, ApiError, ValueError):
                    return
                assert ack["ok"], ack
                self.acknowledged.append(uuid)
                self.next_item += WRITERS


def kill_at_random(start: Any, folder: Path, url: str, rounds: int, *ways: str) -> list[str]:
    """Kills a server after a random time of recording, several times; what was acknowledged in all."""
    rng = random.Random(8)
    writers = [Writer(number) for number in range(WRITERS)]
    for _ in range(rounds):
        process, address = start(folder, url, *ways)
        writers = [writer.run_against(address) for writer in writers]
        for writer in writers:
            writer.start()
        time.sleep(0.6 + rng.random() * 0.8)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for writer in writers:
            writer.join()
    return [uuid for writer in writers for uuid in writer.acknowledged]


def recorded(folder: Path, url: str) -> list[str]:
    """Every UUID in the ledger."""
    with open_store(url or folder / "plumbline.db") as store:
        (project,) = store.projects.list()
        (question,) = store.questions.for_project(project.id)
        return [row.client_uuid for row in store.ledger.history(question.id, limit=None)]


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer gives up on a dead server quickly."""
    monkeypatch.setattr("plumbline_backend.client.ATTEMPTS", 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_nothing_acknowledged_is_lost_and_nothing_is_doubled(
    kind: str, folder: Path, start: Any, request: pytest.FixtureRequest
) -> None:
    url = "" if kind == "sqlite" else moved_to_postgres(folder, request.getfixturevalue("postgres"))
    acknowledged = kill_at_random(start, folder, url, ROUNDS)
    stored = recorded(folder, url)
    assert len(acknowledged) >= 5 * ROUNDS
    assert not set(acknowledged) - set(stored), "acknowledged and lost"
    assert len(stored) == len(set(stored)), "recorded twice"


@pytest.mark.slow
def test_the_check_finds_a_server_that_acknowledges_too_early(folder: Path, start: Any) -> None:
    acknowledged = kill_at_random(start, folder, "", 1, "lies")
    assert set(acknowledged) - set(recorded(folder, ""))


def moved_to_postgres(folder: Path, server: Any) -> str:
    """The same workspace with its rows in an empty Postgres database, by backup and restore."""
    from uuid import uuid4

    from plumbline_backend.backup import restore_backup, write_backup
    from plumbline_backend.workspace import open_workspace

    name = f"fault_{uuid4().hex}"
    server.psql(f"CREATE DATABASE {name}")
    url: str = server.get_uri(database=name)
    out = folder.parent / "moving.tar"
    with open_workspace(folder) as workspace:
        write_backup(workspace.folder, workspace.store.database, out)
    folder.rename(folder.with_name("before"))
    restore_backup(out, folder, url)
    return url
