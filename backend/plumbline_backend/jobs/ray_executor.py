"""Tasks on the machines of a Ray cluster. Ray holds no truth: the rows in the store say what became of a job.

What the worker reads and writes lies in the workspace, which every machine must see under the same path.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from plumbline_backend.domain.errors import InputError, JobFailedError
from plumbline_backend.jobs.executors import Report, Results, Work, error_from
from plumbline_backend.jobs.worker import answer_to

LOOK_EVERY_S = 0.2
BEAT_EVERY_S = 1.0
INBOX_WITHIN_S = 120.0
"""The actor that collects reports is a process too, which takes its time to start on busy cores."""
SILENCE_LIMIT_S = 600.0
"""A library that holds Python's lock (UMAP's compiled loops do) keeps a healthy worker silent for minutes."""
START_TIMEOUT_S = "120"
"""Ray gives a node 30 s to start, which two busy cores have exceeded."""


class RayExecutor:
    """One task at a time in each lane, wherever the cluster has room.

    address: such as ray://worker:10001; empty starts a cluster of this machine alone, on the loopback address, with
    token authentication. threads, gpus: what each task is given. Raises InputError where Ray is not installed.
    """

    def __init__(self, address: str = "", threads: int = 1, gpus: float = 0.0) -> None:
        self._ray = _connected(address)
        self._threads = threads
        ray = self._ray
        self.parallel = max(1, int(ray.cluster_resources().get("CPU", 1) // threads))
        self._inbox = ray.remote(num_cpus=0)(Inbox)
        # A task that has lost its worker has failed, as everywhere: half of what it wrote may lie about.
        self._task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(run_on_worker)
        self._running: dict[str, tuple[list[Any], Any]] = {}
        self._closed = False
        self._lock = threading.Lock()

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        """The task's result. Raises what the task raised, or JobFailedError when the worker was lost."""
        return self.run_many(lane, [work], report)[0]

    def run_many(self, lane: str, works: Sequence[Work], report: Report) -> Results:
        """The results in order; as many run beside each other as the cluster has room for."""
        ray = self._ray
        with self._lock:
            if self._closed:
                raise JobFailedError("no worker can start: the workspace is closing")
            inbox = self._inbox.remote()
            tasks = [
                self._task.remote(work.task, dict(work.spec), self._threads, part, inbox)
                for part, work in enumerate(works)
            ]
            self._running[lane] = tasks, inbox
        try:
            return self._collect(tasks, inbox, report)
        except ray.exceptions.RayError as error:
            names = " and ".join(sorted({work.task for work in works}))
            raise JobFailedError(f"{names}: the worker process ended before it answered") from error
        finally:
            with self._lock:
                self._running.pop(lane, None)
            for task in tasks:
                ray.cancel(task, force=True)  # nothing, where it has ended; else nobody waits for it any more
            ray.kill(inbox)

    def _collect(self, tasks: Sequence[Any], inbox: Any, report: Report) -> Results:
        """Results as they come, in the tasks' order; passes on what they report, and notices silence."""
        ray = self._ray
        found: dict[int, Mapping[str, Any]] = {}
        shares = [0.0] * len(tasks)
        waiting = list(tasks)
        while waiting:
            ended, waiting = ray.wait(waiting, timeout=LOOK_EVERY_S)
            for task in ended:
                message = ray.get(task)
                if "result" not in message:
                    raise error_from(message)
                part = tasks.index(task)
                found[part], shares[part] = message["result"], 1.0
                if waiting:
                    report(sum(shares) / len(shares), f"{len(found)} of {len(tasks)} parts")
            reports, silent_s = ray.get(inbox.take.remote(), timeout=INBOX_WITHIN_S)
            for part, progress, message in reports if waiting else ():
                shares[part] = max(shares[part], progress)
                report(sum(shares) / len(shares), message)
            if silent_s > SILENCE_LIMIT_S:
                raise JobFailedError(f"a worker showed no sign of life for {silent_s:.0f} s and was ended")
        return [found[part] for part in range(len(tasks))]

    def stop(self, lane: str) -> None:
        """End what runs in the lane: its worker process is killed."""
        with self._lock:
            running = self._running.get(lane)
        if running is not None:
            for task in running[0]:
                self._ray.cancel(task, force=True)

    def worker_pid(self, lane: str) -> int | None:
        """Process id on its machine of the worker that has the lane's first work; None until it has begun."""
        with self._lock:
            running = self._running.get(lane)
        found: int | None = None if running is None else self._ray.get(running[1].pid.remote())
        return found

    def close(self) -> None:
        """Stop everything and leave the cluster; one that was started here ends."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            lanes = list(self._running)
        for lane in lanes:
            self.stop(lane)
        self._ray.shutdown()


class Inbox:
    """An actor that keeps what the tasks of one run report until somebody looks, and when each was last heard of."""

    def __init__(self) -> None:
        self._reports: list[tuple[int, float, str]] = []
        self._heard: dict[int, float] = {}
        self._pid: int | None = None

    def begin(self, part: int, pid: int) -> None:
        """The task runs in this process."""
        self._pid = pid if part == 0 else self._pid
        self.beat(part)

    def beat(self, part: int) -> None:
        """The task's process lives."""
        self._heard[part] = time.monotonic()

    def end(self, part: int) -> None:
        """The task has its answer: its silence means nothing from now on."""
        self._heard.pop(part, None)

    def pid(self) -> int | None:
        """The first task's process id."""
        return self._pid

    def put(self, part: int, progress: float, message: str) -> None:
        """One report."""
        self._reports.append((part, progress, message))
        self.beat(part)

    def take(self) -> tuple[list[tuple[int, float, str]], float]:
        """The reports since the last time, and for how many seconds the quietest task that runs has been silent."""
        reports, self._reports = self._reports, []
        oldest = min(self._heard.values(), default=time.monotonic())
        return reports, time.monotonic() - oldest


def run_on_worker(task: str, spec: Mapping[str, Any], threads: int, part: int, inbox: Any) -> dict[str, Any]:
    """What happens on the worker: the task's result or its error as a message, as over the subprocess's pipe."""
    import torch

    torch.set_num_threads(threads)
    inbox.begin.remote(part, os.getpid())
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_EVERY_S):
            inbox.beat.remote(part)

    beats = threading.Thread(target=beat, daemon=True)
    beats.start()
    try:
        return answer_to(task, spec, lambda progress, text: inbox.put.remote(part, progress, text))
    finally:
        over.set()
        beats.join()
        inbox.end.remote(part)


def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", START_TIMEOUT_S)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise InputError("executor: 'ray' is not installed; pip install 'plumbline[ray]'") from error
    if address:
        ray.init(address=address, log_to_driver=False)
    else:
        ray.init(include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    return ray
