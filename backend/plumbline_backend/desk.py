"""What works on many items of a project at once: bulk answers, review, map, data health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plumbline_backend.batches import Batches
from plumbline_backend.health.health import Health
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.map.pool_map import PoolMap
from plumbline_backend.pace.review import Review
from plumbline_backend.people.team import Team
from plumbline_backend.store import Store
from plumbline_backend.trust.trust import Trust

if TYPE_CHECKING:
    from plumbline_backend.project import Project


class Desk:
    """The project's tools for many items."""

    def __init__(self, project: Project, store: Store, jobs: Jobs) -> None:
        self.batches = Batches(project, store)
        self.health = Health(project, store, jobs)
        self.review = Review(project, jobs)
        self.team = Team(project, store)
        self.map = PoolMap(project, store, jobs)
        self.trust = Trust(project, store, jobs)
