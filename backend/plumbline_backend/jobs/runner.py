"""Starts jobs, keeps their rows true, and hands results over. The rows in the store are the only truth.

A job is claimed with a lease and a fencing token. Its result is handed over only while that token is the newest,
so what a lost worker brings later changes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from typing import Any, NamedTuple

from plumbline_backend.domain.errors import (
    ConflictError,
    ImportRefusedError,
    InputError,
    JobFailedError,
    JobRefusedError,
    NotFoundError,
    PlumblineError,
    Problem,
)
from plumbline_backend.domain.types import Job
from plumbline_backend.jobs.executors import Executor, Report, Results, Work
from plumbline_backend.store import DatabaseError, Store
from plumbline_backend.store.jobs import FinalState

logger = logging.getLogger(__name__)

CLAIM_AGAIN_S = 1.0
PROGRESS_EVERY_S = 0.2
"""The pages read a job's row this often; writing it more often would only queue at the database."""

REFUSED = "refused"
"""In the result of a job that failed because of what it was given, not because of us."""

Inside = Callable[[Report], Mapping[str, Any]]
"""Work that needs the store and so runs in this process, in the job's own thread."""
OnResult = Callable[[Job, Mapping[str, Any]], None]


class Outcome(NamedTuple):
    """What follows a job: with its result, or without one."""

    on_result: OnResult
    on_no_result: Callable[[], None] | None


class Cancelled(Exception):  # noqa: N818 - a signal between threads, not an error
    """Raised inside a task's report once its cancel was asked for."""


