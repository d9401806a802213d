"""P6 and the head: training that is killed leaves the old head serving, and a server is back within ten seconds."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from plumbline_backend.client import Client
from plumbline_backend.jobs.executors import SubprocessExecutor, Work
from plumbline_backend.project import Project
from plumbline_backend.store import open_store
from plumbline_backend.workspace import open_workspace


def until(condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Its value once that is true."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, "condition not met in time"
        time.sleep(0.02)
    return found


def label(project: Project, items: range) -> None:
    judge = project.person("Ada")
    for item in items:
        project.record(item=item, judge=judge, client_uuid=f"u{item}", answer=f"c{1 + item % 2}")


class KilledWhileFitting(SubprocessExecutor):
    """Kills its own worker in the middle of every fit, while `armed`."""

    armed = False

    def run(self, lane: str, work: Work, report: Any) -> Any:
        def report_and_kill(progress: float, message: str) -> None:
            report(progress, message)
            if self.armed:
                os.killpg(self._lanes[lane].pid, signal.SIGKILL)

        return super().run(lane, work, report_and_kill)


def test_killed_training_leaves_the_old_head_serving(folder: Path) -> None:
    executor = KilledWhileFitting(threads=1)
    with open_workspace(folder, executor=executor) as workspace:
        project = workspace.project("many")
        label(project, range(30))
        until(lambda: project.models())
        until(lambda: project.status().training is None and project.status().n_behind == 0)
        before = project.models()
        asked = project.status().model
        executor.armed = True
        label(project, range(30, 40))
        failed = until(lambda: project.status().failed)
        assert "worker process ended" in failed.message
        assert project.models() == before, "no half-trained head was taken over"
        assert project.status().model == asked
        assert project.predict([1]) is not None
        assert project.next_items(project.person("Ada"), "tab", 3), "asking goes on"
        executor.armed = False
        label(project, range(40, 44))
        until(lambda: len(project.models()) > len(before))


@pytest.mark.slow
def test_a_server_killed_while_it_trains_is_back_within_ten_seconds(folder: Path, start: Any) -> None:
    process, address = start(folder)
    with Client(address) as client:
        rows = [{"item": i, "class_id": f"c{1 + i % 2}"} for i in range(40)]
        assert all(ack["ok"] for ack in client.record_many("many", rows))
        until(lambda: client.get("/projects/many/jobs")["jobs"])
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    begun = time.monotonic()
    _, address = start(folder)
    back_s = time.monotonic() - begun
    with Client(address) as client:
        until(lambda: client.get("/projects/many/models"))
        # The lease of the test server is two seconds: whatever the dead one left has ended by then.
        until(lambda: all(j["state"] != "running" for j in client.get("/projects/many/jobs")["jobs"]))
        states = {job["state"] for job in client.get("/projects/many/jobs")["jobs"]}
    assert states <= {"done", "failed", "cancelled", "queued"}
    assert back_s < 10 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), (
        "more when others use the machine"
    )


def test_a_server_that_is_asked_to_stop_ends_its_jobs_and_its_process(folder: Path, start: Any) -> None:
    process, address = start(folder)
    with Client(address) as client:
        rows = [{"item": i, "class_id": f"c{1 + i % 2}", "uuid": f"u{i}"} for i in range(40)]
        acks = client.record_many("many", rows)
        until(lambda: client.get("/projects/many/jobs")["jobs"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, -signal.SIGTERM)
    with open_store(folder / "plumbline.db") as store:
        (project,) = store.projects.list()
        (question,) = store.questions.for_project(project.id)
        stored = {row.client_uuid for row in store.ledger.history(question.id, limit=None)}
        assert {ack["uuid"] for ack in acks} <= stored
        assert {job.state for job in store.jobs.list(project.id)} <= {"done", "cancelled"}


@pytest.mark.parametrize(("ways", "finished"), [(("slow",), True), (("slow", "hasty"), False)])
def test_a_request_that_is_under_way_at_sigterm_is_finished(
    ways: tuple[str, ...], finished: bool, folder: Path, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control ends at once: then the request has no answer."""
    monkeypatch.setattr("plumbline_backend.client.ATTEMPTS", 1)
    process, address = start(folder, "", *ways)
    answers: list[int] = []

    def record() -> None:
        with suppress(OSError), Client(address) as client:
            answers.append(client.record("many", 7, "c1", uuid="under way"))

    person = threading.Thread(target=record)
    person.start()
    time.sleep(0.5)
    assert person.is_alive(), "the request is under way"
    process.send_signal(signal.SIGTERM)
    person.join(30)
    assert process.wait(30) in (0, -signal.SIGTERM)
    assert bool(answers) == finished
    with open_store(folder / "plumbline.db") as store:
        (project,) = store.projects.list()
        (question,) = store.questions.for_project(project.id)
        stored = [row.client_uuid for row in store.ledger.history(question.id, limit=None)]
    assert stored == (["under way"] if finished else [])
