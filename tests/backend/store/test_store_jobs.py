"""Jobs: one worker at a time, and a late result never counts."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.store import Store


def test_a_job_from_start_to_end(desk: Any) -> None:
    jobs = desk.store.jobs
    queued = jobs.create("fit", desk.project.id, {"l2": 1.0})
    assert (queued.state, queued.progress, queued.token, queued.started_at) == ("queued", 0.0, 0, None)
    running = jobs.claim(queued.id, lease_s=30)
    assert (running.state, running.token, running.spec) == ("running", 1, {"l2": 1.0})
    assert abs(running.lease_until - running.started_at - timedelta(seconds=30)) < timedelta(seconds=1)
    assert jobs.heartbeat(running.id, running.token, 0.5, "half", 30) is True
    assert (jobs.get(running.id).progress, jobs.get(running.id).message) == (0.5, "half")
    done = jobs.finish(running.id, running.token, "done", {"version": 3})
    assert (done.state, done.progress, done.message, done.result) == ("done", 1.0, "half", {"version": 3})
    assert done.finished_at >= done.started_at >= done.created_at
    assert done.lease_until is None
    assert jobs.list(desk.project.id) == [done]


def test_only_one_worker_gets_a_job(store: Store) -> None:
    job = store.jobs.create("fit", None, {})

    def claim(_: int) -> int | None:
        try:
            return store.jobs.claim(job.id, 60).token
        except ConflictError:
            return None

    with ThreadPoolExecutor(6) as pool:
        tokens = list(pool.map(claim, range(6)))
    assert sorted(tokens, key=str) == [1, None, None, None, None, None]


def test_a_stale_worker_is_told_to_stop_and_its_result_is_refused(store: Store) -> None:
    job = store.jobs.create("fit", None, {})
    first = store.jobs.claim(job.id, lease_s=0.05)
    time.sleep(0.1)
    second = store.jobs.claim(job.id, lease_s=60)
    assert second.token == 2
    assert store.jobs.heartbeat(job.id, first.token, 0.9, "late", 60) is False
    assert store.jobs.get(job.id).message == ""
    with pytest.raises(ConflictError, match="is running: the result came too late"):
        store.jobs.finish(job.id, first.token, "done", {})
    assert store.jobs.finish(job.id, second.token, "failed", message="no data").message == "no data"
    with pytest.raises(ConflictError, match="is failed: the result came too late"):
        store.jobs.finish(job.id, second.token, "done")
    with pytest.raises(ConflictError, match="is failed: it is not waiting"):
        store.jobs.claim(job.id, 60)


def test_a_lost_worker_fails_the_job(store: Store) -> None:
    lost, fine, waiting = (store.jobs.create("fit", None, {}) for _ in range(3))
    token = store.jobs.claim(lost.id, 0.05).token
    store.jobs.claim(fine.id, 60)
    time.sleep(0.1)
    expired = store.jobs.expire()
    assert [(job.id, job.state, job.message, job.token) for job in expired] == [
        (lost.id, "failed", "worker lost", token + 1)
    ]
    assert store.jobs.expire() == []
    assert [store.jobs.get(job.id).state for job in (fine, waiting)] == ["running", "queued"]
    assert store.jobs.heartbeat(lost.id, token, 0.1, "", 60) is False


def test_cancelling(store: Store) -> None:
    waiting, running = store.jobs.create("a", None, {}), store.jobs.create("b", None, {})
    assert store.jobs.request_cancel(waiting.id).state == "cancelled"
    token = store.jobs.claim(running.id, 60).token
    assert store.jobs.cancel_requested(running.id) is False
    assert store.jobs.request_cancel(running.id).state == "running"
    assert store.jobs.cancel_requested(running.id) is True
    assert store.jobs.heartbeat(running.id, token, 0.5, "stopping", 60) is False
    assert store.jobs.finish(running.id, token, "cancelled").state == "cancelled"
    with pytest.raises(ConflictError, match="is cancelled; it cannot be cancelled"):
        store.jobs.request_cancel(running.id)
    with pytest.raises(ConflictError, match="is cancelled: it is not waiting"):
        store.jobs.claim(waiting.id, 60)


def test_lists_are_newest_first_and_limited(desk: Any) -> None:
    made = [
        desk.store.jobs.create("fit", project, {}) for project in (None, desk.project.id, desk.project.id)
    ]
    assert desk.store.jobs.list() == made[::-1]
    assert desk.store.jobs.list(desk.project.id, limit=1) == [made[2]]


def test_bad_jobs_are_refused(store: Store) -> None:
    job = store.jobs.create("fit", None, {})
    cases = [
        (lambda: store.jobs.create("", None, {}), InputError, "kind is empty"),
        (lambda: store.jobs.create("fit", 9, {}), NotFoundError, "project 9 does not exist"),
        (lambda: store.jobs.create("fit", None, {"a": "\0"}), InputError, r"spec\.a has a NUL"),
        (lambda: store.jobs.claim(9, 1), NotFoundError, "job 9 does not exist"),
        (lambda: store.jobs.claim(job.id, 0), InputError, "lease_s is 0"),
        (lambda: store.jobs.heartbeat(job.id, 0, 1.5, "", 1), InputError, "progress is 1.5"),
        (
            lambda: store.jobs.heartbeat(job.id, 0, 0.5, "\ud800", 1),
            InputError,
            "message has a lone surrogate",
        ),
        (lambda: store.jobs.finish(job.id, 0, "queued"), InputError, "state is 'queued'"),
        (lambda: store.jobs.finish(job.id, 0, "done", {"a": "\0"}), InputError, r"result\.a has a NUL"),
        (lambda: store.jobs.cancel_requested(9), NotFoundError, "job 9"),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()


def test_what_waited_for_a_server_that_ended_is_failed(store: Store) -> None:
    waiting, running = store.jobs.create("a", None, {}), store.jobs.create("b", None, {})
    store.jobs.claim(running.id, 60)
    assert [(job.id, job.state) for job in store.jobs.abandon_queued()] == [(waiting.id, "failed")]
    assert "start it again" in store.jobs.get(waiting.id).message
    assert store.jobs.get(running.id).state == "running"


def test_what_a_failed_job_says_is_kept_whatever_it_quotes(store: Store) -> None:
    job = store.jobs.claim(store.jobs.create("import", None, {}).id, lease_s=60)
    found = {"problems": [{"value": "a\0b", "row": 3}], "n_more": 0, "\ud800": None}
    ended = store.jobs.finish(
        job.id, job.token, "failed", result=found, message="found a\0b \udfff" + "x" * 200_000
    )
    assert ended.state == "failed"
    assert ended.message.startswith("found a\\x00b \\udfffxxx")
    assert len(ended.message) == 100_000
    assert ended.result == {"problems": [{"value": "a\\x00b", "row": 3}], "n_more": 0, "\\ud800": None}
