"""One suite for every executor: results, errors, progress, stopping, lost workers, lanes beside each other."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plumbline_backend.domain.errors import ImportRefusedError, InputError, JobFailedError
from plumbline_backend.jobs.executors import InlineExecutor, SubprocessExecutor, Work
from plumbline_backend.jobs.making import executor_from
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.registry import EXECUTORS
from plumbline_backend.settings import load_settings
from plumbline_backend.store import open_store

RESERVE = {"slug": "x", "stream_share": 0.1, "seed": 0}
NUMBER = {"type": "double", "role": "numeric", "reason": "", "examples": [], "n_missing": 0}


@pytest.fixture(scope="module", params=EXECUTORS.names())
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each executor of the registry, made as the settings make it."""
    if request.param == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'plumbline[ray]'")
    made = executor_from(load_settings(overrides={"executor": request.param, "worker_threads": 1}))
    yield made
    made.close()


@pytest.fixture
def apart(executor: Any) -> Any:
    """Executors whose tasks run in a process that can be killed."""
    if isinstance(executor, InlineExecutor):
        pytest.skip("inline: the task runs in the caller's own thread, which nobody can kill")
    return executor


def demo(folder: Path) -> Work:
    return Work("demo", {"name": "wine", "folder": str(folder), **RESERVE})


def importing(file: Path, folder: Path, names: str = "xy") -> Work:
    columns = [{"name": name, **NUMBER} for name in names]
    spec = {"file": str(file), "folder": str(folder), "columns": columns, "on_problem": "refuse", **RESERVE}
    return Work("import", spec)


def slow(tmp_path: Path) -> Work:
    """An import that takes some seconds: 1,000,000 short rows."""
    tmp_path.mkdir(exist_ok=True)
    file = tmp_path / "long.csv"
    block = "".join(f"{i},{i % 7}.5\n" for i in range(100_000))
    with file.open("w") as stream:
        stream.write("x,y\n")
        for _ in range(10):
            stream.write(block)
    return importing(file, tmp_path / "slow")


def pid_of(executor: Any, lane: str) -> int | None:
    if isinstance(executor, SubprocessExecutor):
        return executor._lanes[lane].pid
    found: int | None = executor.worker_pid(lane)
    return found


class Running:
    """A task in a thread of its own, and how it ended."""

    def __init__(self, executor: Any, lane: str, work: Work) -> None:
        self.progress: list[float] = []
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, args=(executor, lane, work))
        self._thread.start()

    def _run(self, executor: Any, lane: str, work: Work) -> None:
        try:
            self.outcome = executor.run(lane, work, lambda done, _: self.progress.append(done))
        except Exception as error:
            self.outcome = error

    def ended(self) -> Any:
        self._thread.join(120)
        assert not self._thread.is_alive()
        return self.outcome

    def begun(self) -> None:
        end = time.monotonic() + 90
        while not self.progress:
            assert self._thread.is_alive(), self.outcome
            assert time.monotonic() < end
            time.sleep(0.02)


def test_the_result_comes_back(executor: Any, tmp_path: Path) -> None:
    result = executor.run("a", demo(tmp_path / "wine"), lambda *_: None)
    assert result["n_items"] == 178
    assert (tmp_path / "wine" / "stream.npy").exists()


