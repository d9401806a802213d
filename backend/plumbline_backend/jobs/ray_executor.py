"""Tasks on the machines of a Ray cluster. Ray holds no truth: the rows in the store say what became of a job.

What the worker reads and writes lies in the workspace, which every machine must see under the same path.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from plumbline_backend.domain.errors import InputError, JobFailedError
from plumbline_backend.jobs.executors import Report, Work, error_from
from plumbline_backend.jobs.worker import answer_to

LOOK_EVERY_S = 0.2
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
        self._inbox = ray.remote(num_cpus=0)(Inbox)
        # A task that has lost its worker has failed, as everywhere: half of what it wrote may lie about.
        self._task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(run_on_worker)
        self._running: dict[str, tuple[Any, Any]] = {}
        self._closed = False
        self._lock = threading.Lock()

    def run(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        """The task's result. Raises what the task raised, or JobFailedError when the worker was lost."""
        ray = self._ray
        with self._lock:
            if self._closed:
                raise JobFailedError("no worker can start: the workspace is closing")
            inbox = self._inbox.remote()
            task = self._task.remote(work.task, dict(work.spec), self._threads, inbox)
            self._running[lane] = task, inbox
        try:
            while not ray.wait([task], timeout=LOOK_EVERY_S)[0]:
                for progress, message in ray.get(inbox.take.remote()):
                    report(progress, message)
            message = ray.get(task)
        except ray.exceptions.RayError as error:
            raise JobFailedError(f"{work.task}: the worker process ended before it answered") from error
        finally:
            with self._lock:
                self._running.pop(lane, None)
            ray.cancel(task, force=True)  # nothing, where it has ended; else nobody waits for it any more
            ray.kill(inbox)
        if "result" in message:
            return dict(message["result"])
        raise error_from(message)

    def stop(self, lane: str) -> None:
        """End what runs in the lane: its worker process is killed."""
        with self._lock:
            running = self._running.get(lane)
        if running is not None:
            self._ray.cancel(running[0], force=True)

    def worker_pid(self, lane: str) -> int | None:
        """Process id of the worker on its machine; None until it has begun."""
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
    """An actor that keeps what a task reports until somebody looks."""

    def __init__(self) -> None:
        self._reports: list[tuple[float, str]] = []
        self._pid: int | None = None

    def begin(self, pid: int) -> None:
        """The task runs in this process."""
        self._pid = pid

    def pid(self) -> int | None:
        """The worker's process id."""
        return self._pid

    def put(self, progress: float, message: str) -> None:
        """One report."""
        self._reports.append((progress, message))

    def take(self) -> list[tuple[float, str]]:
        """The reports since the last time."""
        reports, self._reports = self._reports, []
        return reports


def run_on_worker(task: str, spec: Mapping[str, Any], threads: int, inbox: Any) -> dict[str, Any]:
    """What happens on the worker: the task's result or its error as a message, as over the subprocess's pipe."""
    import torch

    torch.set_num_threads(threads)
    inbox.begin.remote(os.getpid())
    return answer_to(task, spec, lambda progress, text: inbox.put.remote(progress, text))


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
