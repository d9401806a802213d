"""A disk that fails and a clock that jumps under a real server on SQLite. Each has its control beside it: without the
fault the same steps end otherwise."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from test_fault_kill_server import recorded
from test_fault_training import until

from plumbline_backend.client import ApiError, Client

pytestmark = pytest.mark.slow


def ask(address: str, path: str, body: dict[str, Any], person: str) -> Any:
    request = urllib.request.Request(
        f"{address}/api/v1/projects/many/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "X-Plumbline-Person": person},
    )
    with urllib.request.urlopen(request, timeout=60) as said:
        return json.load(said)


def claim(address: str, person: str, n: int) -> list[dict[str, Any]]:
    asks: list[dict[str, Any]] = ask(address, "next", {"holder": f"tab of {person}", "n": n}, person)["asks"]
    return asks


def answer(address: str, person: str, one: dict[str, Any]) -> dict[str, Any]:
    item = one["item"]["position"]
    row = {"uuid": f"{person}-{item}", "item": item, "class_id": "c1", "query_id": one["query_id"]}
    body = {"judgements": [{**row, "stratum": one["stratum"]}]}
    ack: dict[str, Any] = ask(address, "judgements", body, person)["acks"][0]
    return ack


def test_an_io_error_is_said_and_what_was_acknowledged_stays(
    folder: Path, start: Any, faults: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plumbline_backend.client.ATTEMPTS", 1)
    process, address = start(folder, environment=faults.environment)
    with Client(address) as client:
        kept = {f"before-{i}": client.record("many", i, "c1", uuid=f"before-{i}") for i in range(5)}
        faults.disk_fails("plumbline.db")
        for i in range(10, 14):
            with pytest.raises(ApiError, match=r"I/O|readonly|disk") as refused:
                client.record("many", i, "c1", uuid=f"during-{i}")
            assert refused.value.status == 503
        assert client.get("/projects/many/items/1")["position"] == 1, "reading goes on"
        faults.disk_fails("")
        kept["after"] = client.record("many", 20, "c1", uuid="after")
        assert process.poll() is None
    stored = recorded(folder, "")
    assert set(stored) == set(kept)
    assert len(stored) == len(set(stored))


def test_a_model_that_cannot_be_written_fails_its_job_and_the_next_one_works(
    folder: Path, start: Any, faults: Any
) -> None:
    _, address = start(folder, environment=faults.environment)
    faults.disk_fails("/models/")
    with Client(address) as client:
        rows = [{"item": i, "class_id": f"c{1 + i % 2}"} for i in range(40)]
        assert all(ack["ok"] for ack in client.record_many("many", rows))

        def failed() -> list[Any]:
            jobs = client.get("/projects/many/jobs")["jobs"]
            return [job for job in jobs if job["state"] == "failed"]

        words = until(failed, 120)[0]["message"]
        assert "Input/output error" in words, words
        assert client.get("/projects/many/models") == []
        faults.disk_fails("")
        more = [{"item": i, "class_id": f"c{1 + i % 2}"} for i in range(40, 80)]
        assert all(ack["ok"] for ack in client.record_many("many", more))
        until(lambda: client.get("/projects/many/models"), 120)
        assert all(job["state"] != "running" for job in client.get("/projects/many/jobs")["jobs"][1:])


@pytest.mark.parametrize("hours", [0, 2, -2])
def test_a_clock_that_jumps_assigns_nothing_twice_and_loses_nothing(
    hours: int, folder: Path, start: Any, faults: Any
) -> None:
    """Two hours on, leases have ended: what Ada held is asked of Bob, and whoever answers first is the one. The
    controls: with the clock as it is (0), and set back, nobody is asked what Ada holds."""
    _, address = start(folder, environment=faults.environment)
    adas = claim(address, "Ada", 5)
    faults.clock_off(hours)
    bobs = claim(address, "Bob", 40)
    shared = {one["item"]["position"] for one in adas} & {one["item"]["position"] for one in bobs}
    assert bool(shared) == (hours > 0), "leases live by the clock of the database's machine"
    acks = [answer(address, "Bob", one) for one in bobs] + [answer(address, "Ada", one) for one in adas]
    ok = [ack["uuid"] for ack in acks if ack["ok"]]
    assert len(ok) == len({one["item"]["position"] for one in [*adas, *bobs]})
    refused = [ack["error"] for ack in acks if not ack["ok"]]
    assert all("went to somebody else" in words for words in refused), refused
    assert len(refused) == len(shared)
    stored = recorded(folder, "")
    assert sorted(stored) == sorted(ok)
    faults.clock_off(0)
    assert claim(address, "Cy", 3), "asking goes on when the clock is set right"