def test_errors_come_back_as_what_they_are(executor: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("x,y\n1,2\nmany,3\n")
    with pytest.raises(ImportRefusedError) as refused:
        executor.run("a", importing(tmp_path / "bad.csv", tmp_path / "p"), lambda *_: None)
    assert (refused.value.problems[0].row, refused.value.problems[0].column) == (2, "x")
    with pytest.raises(InputError, match="did you mean 'wine'"):
        executor.run(
            "a", Work("demo", {"name": "wines", "folder": str(tmp_path / "q"), **RESERVE}), lambda *_: None
        )


def test_progress_is_reported_and_rises(executor: Any, tmp_path: Path) -> None:
    run = Running(executor, "a", slow(tmp_path))
    result = run.ended()
    assert result["n_items"] == 1_000_000
    assert len(run.progress) > 2
    assert run.progress == sorted(run.progress)
    assert 0 <= run.progress[0] <= run.progress[-1] <= 1


def test_a_report_that_raises_stops_the_task(executor: Any, tmp_path: Path) -> None:
    class Enough(Exception):  # noqa: N818 - a signal
        pass

    def enough(*_: object) -> None:
        raise Enough

    with pytest.raises(Enough):
        executor.run("a", slow(tmp_path), enough)
    assert executor.run("a", demo(tmp_path / "after"), lambda *_: None)["n_items"] == 178


def test_stopping_a_lane_ends_its_task_and_its_process(apart: Any, tmp_path: Path) -> None:
    run = Running(apart, "b", slow(tmp_path))
    run.begun()
    pid = pid_of(apart, "b")
    apart.stop("b")
    assert isinstance(run.ended(), JobFailedError)
    assert pid is not None
    _gone(pid)
    apart.stop("b")  # nothing runs there: nothing happens
    assert apart.run("b", demo(tmp_path / "after"), lambda *_: None)["n_items"] == 178


def test_a_killed_worker_is_said_to_be_lost(apart: Any, tmp_path: Path) -> None:
    run = Running(apart, "c", slow(tmp_path))
    run.begun()
    pid = pid_of(apart, "c")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    lost = run.ended()
    assert isinstance(lost, JobFailedError)
    assert "ended before it answered" in str(lost)


def test_a_late_result_of_a_lost_worker_is_refused(executor: Any, tmp_path: Path) -> None:
    """The worker works on while its lease is lost: what it brings is not handed over."""
    handed: list[Any] = []
    with open_store(tmp_path / "jobs.db") as store:
        jobs = Jobs(store, executor, lease_s=60.0)
        job = jobs.start("demo", None, demo(tmp_path / "wine"), lambda *got: handed.append(got), lane="d")
        while store.jobs.get(job.id).state == "queued":
            time.sleep(0.005)
        expired = store.database.write(
            lambda connection: (
                connection.exec_driver_sql(
                    "UPDATE jobs SET state='failed', token=token+1, lease_until=NULL WHERE state='running'"
                ).rowcount
            )
        )
        while jobs._threads:
            time.sleep(0.02)
        state = store.jobs.get(job.id).state
        jobs._closed.set()
        jobs._sweeper.join()
        jobs._coordinator.shutdown()  # the executor stays open for the tests that follow
    assert (expired, state, handed) == (1, "failed", [])


def test_parts_come_back_in_order_with_the_progress_of_all(executor: Any, tmp_path: Path) -> None:
    seen: list[float] = []
    works = [demo(tmp_path / name) for name in ("one", "two", "three")]
    works[1] = Work("demo", {"name": "breast_cancer", "folder": str(tmp_path / "two"), **RESERVE})
    found = executor.run_many("a", works, lambda done, _: seen.append(done))
    assert [result["n_items"] for result in found] == [178, 569, 178]
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1
    assert executor.parallel >= 1


def test_the_first_part_that_fails_ends_the_others(executor: Any, tmp_path: Path) -> None:
    wrong = Work("demo", {"name": "wines", "folder": str(tmp_path / "wrong"), **RESERVE})
    with pytest.raises(InputError, match="did you mean 'wine'"):
        executor.run_many("a", [demo(tmp_path / "right"), wrong], lambda *_: None)
    assert executor.run("a", demo(tmp_path / "after"), lambda *_: None)["n_items"] == 178


def test_stopping_ends_every_part(apart: Any, tmp_path: Path) -> None:
    begun = threading.Event()
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(apart.run_many("g", [slow(tmp_path), slow(tmp_path)], lambda *_: begun.set()))
        except JobFailedError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(90)
    apart.stop("g")
    thread.join(60)
    assert [type(each) for each in outcome] == [JobFailedError]


@pytest.mark.slow
def test_a_paused_worker_is_ended(apart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control is a pause below the limit: the worker goes on."""
    run = Running(apart, "h", slow(tmp_path))
    run.begun()
    pid = pid_of(apart, "h")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(pid, signal.SIGCONT)
    reports = len(run.progress)
    while len(run.progress) == reports and run.outcome is None:
        time.sleep(0.02)
    assert not isinstance(run.outcome, JobFailedError)
    monkeypatch.setattr("plumbline_backend.jobs.ray_executor.SILENCE_LIMIT_S", 3.0)
    monkeypatch.setattr("plumbline_backend.jobs.watch.PAUSED_LIMIT_S", 3.0)
    again = Running(apart, "i", slow(tmp_path / "again"))
    again.begun()
    pid = pid_of(apart, "i")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(again.ended(), JobFailedError)
    _gone(pid)
    apart.stop("h")
    run.ended()


def test_lanes_run_beside_each_other(apart: Any, tmp_path: Path) -> None:
    first = Running(apart, "e", slow(tmp_path))
    first.begun()
    begun = time.monotonic()
    assert apart.run("f", demo(tmp_path / "wine"), lambda *_: None)["n_items"] == 178
    assert first.outcome is None or time.monotonic() - begun > 1, "the other lane did not wait for the first"
    apart.stop("e")
    first.ended()


def _gone(pid: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs")
