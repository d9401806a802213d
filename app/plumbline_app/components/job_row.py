"""A job on a page: what it does, how far it is, and a way to stop it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import param
from panel.custom import JSComponent

from plumbline_backend.domain.types import Job

if TYPE_CHECKING:
    from plumbline_backend.jobs.runner import Jobs

POLL_MS = 200
ENDED = ("done", "failed", "cancelled")


class JobRow(JSComponent):
    """Follows one job's row in the store, so that it survives a refresh. Hidden while there is no job.

    Call `poll` every `POLL_MS`; `on_end(job)` is called once when the job has ended.
    """

    heading = param.String(default="", doc="What the job does, in words.")
    state = param.String(default="", doc="The job's state; empty while there is none.")
    progress = param.Number(default=0.0, bounds=(0, 1))
    message = param.String(default="")
    stoppable = param.Boolean(default=True, doc="Whether a cancel is offered.")

    _esm = Path(__file__).parent / "job_row.js"

    def __init__(self, jobs: Jobs, on_end: Callable[[Job], None], **params: Any) -> None:
        super().__init__(**{"margin": 0, "sizing_mode": "stretch_width", "visible": False, **params})
        self._jobs = jobs
        self._on_end = on_end
        self.job_id: int | None = None

    def follow(self, job: Job | None, heading: str = "") -> None:
        """Show this job from now on, or nothing."""
        self.job_id = None if job is None else job.id
        self.param.update(visible=job is not None, heading=heading, state="" if job is None else job.state)
        if job is not None:
            self._show(job)

    def poll(self) -> None:
        """Read the row again. Does nothing once the job has ended."""
        job_id = self.job_id
        if job_id is None or self.state in ENDED:
            return
        job = self._jobs.get(job_id)
        self._show(job)
        if job.state in ENDED:
            self._on_end(job)

    def _show(self, job: Job) -> None:
        message = "waiting for its turn" if job.state == "queued" else job.message
        progress = min(max(job.progress, 0.0), 1.0)
        self.param.update(state=job.state, progress=progress, message=message)

    def _handle_msg(self, data: Any) -> None:
        if data == "cancel" and self.job_id is not None:
            self._show(self._jobs.cancel(self.job_id))
