"""A real server is killed at random moments while people label, a head trains, and people grade outputs.

    python benchmarks/random_kills.py [--kills 100] [--lies]

Each round starts `plumbline serve`, lets three people label one project (which trains all the while) and two people
grade another, kills the server with SIGKILL after 0.2 to 3 s, and starts it again. People send what was not
acknowledged again. At the end what was acknowledged is compared with the ledger. With `--lies` the comparison is given
one answer that was never sent, as a control of the comparison itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import select

from common import environment, write
from plumbline_backend.domain.types import Job
from plumbline_backend.store import Store, open_store
from plumbline_backend.store.columns import now
from plumbline_backend.store.tables import leases
from plumbline_backend.workspace import open_workspace
from team_load import _make_pool, _serve

LABELLERS, GRADERS, OUTPUTS = 3, 2, 2_000
LEASE_S = 5.0
STATES_OF_AN_END = ("done", "failed", "cancelled")


class Person(threading.Thread):
    """Answers until the server is gone; what was not acknowledged is sent again to the next server."""

    def __init__(self, number: int, kind: str) -> None:
        super().__init__()
        self.number, self.kind, self.port = number, kind, 0
        self.acknowledged: list[str] = []
        self.refused: Counter[str] = Counter()
        self.pending: dict[str, Any] | None = None

    def again(self, port: int) -> Person:
        """The same person in front of another server."""
        other = Person(self.number, self.kind)
        other.acknowledged, other.refused, other.pending = self.acknowledged, self.refused, self.pending
        other.port = port
        return other

    def run(self) -> None:
        """Until the connection breaks."""
        try:
            state = self._post("open", [] if self.pending is None else [self.pending])
            while True:
                for ack in state["acks"]:
                    if ack["ok"]:
                        self.acknowledged.append(ack["uuid"])
                    else:
                        self.refused[str(ack.get("reason"))[:60]] += 1
                self.pending = self._next(state)
                state = self._post("sync", [self.pending])
        except (OSError, ValueError):
            return

    def _next(self, state: dict[str, Any]) -> dict[str, Any]:
        uuid = f"{self.kind}-{self.number}-{random.getrandbits(64):x}"
        if self.kind == "label":
            ask = state["asks"][0]
            known = {"kind": "record", "item": ask["item"], "class_id": f"c{1 + ask['item'] % 3}"}
            return {**known, "uuid": uuid, "query_id": ask["query_id"], "stratum": ask["stratum"]}
        ask = state["ask"]
        known = {"kind": "grade", "output": ask["output"], "query_id": ask["query_id"]}
        return {**known, "uuid": uuid, "answer": "pass" if ask["output"] % 3 else "fail"}

    def _post(self, what: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        slug = "pool" if self.kind == "label" else "outputs"
        body: dict[str, Any] = {"operations": operations}
        if self.kind == "label":
            body |= {"holder": f"tab {self.number}", "want": 3}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/projects/{slug}/{self.kind}/{what}",
            json.dumps(body).encode(),
            {"content-type": "application/json", "x-plumbline-person": f"{self.kind} {self.number}"},
        )
        with urllib.request.urlopen(request, timeout=30) as said:
            found: dict[str, Any] = json.load(said)
        return found


def main() -> None:
    """Kill, compare, write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--lies", action="store_true", help="the control: claim one answer more")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="plumbline-kills-"))
    os.environ["PLUMBLINE_JOB_LEASE_S"] = str(LEASE_S)
    try:
        _make_pool(folder, 20_000, "")
        _make_outputs(folder)
        people, back = _kill(folder / "workspace", options.kills)
        report = {
            "benchmark": "random_kills",
            **environment(["fastapi", "uvicorn", "sqlalchemy"]),
            "kills": options.kills,
        }
        report |= _compared(folder / "workspace", people, options.lies)
        report |= {"ready_after_s": {"median": sorted(back)[len(back) // 2], "max": max(back)}}
        if options.lies:
            assert report["lost"], "the comparison finds what was never written"
        write("random_kills_control" if options.lies else "random_kills", report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kill(workspace: Path, kills: int) -> tuple[list[Person], list[float]]:
    rng = random.Random(8)
    people = [Person(n, "label") for n in range(LABELLERS)] + [Person(n, "grade") for n in range(GRADERS)]
    back = []
    for _ in range(kills):
        begun = time.monotonic()
        server, port = _serve(workspace, "")
        back.append(round(time.monotonic() - begun, 2))
        people = [person.again(port) for person in people]
        for person in people:
            person.start()
        time.sleep(0.2 + rng.random() * 2.8)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        for person in people:
            person.join()
    _end_of_jobs(workspace)
    return people, back


def _end_of_jobs(workspace: Path) -> None:
    """A last server, for as long as a dead one's lease lasts and a training takes."""
    server, _ = _serve(workspace, "")
    time.sleep(LEASE_S * 3)
    server.terminate()
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()


def _compared(workspace: Path, people: list[Person], lies: bool) -> dict[str, Any]:
    acknowledged = [uuid for person in people for uuid in person.acknowledged]
    acknowledged += ["never sent"] if lies else []
    with open_store(workspace / "plumbline.db") as store:
        projects = store.projects.list()
        questions = [question for project in projects for question in store.questions.for_project(project.id)]
        rows = [row for question in questions for row in store.ledger.history(question.id, limit=None)]
        stored = Counter(row.client_uuid for row in rows)
        over = sum(_over_assigned(store, question.id) for question in questions if question.kind == "choice")
        jobs: list[Job] = [job for project in projects for job in store.jobs.list(project.id, 10_000)]
    return {
        "acknowledged": len(acknowledged),
        "lost": len(set(acknowledged) - set(stored)),
        "recorded_twice": sum(n > 1 for n in stored.values()),
        "over_assigned": over,
        "refused": dict(sum((person.refused for person in people), Counter())),
        "jobs": dict(Counter(f"{job.kind} {job.state}" for job in jobs)),
        "jobs_not_ended": sum(job.state not in STATES_OF_AN_END for job in jobs),
    }


def _over_assigned(store: Store, question_id: int) -> int:
    """Items that live leases and judgements in force together hold more than once."""
    assigned = Counter(row.item for row in store.ledger.current(question_id, judge_kinds=("person",)))
    with store.database.read() as connection:
        live = select(leases.c.item).where(leases.c.question_id == question_id, leases.c.expires_at > now())
        assigned.update(connection.scalars(live))
    return sum(n > 1 for n in assigned.values())


def _make_outputs(folder: Path) -> None:
    path = folder / "outputs.jsonl"
    rows = ({"id": f"o{n}", "output": f"Answer number {n}, which is short."} for n in range(OUTPUTS))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with open_workspace(folder / "workspace") as workspace:
        workspace.jobs.wait(workspace.start_import_outputs(path, "outputs").id)


if __name__ == "__main__":
    main()