class Jobs:
    """Every job of a workspace. Jobs of one lane run one after the other; lanes run beside each other."""

    def __init__(self, store: Store, executor: Executor, lease_s: float) -> None:
        self._store = store
        self._executor = executor
        self._lease_s = lease_s
        self._lane_locks: dict[str, threading.Lock] = {}
        self._lanes_of: dict[int, list[str]] = {}
        self._here = threading.local()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._coordinator = ThreadPoolExecutor(1, thread_name_prefix="coordinator")
        for lost in [*store.jobs.expire(), *store.jobs.abandon_queued()]:
            logger.warning("job %s (%s) was lost by an earlier server", lost.id, lost.kind)
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="job-sweeper", daemon=True)
        self._sweeper.start()

    def start(
        self,
        kind: str,
        project_id: int | None,
        work: Work | Inside,
        on_result: OnResult,
        lane: str,
        summary: Mapping[str, Any] | None = None,
        on_no_result: Callable[[], None] | None = None,
    ) -> Job:
        """Queue `work` in `lane` and return its row at once. `on_result` runs before the job counts as done.

        on_no_result: clears up when the job was cancelled, failed or lost; it runs before the row says so, where the
        server can (a job whose lease ran out is ended first).
        """
        if self._closing:
            raise ConflictError("the workspace is closing; no job can start")
        job = self._store.jobs.create(kind, project_id, dict(summary or {}))
        outcome = Outcome(on_result, on_no_result)
        thread = threading.Thread(
            target=self._run, args=(job, work, outcome, lane), name=f"job-{job.id}", daemon=True
        )
        with self._lock:
            closing = self._closing
            if not closing:
                self._threads.add(thread)
                self._lane_locks.setdefault(lane, threading.Lock())
        if closing:  # it began to close while the row was written
            self._store.jobs.request_cancel(job.id)
            raise ConflictError("the workspace is closing; no job can start")
        thread.start()
        return job

    @property
    def parallel(self) -> int:
        """How many parts of one job can run beside each other; 1 where cutting work up gains nothing."""
        return self._executor.parallel

    def in_worker(self, lane: str, work: Work, report: Report) -> Mapping[str, Any]:
        """For work that already runs as a job in this process: have a part of it done by a worker of `lane`."""
        with self._working_in(lane):
            return self._executor.run(lane, work, report)

    def in_workers(self, lane: str, works: Sequence[Work], report: Report) -> Results:
        """The same for several parts, beside each other where there is room; results in their order."""
        with self._working_in(lane):
            return self._executor.run_many(lane, works, report)

    def soon(self, decide: Callable[[], object]) -> None:
        """Have the coordinating thread call `decide`, which looks whether a job is due. Errors are logged."""
        with self._lock:
            if not self._closing:
                self._coordinator.submit(self._decide, decide)

    def get(self, job_id: int) -> Job:
        """The row of a job. Raises NotFoundError."""
        return self._store.jobs.get(job_id)

    def list(self, project_id: int | None = None, limit: int = 20) -> list[Job]:
        """The newest jobs first."""
        return self._store.jobs.list(project_id, limit)

    def is_ours(self, job: Job) -> bool:
        """Renew the lease of a claimed job; False when it was lost, ended or is to be cancelled."""
        return self._store.jobs.renew(job.id, job.token, self._lease_s)

    def cancel(self, job_id: int) -> Job:
        """Ask for the end of a job; a running one is stopped at once. Cancelling an ended job does nothing."""
        try:
            self._store.jobs.request_cancel(job_id)
        except ConflictError:
            return self.get(job_id)  # it has ended meanwhile
        with self._lock:
            lanes = list(self._lanes_of.get(job_id, ()))
        for lane in lanes:
            self._executor.stop(lane)
        return self.get(job_id)

    def wait(self, job_id: int, timeout_s: float = 600.0) -> Job:
        """Block until the job has ended. Raises TimeoutError when it takes longer.

        A job that failed raises JobFailedError; one that was refused for what it was given, JobRefusedError or
        ImportRefusedError with its problems.
        """
        until = time.monotonic() + timeout_s
        while (job := self.get(job_id)).state in ("queued", "running"):
            if time.monotonic() > until:
                raise TimeoutError(f"job {job_id} ({job.kind}) still {job.state} after {timeout_s} s")
            time.sleep(0.02)
        if job.state != "done":
            raise _error_of(job)
        return job

    def close(self) -> None:
        """Stop what runs and wait for every thread, so that no row stays 'running'."""
        with self._lock:
            self._closing = True
            threads = list(self._threads)
        self._closed.set()
        self._sweeper.join()
        self._coordinator.shutdown()
        self._executor.close()
        for thread in threads:
            thread.join()

    def _sweep(self) -> None:
        """End what outlived its lease, also when its own thread could not: a database away, a server before us."""
        while not self._closed.wait(self._lease_s / 3):
            try:
                for lost in self._store.jobs.expire():
                    logger.warning("job %s (%s) showed no sign of life and was ended", lost.id, lost.kind)
            except DatabaseError as error:
                logger.warning("looking for lost jobs failed: %s", error)

    def _decide(self, decide: Callable[[], object]) -> None:
        try:
            decide()
        except ConflictError as error:
            logger.info("no job started: %s", error)
        except Exception:
            logger.exception("deciding whether a job is due failed")

    def _run(self, job: Job, work: Work | Inside, outcome: Outcome, lane: str) -> None:
        try:
            with self._lane_locks[lane]:
                self._run_claimed(job, work, outcome, lane)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _run_claimed(self, job: Job, work: Work | Inside, outcome: Outcome, lane: str) -> None:
        claimed = self._claimed(job)
        if claimed is None:
            self._clear_up(job, outcome)
            return
        with self._lock:
            self._lanes_of[job.id] = [lane]
        self._here.job_id = job.id
        ended = threading.Event()
        beat = threading.Thread(target=self._keep_alive, args=(claimed, ended), daemon=True)
        beat.start()
        try:
            report = self._reporter(claimed)
            result = self._executor.run(lane, work, report) if isinstance(work, Work) else work(report)
            if not self._store.jobs.heartbeat(claimed.id, claimed.token, 1.0, "saving", self._lease_s):
                raise Cancelled
            outcome.on_result(claimed, result)
            self._finish(claimed, "done", result=result, message="done")
        except Cancelled:
            self._clear_up(claimed, outcome)
            self._finish(claimed, "cancelled", message="cancelled")
        except Exception as error:
            self._clear_up(claimed, outcome)
            self._fail(claimed, error)
        finally:
            ended.set()
            beat.join()
            with self._lock:
                self._lanes_of.pop(job.id, None)

    def _claimed(self, job: Job) -> Job | None:
        """The job under a token of ours; None when it was cancelled, or removed with its project, before it began.

        While the database is away it waits: nobody else would take up or end what is queued in this server.
        """
        while True:
            try:
                if self._closing:
                    self._store.jobs.request_cancel(job.id)
                return self._store.jobs.claim(job.id, self._lease_s)
            except (ConflictError, NotFoundError) as error:
                logger.info("job %s does not run: %s", job.id, error)
                return None
            except DatabaseError as error:
                logger.warning("job %s waits for the database: %s", job.id, error)
                if self._closed.wait(CLAIM_AGAIN_S):
                    return None  # the next server fails what this one leaves queued

    def _clear_up(self, job: Job, outcome: Outcome) -> None:
        """What cannot be cleared up must not keep the job from ending; the next start of the server tries again."""
        if outcome.on_no_result is None:
            return
        try:
            outcome.on_no_result()
        except Exception:
            logger.exception("clearing up after job %s (%s) failed", job.id, job.kind)

    @contextmanager
    def _working_in(self, lane: str) -> Iterator[None]:
        """While inside, `lane` is this thread's alone, and a cancel of the job that runs here stops it too."""
        job_id: int | None = getattr(self._here, "job_id", None)
        with self._lock:
            lanes = self._lanes_of.get(job_id, []) if job_id is not None else []
            taken = nullcontext() if lane in lanes else self._lane_locks.setdefault(lane, threading.Lock())
        with taken:
            with self._lock:
                lanes.append(lane)
            try:
                yield
            finally:
                with self._lock:
                    lanes.remove(lane)

    def _reporter(self, job: Job) -> Callable[[float, str], None]:
        last = 0.0

        def report(progress: float, message: str) -> None:
            nonlocal last
            if time.monotonic() - last < PROGRESS_EVERY_S:
                return
            last = time.monotonic()
            try:
                goes_on = self._store.jobs.heartbeat(job.id, job.token, progress, message, self._lease_s)
            except DatabaseError as error:
                logger.warning("job %s: its progress could not be told: %s", job.id, error)
                return  # the work is worth more than the bar; `_keep_alive` minds the lease
            if not goes_on:
                raise Cancelled

        return report

    def _keep_alive(self, job: Job, ended: threading.Event) -> None:
        """Renew the lease until the job has ended; through an outage of the database for as long as the lease lasts."""
        renewed, wait_s = time.monotonic(), self._lease_s / 3
        while not ended.wait(wait_s):
            asked = time.monotonic()
            try:
                if not self.is_ours(job):
                    return
            except DatabaseError as error:
                if asked - renewed > self._lease_s:
                    logger.warning("job %s: its lease ran out while the database was away: %s", job.id, error)
                    return
                wait_s = min(self._lease_s / 20, 1.0)
            else:
                renewed, wait_s = asked, self._lease_s / 3

    def _fail(self, job: Job, error: Exception) -> None:
        if self._closing or self._cancel_requested(job):
            self._finish(job, "cancelled", message="cancelled")
            return
        if not isinstance(error, PlumblineError):
            logger.error("job %s (%s) failed", job.id, job.kind, exc_info=error)
        result: dict[str, Any] | None = {REFUSED: True} if isinstance(error, InputError) else None
        if isinstance(error, ImportRefusedError):
            result = {REFUSED: True, "problems": [asdict(p) for p in error.problems], "n_more": error.n_more}
        self._finish(job, "failed", message=str(error) or type(error).__name__, result=result)

    def _cancel_requested(self, job: Job) -> bool:
        """Whether somebody asked for its end; also when it was removed with its project."""
        try:
            return self._store.jobs.cancel_requested(job.id)
        except NotFoundError:
            return True

    def _finish(
        self, job: Job, state: FinalState, *, message: str, result: Mapping[str, Any] | None = None
    ) -> None:
        try:
            self._store.jobs.finish(job.id, job.token, state, result=result, message=message)
        except (ConflictError, NotFoundError) as error:
            logger.warning("job %s: a late result was refused: %s", job.id, error)


def _error_of(job: Job) -> PlumblineError:
    """What a job ended with that is not done."""
    result = job.result or {}
    if result.get("problems"):
        return ImportRefusedError([Problem(**problem) for problem in result["problems"]], result["n_more"])
    if result.get(REFUSED):
        return JobRefusedError(f"{job.kind}: {job.message}")
    return JobFailedError(f"{job.kind}: {job.message or job.state}")
