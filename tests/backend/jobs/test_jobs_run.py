"""Jobs in real worker processes: results, progress, cancel, kill -9, late results."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from plumbline_backend.domain.errors import ConflictError, ImportRefusedError, InputError, JobFailedError
from plumbline_backend.jobs.executors import InlineExecutor, SubprocessExecutor, Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.store import DatabaseError, open_store

RESERVE = {"slug": "x", "stream_share": 0.1, "seed": 0}


@pytest.fixture
def store(tmp_path):
    opened = open_store(f"sqlite:///{tmp_path / 'jobs.db'}")
    yield opened
    opened.close()


@pytest.fixture
def executor():
    made = SubprocessExecutor(threads=1)
    yield made
    made.close()


@pytest.fixture
def jobs(store, executor):
    made = Jobs(store, executor, lease_s=2.0)
    yield made
    made.close()


def demo(folder):
    return Work("demo", {"name": "wine", "folder": str(folder), **RESERVE})


def slow(tmp_path):
    """An import that takes many seconds: 3,000,000 short rows."""
    file = tmp_path / "long.csv"
    with file.open("w") as stream:
        stream.write("x,y\n")
        block = "".join(f"{i},{i % 7}.5\n" for i in range(100_000))
        for _ in range(30):
            stream.write(block)
    column = {"type": "double", "role": "numeric", "reason": "", "examples": [], "n_missing": 0}
    columns = [{"name": "x", **column}, {"name": "y", **column}]
    return Work(
        "import",
        {
            "file": str(file),
            "folder": str(tmp_path / "long"),
            "columns": columns,
            "on_problem": "refuse",
            **RESERVE,
        },
    )


def until(condition, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "condition not met in time"
        time.sleep(0.02)


def test_the_result_is_handed_over_before_the_job_counts_as_done(jobs, tmp_path):
    states = []
    job = jobs.start(
        "demo", None, demo(tmp_path / "wine"), lambda job, result: states.append((jobs.get(job.id).state, result)),
        lane="a",
    )  # fmt: skip
    done = jobs.wait(job.id)
    ((state_then, result),) = states
    assert state_then == "running"
    assert result["n_items"] == 178
    assert (done.state, done.progress, done.result["n_items"]) == ("done", 1.0, 178)


def test_the_worker_is_kept_warm_for_the_next_job(jobs, executor, tmp_path):
    jobs.wait(jobs.start("demo", None, demo(tmp_path / "one"), lambda *_: None, lane="a").id)
    first = executor._lanes["a"].pid
    jobs.wait(jobs.start("demo", None, demo(tmp_path / "two"), lambda *_: None, lane="a").id)
    assert executor._lanes["a"].pid == first


def test_a_refused_import_keeps_its_problems_apart(jobs, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("id,x\na,1\na,2\n")
    column = {"type": "string", "reason": "", "examples": [], "n_missing": 0}
    columns = [{"name": "id", "role": "id", **column}, {"name": "x", "role": "text", **column}]
    spec = {
        "file": str(file),
        "folder": str(tmp_path / "p"),
        "columns": columns,
        "on_problem": "refuse",
        **RESERVE,
    }
    job = jobs.start("import", None, Work("import", spec), lambda *_: None, lane="a")
    with pytest.raises(ImportRefusedError, match="row 2") as refused:
        jobs.wait(job.id)
    assert refused.value.problems[0].column == "id"
    (problem,) = jobs.get(job.id).result["problems"]
    assert (problem["row"], problem["column"]) == (2, "id")
    assert not (tmp_path / "p").exists()


def test_cancel_stops_a_running_job_and_the_lane_goes_on(jobs, executor, tmp_path):
    job = jobs.start("import", None, slow(tmp_path), lambda *_: None, lane="a")
    until(lambda: jobs.get(job.id).progress > 0)
    worker = executor._lanes["a"].pid
    jobs.cancel(job.id)
    until(lambda: jobs.get(job.id).state == "cancelled", timeout_s=5)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    jobs.wait(jobs.start("demo", None, demo(tmp_path / "wine"), lambda *_: None, lane="a").id)


def test_a_killed_worker_fails_its_job_and_the_next_job_runs(jobs, executor, tmp_path):
    handed = []
    job = jobs.start("import", None, slow(tmp_path), lambda *_: handed.append(1), lane="a")
    until(lambda: jobs.get(job.id).progress > 0)
    os.killpg(executor._lanes["a"].pid, signal.SIGKILL)
    with pytest.raises(JobFailedError, match="worker process ended before it answered"):
        jobs.wait(job.id, timeout_s=10)
    assert handed == []
    jobs.wait(jobs.start("demo", None, demo(tmp_path / "wine"), lambda *_: None, lane="a").id)


def test_a_failing_handover_fails_the_job(jobs, tmp_path):
    def broken(*_):
        raise ConflictError("the name was taken meanwhile")

    job = jobs.start("demo", None, demo(tmp_path / "wine"), broken, lane="a")
    with pytest.raises(JobFailedError, match="the name was taken meanwhile"):
        jobs.wait(job.id)


def test_lanes_run_beside_each_other_and_a_lane_one_by_one(store):
    jobs = Jobs(store, InlineExecutor(), lease_s=5.0)
    running, most = set(), {}
    lock = threading.Lock()

    def work(lane):
        def run(report):
            with lock:
                running.add((lane, threading.get_ident()))
                for each in ("a", "b"):
                    most[each] = max(most.get(each, 0), sum(1 for name, _ in running if name == each))
                most["all"] = max(most.get("all", 0), len(running))
            time.sleep(0.2)
            report(1.0, "")
            with lock:
                running.discard((lane, threading.get_ident()))
            return {}

        return run

    started = [jobs.start("x", None, work(lane), lambda *_: None, lane) for lane in "aabb"]
    for job in started:
        jobs.wait(job.id)
    jobs.close()
    assert most == {"a": 1, "b": 1, "all": 2}


def test_a_result_of_a_lost_lease_is_refused(store, monkeypatch):
    monkeypatch.setattr(Jobs, "_sweep", lambda _: None)
    jobs = Jobs(store, InlineExecutor(), lease_s=0.3)
    monkeypatch.setattr(jobs, "_keep_alive", lambda *_: None)  # a server that was paused
    handed = []

    def steals_its_own_lease(report):
        report(0.1, "working")
        time.sleep(0.4)
        (job,) = store.jobs.list(None, 1)
        store.jobs.claim(job.id, 60.0)  # what another server does once the lease has run out
        return {}

    job = jobs.start("x", None, steals_its_own_lease, lambda *_: handed.append(1), lane="a")
    until(lambda: not jobs._threads)
    assert handed == []
    assert store.jobs.get(job.id).state == "running"  # the other claim's, not ours to end
    jobs.close()


def test_jobs_of_a_dead_server_are_failed_at_the_next_start(store):
    job = store.jobs.create("fit", None, {})
    store.jobs.claim(job.id, 0.05)
    time.sleep(0.1)
    Jobs(store, InlineExecutor(), lease_s=1.0).close()
    assert store.jobs.get(job.id).state == "failed"
    assert "lost" in store.jobs.get(job.id).message


def test_closing_ends_what_runs(store, tmp_path):
    jobs = Jobs(store, SubprocessExecutor(threads=1), lease_s=5.0)
    job = jobs.start("import", None, slow(tmp_path), lambda *_: None, lane="a")
    until(lambda: jobs.get(job.id).progress > 0)
    jobs.close()
    assert jobs.get(job.id).state == "cancelled"
    with pytest.raises(ConflictError, match="closing"):
        jobs.start("demo", None, demo(tmp_path / "wine"), lambda *_: None, lane="a")


def test_problems_survive_the_way_through_the_pipe(executor, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("id,x\na,1\na,2\n")
    column = {"type": "string", "reason": "", "examples": [], "n_missing": 0}
    columns = [{"name": "id", "role": "id", **column}, {"name": "x", "role": "text", **column}]
    spec = {
        "file": str(file),
        "folder": str(tmp_path / "p"),
        "columns": columns,
        "on_problem": "refuse",
        **RESERVE,
    }
    with pytest.raises(ImportRefusedError) as caught:
        executor.run("a", Work("import", spec), lambda *_: None)
    assert caught.value.problems[0].row == 2


def never_beats(self, job, ended):
    """A thread that has died without a word."""


def test_no_job_runs_beyond_its_lease(store, monkeypatch):
    monkeypatch.setattr(Jobs, "_keep_alive", never_beats)
    jobs = Jobs(store, InlineExecutor(), lease_s=0.5)
    go_on = threading.Event()
    handed = []
    job = jobs.start("x", None, lambda _: {"waited": go_on.wait(30)}, lambda *_: handed.append(1), lane="a")
    until(lambda: jobs.get(job.id).state == "failed", timeout_s=10)
    assert jobs.get(job.id).message == "worker lost"
    go_on.set()
    jobs.close()
    assert handed == []
    assert jobs.get(job.id).state == "failed"


def test_the_control_without_the_sweeper_stays_running(store, monkeypatch):
    monkeypatch.setattr(Jobs, "_keep_alive", never_beats)
    monkeypatch.setattr(Jobs, "_sweep", lambda _: None)
    jobs = Jobs(store, InlineExecutor(), lease_s=0.5)
    go_on = threading.Event()
    job = jobs.start("x", None, lambda _: {"waited": go_on.wait(30)}, lambda *_: None, lane="a")
    until(lambda: jobs.get(job.id).state == "running")
    time.sleep(1.0)
    assert jobs.get(job.id).state == "running"
    go_on.set()
    jobs.close()


def test_a_handover_longer_than_the_lease_is_not_taken_for_a_lost_worker(store):
    """Three leases long; the sweeper looks three times in each."""
    jobs = Jobs(store, InlineExecutor(), lease_s=0.6)
    states = []

    def slow_handover(job, _):
        time.sleep(1.8)
        states.append(jobs.get(job.id).state)

    job = jobs.start("x", None, lambda _: {"n": 1}, slow_handover, lane="a")
    assert jobs.wait(job.id).result == {"n": 1}
    assert states == ["running"]
    jobs.close()


class Outage:
    """A database that is away for a while: `renew` fails until `over_s` seconds after its first call."""

    def __init__(self, renew, over_s):
        self._renew, self._over_s, self._began, self.n_failed = renew, over_s, None, 0

    def __call__(self, *arguments):
        self._began = self._began or time.monotonic()
        if time.monotonic() - self._began < self._over_s:
            self.n_failed += 1
            raise DatabaseError("the database is away")
        return self._renew(*arguments)


@pytest.mark.parametrize(("over_s", "state"), [(0.5, "done"), (60.0, "failed")])
def test_a_quiet_job_lives_through_an_outage_shorter_than_its_lease(store, monkeypatch, over_s, state):
    """The lease of 1.5 s is renewed after 0.5 s: an outage of 0.5 s ends before it is over."""
    outage = Outage(store.jobs.renew, over_s)
    monkeypatch.setattr(store.jobs, "renew", outage)
    jobs = Jobs(store, InlineExecutor(), lease_s=1.5)
    cleared = []
    job = jobs.start(
        "x", None, lambda _: time.sleep(3.0) or {}, lambda *_: None, "a", on_no_result=lambda: cleared.append(1)
    )  # fmt: skip
    until(lambda: not jobs._threads, 20)
    assert outage.n_failed > 2
    assert store.jobs.get(job.id).state == state
    assert cleared == ([] if state == "done" else [1])
    jobs.close()


def test_a_job_whose_turn_comes_while_the_database_is_away_waits_for_it(store, monkeypatch):
    """It would stay queued for ever otherwise: the sweeper ends only what runs."""
    monkeypatch.setattr("plumbline_backend.jobs.runner.CLAIM_AGAIN_S", 0.05)
    outage = Outage(store.jobs.claim, 0.4)
    monkeypatch.setattr(store.jobs, "claim", outage)
    jobs = Jobs(store, InlineExecutor(), lease_s=5.0)
    job = jobs.start("x", None, lambda _: {"n": 1}, lambda *_: None, lane="a")
    assert jobs.wait(job.id, 20).result == {"n": 1}
    assert outage.n_failed > 2
    jobs.close()


def test_a_server_ends_although_a_job_waits_for_the_database(store, monkeypatch):
    outage = Outage(store.jobs.claim, 600.0)
    monkeypatch.setattr(store.jobs, "claim", outage)
    jobs = Jobs(store, InlineExecutor(), lease_s=5.0)
    job = jobs.start("x", None, lambda _: {}, lambda *_: None, lane="a")
    until(lambda: outage.n_failed, 20)
    jobs.close()
    assert store.jobs.get(job.id).state == "queued"  # the next start fails it: `abandon_queued`


def test_progress_that_cannot_be_told_does_not_end_the_work(store, monkeypatch):
    heartbeat, calls = store.jobs.heartbeat, []

    def away_at_first(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise DatabaseError("the database is away")
        return heartbeat(*arguments)

    monkeypatch.setattr(store.jobs, "heartbeat", away_at_first)
    jobs = Jobs(store, InlineExecutor(), lease_s=5.0)
    job = jobs.start("x", None, lambda report: report(0.5, "half") or {}, lambda *_: None, "a")
    assert jobs.wait(job.id).state == "done"
    assert len(calls) == 2
    jobs.close()


def test_a_job_that_was_refused_says_so_to_who_waits(store):
    def refusing(_):
        raise InputError("budget: found -1; expected 0 or more")

    jobs = Jobs(store, InlineExecutor(), lease_s=5.0)
    job = jobs.start("x", None, refusing, lambda *_: None, "a")
    with pytest.raises(InputError, match="budget: found -1"):
        jobs.wait(job.id)
    jobs.close()


def test_what_cannot_be_cleared_up_does_not_keep_a_job_from_ending(store):
    def broken():
        raise OSError("the disk is away")

    jobs = Jobs(store, InlineExecutor(), lease_s=5.0)
    job = jobs.start("x", None, lambda _: 1 / 0, lambda *_: None, "a", on_no_result=broken)
    with pytest.raises(JobFailedError, match="division by zero"):
        jobs.wait(job.id)
    jobs.close()


def test_no_worker_starts_once_the_executor_is_closed(executor, tmp_path):
    executor.close()
    with pytest.raises(JobFailedError, match="closing"):
        executor.run("a", demo(tmp_path / "wine"), lambda *_: None)
    assert executor._lanes == {}
