"""Where a task runs. An executor knows nothing of the database: it runs, reports and can be stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from plumbline_backend.domain.errors import ImportRefusedError, InputError, JobFailedError, Problem
from plumbline_backend.jobs.tasks import run_task
from plumbline_backend.jobs.watch import ended_when_paused

Report = Callable[[float, str], None]
"""Called with progress in [0, 1] and a message. Raising inside it stops the task."""


class Work(NamedTuple):
    """One run of a task: its name in `tasks.TASKS` and the JSON-like arguments it gets."""

    task: str
    spec: Mapping[str, Any]


Results = list[Mapping[str, Any]]


class Executor(Protocol):
    """Runs one `Work` at a time in each lane; `run` blocks until the work has ended."""

    parallel: int
    """How many parts of one job can run beside each other: 1 where cutting work up gains nothing."""

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        """The task's result. Raises what the task raised, or JobFailedError when the worker was lost."""

    def run_many(self, lane: str, works: Sequence[Work], report: Report) -> Results:
        """The results in the order of `works`, which run beside each other where there is room.

        The first that fails ends the others, and its error is raised. Progress is that of all together.
        """

    def stop(self, lane: str) -> None:
        """End what runs in the lane at once. `run` then raises JobFailedError."""

    def close(self) -> None:
        """Stop everything and free it."""


def one_by_one(executor: Executor, lane: str, works: Sequence[Work], report: Report) -> Results:
    """`run_many` for an executor whose lane is one process."""
    results: Results = []
    shown = 0.0

    def part(progress: float, message: str) -> None:
        nonlocal shown
        shown = max(shown, (len(results) + progress) / len(works))
        report(shown, message)

    for work in works:
        results.append(executor.run(lane, work, part))
    return results


class InlineExecutor:
    """Runs the task in the calling thread: for tests and scripts."""

    parallel = 1

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        del lane
        return run_task(work.task, work.spec, report)

    def run_many(self, lane: str, works: Sequence[Work], report: Report) -> Results:
        return one_by_one(self, lane, works, report)

    def stop(self, lane: str) -> None:
        """Does nothing: the task ends when its next report raises."""

    def close(self) -> None:
        """Nothing is held."""


class SubprocessExecutor:
    """A worker process per lane, kept warm between jobs; stopping a lane kills its process group.

    One machine: a task uses its cores already, so the parts of a job run one after the other.
    """

    parallel = 1

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lanes: dict[str, subprocess.Popen[str]] = {}
        self._closed = False
        self._lock = threading.Lock()

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        worker = self._worker(lane)
        with ended_when_paused(worker.pid, lambda: os.killpg(worker.pid, signal.SIGKILL)):
            return self._answer(lane, worker, work, report)

    def run_many(self, lane: str, works: Sequence[Work], report: Report) -> Results:
        return one_by_one(self, lane, works, report)

    def _answer(
        self, lane: str, worker: subprocess.Popen[str], work: Work, report: Report
    ) -> Mapping[str, Any]:
        assert worker.stdin is not None  # a pipe, as is stdout
        assert worker.stdout is not None
        try:
            worker.stdin.write(json.dumps({"task": work.task, "spec": work.spec}) + "\n")
            worker.stdin.flush()
            for line in worker.stdout:
                message = json.loads(line)
                if "progress" in message:
                    self._report_or_stop(lane, report, message)
                elif "result" in message:
                    return dict(message["result"])
                else:
                    raise error_from(message)
        except (BrokenPipeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise JobFailedError(f"{work.task}: the worker process was lost: {error}") from error
        raise JobFailedError(
            f"{work.task}: the worker process ended before it answered (exit {worker.wait()})"
        )

    def stop(self, lane: str) -> None:
        with self._lock:
            worker = self._lanes.pop(lane, None)
        if worker is not None:
            _kill_group(worker)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            lanes = list(self._lanes)
        for lane in lanes:
            self.stop(lane)

    def _report_or_stop(self, lane: str, report: Report, message: Mapping[str, Any]) -> None:
        try:
            report(message["progress"], message["message"])
        except BaseException:
            self.stop(lane)  # nobody waits for this answer any more; the next job gets a fresh worker
            raise

    def _worker(self, lane: str) -> subprocess.Popen[str]:
        with self._lock:
            if self._closed:
                raise JobFailedError("no worker can start: the workspace is closing")
            worker = self._lanes.get(lane)
            if worker is None or worker.poll() is not None:
                if worker is not None:
                    _close_pipes(worker)
                worker = self._lanes[lane] = _start(self._threads)
            return worker


def _start(threads: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        [sys.executable, "-m", "plumbline_backend.jobs.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
        start_new_session=True,  # its own process group, so that its children die with it
    )


def _kill_group(worker: subprocess.Popen[str]) -> None:
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    _close_pipes(worker)


def _close_pipes(worker: subprocess.Popen[str]) -> None:
    for pipe in (worker.stdout, worker.stdin):
        if pipe is None:
            continue
        try:
            pipe.close()
        except BrokenPipeError:
            # What was still buffered for a killed worker has no reader; its job has ended already.
            continue


def error_from(message: Mapping[str, Any]) -> Exception:
    """The error that a worker told in a message."""
    if message["error"] == "ImportRefusedError":
        return ImportRefusedError([Problem(**problem) for problem in message["problems"]], message["n_more"])
    if message["error"] == "InputError":
        return InputError(message["text"])
    return JobFailedError(f"{message['error']}: {message['text']}")
