"""A grading project's settings in the store, changed by one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from plumbline_backend.store import Store

GRADE_PURPOSE = "grade"
"""The value of a project's setting "purpose" that makes it a grading project; labelling projects have none."""


class ProjectSettings:
    """Reads and changes the settings of one project. One process has a workspace open, so a lock here is enough."""

    def __init__(self, store: Store, slug: str, project_id: int) -> None:
        self._store = store
        self._slug = slug
        self._project_id = project_id
        self._lock = threading.RLock()

    def read(self) -> Mapping[str, Any]:
        """As they are now."""
        return {"criteria": {}, "retired": [], **self._store.projects.get(self._slug).settings}

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Let `change` edit a copy, and store it."""
        with self._lock:
            settings = dict(self.read())
            change(settings)
            self._store.projects.update_settings(self._project_id, settings)
