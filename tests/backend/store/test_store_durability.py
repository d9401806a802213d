"""What was acknowledged is there after `kill -9` of the process that wrote it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plumbline_backend.store import open_store

ROUNDS = 3
LEAST = 10
WRITER = Path(__file__).with_name("ledger_writer.py")


def write_until_killed(url: str, desk: Any, round_: int, seconds: float) -> list[str]:
    """Starts the writer, kills it -9 in the middle of its work, returns the UUIDs acknowledged: at least LEAST."""
    arguments = [str(value) for value in (desk.question.id, desk.judge.id, round_)]
    process = subprocess.Popen(
        [sys.executable, str(WRITER), url, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = b"".join(process.stdout.readline() for _ in range(LEAST))
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors.decode()
    whole_lines = (first + rest).decode().rpartition("\n")[0]
    return whole_lines.split("\n")


@pytest.mark.slow
def test_no_acknowledged_judgement_is_lost_by_kill_9(database_url: str, make_desk: Any) -> None:
    with open_store(database_url) as store:
        desk = make_desk(store, n_items=1_000_000)
    acknowledged: list[str] = []
    for round_ in range(ROUNDS):
        acknowledged += write_until_killed(database_url, desk, round_, seconds=0.3 + 0.2 * round_)
        with open_store(database_url) as store:
            history = store.ledger.history(desk.question.id, limit=None)
            stored = [judgement.client_uuid for judgement in history]
            assert len(stored) == len(set(stored))
            assert not set(acknowledged) - set(stored)
            current = {judgement.id for judgement in store.ledger.current(desk.question.id)}
            store.ledger.rebuild_current(desk.question.id)
            assert {judgement.id for judgement in store.ledger.current(desk.question.id)} == current
    assert len(acknowledged) >= LEAST * ROUNDS
