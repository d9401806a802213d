"""A look at a project's features and columns, in the background; and whether another project's items differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.types import Job
from plumbline_backend.health.features import columns_shift
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.pool.pool import Pool
from plumbline_backend.store import Store
from plumbline_backend.trust.diagnostics import Shift

if TYPE_CHECKING:
    from plumbline_backend.project import Project

KIND = "features"


class FeatureLook:
    """Diagnostics of one project's features. Labels of the random stream are not looked at."""

    def __init__(self, project: Project, store: Store, jobs: Jobs) -> None:
        self._project, self._store, self._jobs = project, store, jobs

    def start(self, other: str = "") -> Job:
        """Look in the background; other: the project whose items are compared, by its name in URLs; empty: the import's
        own halves. Raises NotFoundError, and InputError where no column is shared."""
        compared = None
        if other:
            name, pool = self._other(other)
            self._shared(pool)
            compared = {"pool": str(pool.folder), "name": name}
        self._project.loop.answers.refresh()
        labels, classes = self._project.loop.answers.training(self._project.question())
        spec = {
            "pool": str(self._project.folders.pool),
            "items": labels.items.tolist(),
            "targets": labels.targets.tolist(),
            "n_classes": len(classes),
            "l2": self._project.l2,
            "seed": self._project.seed,
            "other": compared,
        }
        lane = f"features-{self._project.row.id % 2}"
        return self._jobs.start(KIND, self._project.row.id, Work(KIND, spec), lambda *_: None, lane)

    def running(self) -> Job | None:
        """The look that is under way, if any."""
        found = self._project.jobs(KIND)
        return found[0] if found and found[0].state in ("queued", "running") else None

    def last(self) -> Mapping[str, Any] | None:
        """What the newest finished look found, see `health.features.check_features`; None before the first."""
        done = [job for job in self._project.jobs(KIND) if job.state == "done"]
        return done[0].result if done else None

    def shift(self, other: str) -> list[Shift]:
        """Columns that this project and another one both have, from the most to the least different.

        Raises NotFoundError, and InputError where no column is shared.
        """
        _, pool = self._other(other)
        return columns_shift(self._project.pool, pool, np.random.default_rng(self._project.seed))

    def _other(self, slug: str) -> tuple[str, Pool]:
        row = self._store.projects.get(slug)
        folder = self._project.folders.pool.parent / slug
        if not folder.is_dir():
            raise NotFoundError(f"project {slug!r} has no items")
        return row.name, Pool.open(folder)

    def _shared(self, pool: Pool) -> None:
        own = {column.name for column in self._project.pool.columns}
        if not own & {column.name for column in pool.columns}:
            raise InputError(
                f"compare with: {pool.manifest.name} has no column of {self._project.slug!r}; expected at least one of "
                f"{', '.join(sorted(own)[:8])}"
            )
