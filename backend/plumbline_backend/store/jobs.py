"""Jobs: long work, claimed by one worker at a time. A result counts only with the newest token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Job
from plumbline_backend.store.checks import json_object, readable, refuse, text_problem
from plumbline_backend.store.columns import now, now_plus
from plumbline_backend.store.database import Database
from plumbline_backend.store.tables import jobs, projects

MAX_KIND = 200
MAX_MESSAGE = 100_000
WORKER_LOST = "worker lost"
SERVER_ENDED = "the server ended before the job began; start it again"
FINAL_STATES = ("done", "failed", "cancelled")

JobRows = list[Job]
FinalState = Literal["done", "failed", "cancelled"]


class Jobs:
    """The table of truth for work that other processes do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, kind: str, project_id: int | None, spec: Mapping[str, Any] | None = None) -> Job:
        """A queued job. Raises NotFoundError for the project."""
        refuse([text_problem("kind", kind, limit=MAX_KIND, required=True)])
        values = {
            "kind": kind,
            "project_id": project_id,
            "spec": json_object("spec", {} if spec is None else spec),
            "state": "queued",
            "progress": 0.0,
            "message": "",
            "token": 0,
            "cancel_requested": False,
        }

        def apply(connection: Connection) -> Job:
            if project_id is not None:
                found = connection.execute(select(projects.c.id).where(projects.c.id == project_id)).first()
                if found is None:
                    raise NotFoundError(f"project {project_id} does not exist")
            statement = insert(jobs).values(created_at=now(), **values).returning(jobs)
            return _job(connection.execute(statement).one())

        return self._database.write(apply)

    def claim(self, job_id: int, lease_s: float) -> Job:
        """Makes the job run under a new token. Raises ConflictError unless it is queued or its lease ran out."""
        _require_lease(lease_s)
        free = or_(jobs.c.state == "queued", and_(jobs.c.state == "running", jobs.c.lease_until <= now()))
        values = {
            "state": "running",
            "token": jobs.c.token + 1,
            "started_at": now(),
            "lease_until": now_plus(float(lease_s)),
        }
        return self._change(job_id, free, values, "it is not waiting for a worker")

    def heartbeat(self, job_id: int, token: int, progress: float, message: str, lease_s: float) -> bool:
        """Reports progress (0 to 1) and renews the lease. False: stop working.

        That is when the token is stale, the job is over, or cancelling was asked for (the progress of a
        job that is to be cancelled is kept all the same). Raises InputError.
        """
        _require_lease(lease_s)
        refuse(
            [
                text_problem("message", message, limit=MAX_MESSAGE),
                None if 0 <= progress <= 1 else f"progress is {progress}; expected 0 to 1",
            ]
        )
        return self._renew(job_id, token, lease_s, progress=float(progress), message=message)

    def renew(self, job_id: int, token: int, lease_s: float) -> bool:
        """Renews the lease and says nothing of progress. False: stop working, as for `heartbeat`."""
        _require_lease(lease_s)
        return self._renew(job_id, token, lease_s)

    def finish(
        self,
        job_id: int,
        token: int,
        state: FinalState,
        result: Mapping[str, Any] | None = None,
        message: str | None = None,
    ) -> Job:
        """Ends the job. Raises ConflictError when the token is stale or the job is over already.

        message: None keeps the last one. A job that is "done" shows full progress. What a job that failed says is kept
        whatever characters it quotes.
        """
        if state == "failed":
            result, message = readable(result), None if message is None else readable(message)[:MAX_MESSAGE]
        if state not in FINAL_STATES:
            raise InputError(f"state is {state!r}; expected one of {', '.join(FINAL_STATES)}")
        values: dict[str, Any] = {
            "state": state,
            "finished_at": now(),
            "lease_until": None,
            "result": None if result is None else json_object("result", result),
        }
        if message is not None:
            refuse([text_problem("message", message, limit=MAX_MESSAGE)])
            values["message"] = message
        if state == "done":
            values["progress"] = 1.0
        return self._change(job_id, _held(job_id, token), values, "the result came too late")

    def request_cancel(self, job_id: int) -> Job:
        """Asks a running job to stop; a queued one is cancelled at once. Raises ConflictError when it is over."""

        def apply(connection: Connection) -> Job:
            job = _get(connection, job_id, lock=True)
            if job.state in FINAL_STATES:
                raise ConflictError(f"job {job_id} is {job.state}; it cannot be cancelled")
            values: dict[str, Any] = {"cancel_requested": True}
            if job.state == "queued":
                values |= {"state": "cancelled", "finished_at": now()}
            statement = update(jobs).where(jobs.c.id == job_id).values(**values).returning(jobs)
            return _job(connection.execute(statement).one())

        return self._database.write(apply)

    def get(self, job_id: int) -> Job:
        """The job. Raises NotFoundError."""
        with self._database.read() as connection:
            return _get(connection, job_id)

    def cancel_requested(self, job_id: int) -> bool:
        """Whether somebody asked for the job to stop. Raises NotFoundError."""
        with self._database.read() as connection:
            found = connection.execute(select(jobs.c.cancel_requested).where(jobs.c.id == job_id)).scalar()
        if found is None:
            raise NotFoundError(f"job {job_id} does not exist")
        return bool(found)

    def list(self, project_id: int | None = None, limit: int = 50) -> JobRows:
        """The newest jobs of a project (None: of all), newest first."""
        statement = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if project_id is not None:
            statement = statement.where(jobs.c.project_id == project_id)
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(statement)]

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state, of those in which any is."""
        statement = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        with self._database.read() as connection:
            return {row.state: int(row[1]) for row in connection.execute(statement)}

    def expire(self) -> JobRows:
        """Fails the jobs whose lease ran out, and returns them. Their workers' tokens are stale from then on."""
        statement = (
            update(jobs)
            .where(jobs.c.state == "running", jobs.c.lease_until <= now())
            .values(
                state="failed",
                message=WORKER_LOST,
                token=jobs.c.token + 1,
                finished_at=now(),
                lease_until=None,
            )
            .returning(jobs)
        )
        expired = self._database.write(lambda connection: connection.execute(statement).all())
        return sorted((_job(row) for row in expired), key=lambda job: job.id)

    def abandon_queued(self) -> JobRows:
        """Fails the jobs that still wait for a worker, and returns them.

        For a server that starts: what was queued lived in the memory of the one before it.
        """
        statement = (
            update(jobs)
            .where(jobs.c.state == "queued")
            .values(state="failed", message=SERVER_ENDED, finished_at=now())
            .returning(jobs)
        )
        abandoned = self._database.write(lambda connection: connection.execute(statement).all())
        return sorted((_job(row) for row in abandoned), key=lambda job: job.id)

    def _renew(self, job_id: int, token: int, lease_s: float, **values: Any) -> bool:
        statement = (
            update(jobs)
            .where(_held(job_id, token))
            .values(lease_until=now_plus(float(lease_s)), **values)
            .returning(jobs.c.cancel_requested)
        )
        asked = self._database.write(lambda connection: connection.execute(statement).scalar())
        return asked is False

    def _change(self, job_id: int, condition: Any, values: Mapping[str, Any], refusal: str) -> Job:
        def apply(connection: Connection) -> Job:
            statement = update(jobs).where(jobs.c.id == job_id, condition).values(**values).returning(jobs)
            row = connection.execute(statement).first()
            if row is None:
                state = _get(connection, job_id).state
                raise ConflictError(f"job {job_id} is {state}: {refusal}")
            return _job(row)

        return self._database.write(apply)


def _held(job_id: int, token: int) -> Any:
    return and_(jobs.c.id == job_id, jobs.c.token == token, jobs.c.state == "running")


def _require_lease(lease_s: float) -> None:
    refuse([None if 0 < lease_s < math.inf else f"lease_s is {lease_s}; expected seconds, more than 0"])


def _get(connection: Connection, job_id: int, *, lock: bool = False) -> Job:
    statement = select(jobs).where(jobs.c.id == job_id)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is None:
        raise NotFoundError(f"job {job_id} does not exist")
    return _job(row)


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        project_id=row.project_id,
        kind=row.kind,
        state=row.state,
        progress=row.progress,
        message=row.message,
        token=row.token,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        lease_until=row.lease_until,
        spec=row.spec,
        result=row.result,
    )
