"""A progress bar on a terminal, and nothing where there is none; a job followed by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from plumbline_backend.domain.types import Job
    from plumbline_backend.workspace import Workspace


@contextmanager
def progress_bar() -> Iterator[Callable[[float, str], None]]:
    """Gives a function to call with progress in [0, 1] and what is being done."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done, message: bar.update(task, completed=done, description=message)


def follow(workspace: Workspace, job: Job) -> Job:
    """Show the job's progress on a terminal until it has ended; an interrupt cancels it.

    Raises JobFailedError with the job's words when it failed.
    """
    with progress_bar() as show:
        while True:
            try:
                return workspace.jobs.wait(job.id, timeout_s=0.2)
            except TimeoutError:
                current = workspace.jobs.get(job.id)
                show(current.progress, current.message)
            except KeyboardInterrupt:
                workspace.jobs.cancel(job.id)
                raise
