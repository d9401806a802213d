"""Where a task runs. An executor knows nothing of the database: it runs, reports and can be stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from plumbline_backend.domain.errors import ImportRefusedError, InputError, JobFailedError, Problem
from plumbline_backend.jobs.tasks import run_task

Report = Callable[[float, str], None]
"""Called with progress in [0, 1] and a message. Raising inside it stops the task."""


class Work(NamedTuple):
    """One run of a task: its name in `tasks.TASKS` and the JSON-like arguments it gets."""

    task: str
    spec: Mapping[str, Any]


class Executor(Protocol):
    """Runs one `Work` at a time in each lane; `run` blocks until the work has ended."""

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        """The task's result. Raises what the task raised, or JobFailedError when the worker was lost."""

    def stop(self, lane: str) -> None:
        """End what runs in the lane at once. `run` then raises JobFailedError."""

    def close(self) -> None:
        """Stop everything and free it."""


class InlineExecutor:
    """Runs the task in the calling thread: for tests and scripts."""

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        del lane
        return run_task(work.task, work.spec, report)

    def stop(self, lane: str) -> None:
        """Does nothing: the task ends when its next report raises."""

    def close(self) -> None:
        """Nothing is held."""


class SubprocessExecutor:
    """A worker process per lane, kept warm between jobs; stopping a lane kills its process group."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lanes: dict[str, subprocess.Popen[str]] = {}
        self._closed = False
        self._lock = threading.Lock()

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        worker = self._worker(lane)
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
