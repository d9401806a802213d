"""Where imports build: nothing stands under a project's name before it is whole, and what a lost import left goes.

An import builds in pool/.SLUG.importing/pool. The handover renames that to pool/SLUG, writes the project's rows with
the mark `UNFINISHED` in its settings, and takes the mark away last. So whatever moment a server is killed at, the next
one can tell what is whole and what is to be removed.
"""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import ConflictError, NotFoundError
from plumbline_backend.domain.types import ProjectRow
from plumbline_backend.pool.files import is_held, sync_folder
from plumbline_backend.store import Store

logger = logging.getLogger(__name__)

UNFINISHED = "unfinished"
"""In a project's settings while its rows are being written."""
RELEASED_WITHIN_S = 5.0
"""A worker on another machine lets go of its folder a moment after it was told to end."""
_BUILDING = re.compile(r"\.(?P<slug>.+)\.importing")
_NOT_FOR_PROJECTS = frozenset({"api", "healthz", "readyz", "p"})


class Place:
    """A slug that belongs to one import until it has handed over or given up."""

    def __init__(self, places: Places, slug: str) -> None:
        self._places = places
        self.slug = slug
        self.final = places.pools / slug
        self.scratch = places.pools / f".{slug}.importing"
        self.building = self.scratch / "pool"

    def hand_over(self, create: Callable[[], None], is_ours: Callable[[], bool]) -> None:
        """Put the pool in its place and have `create` write the rows, marked `UNFINISHED`; then show the project.

        Raises ConflictError when the job was lost or cancelled meanwhile; `give_up` then removes what was written.
        """
        self.building.rename(self.final)
        sync_folder(self.final.parent)
        create()
        if not is_ours():
            raise ConflictError("the import was ended while its project was being written")
        self._places.show(self.slug)
        shutil.rmtree(self.scratch)
        self._places.release(self.slug)

    def give_up(self) -> None:
        """Remove everything that the import has written."""
        try:
            self._places.discard(self.slug)
        finally:
            self._places.release(self.slug)


class Places:
    """The slugs of a workspace: taken by projects, or by imports on their way."""

    def __init__(self, pools: Path, store: Store) -> None:
        self.pools = pools
        self._store = store
        self._reserved: set[str] = set()
        self._lock = threading.Lock()

    def sweep(self) -> None:
        """Remove what killed imports left; for a server that starts. A folder that somebody still builds in stays."""
        slugs = {row.slug for row in self._store.projects.list() if UNFINISHED in row.settings}
        folders = [path for path in self.pools.iterdir() if path.name.startswith(".")]
        slugs |= {match["slug"] for path in folders if (match := _BUILDING.fullmatch(path.name))}
        for slug in sorted(slugs):
            if not is_held(self.pools / f".{slug}.importing"):
                logger.warning(
                    "the import of %s was lost with an earlier server; what it left is removed", slug
                )
                self._try(self.discard, slug)
        for path in folders:
            if path.name.endswith(".building") and not is_held(path):
                self._try(shutil.rmtree, path)

    def _try(self, remove: Callable[[Any], object], what: Any) -> None:
        """What cannot be removed must not keep a server from starting; it is named, and tried next time."""
        try:
            remove(what)
        except OSError as error:
            logger.error("what a lost import left under %s cannot be removed: %s", what, error)

    @contextmanager
    def reserved(self, name: str) -> Iterator[Place]:
        """A place under a free slug for this name. Given back when the block raises, else by the place itself."""
        with self._lock:
            slug = self._free(name)
            self._reserved.add(slug)
        try:
            yield Place(self, slug)
        except BaseException:
            self.release(slug)
            raise

    def release(self, slug: str) -> None:
        """The slug is no import's any more."""
        with self._lock:
            self._reserved.discard(slug)

    def show(self, slug: str) -> None:
        """The project is whole."""
        row = self._store.projects.get(slug)
        kept = {name: value for name, value in row.settings.items() if name != UNFINISHED}
        self._store.projects.update_settings(row.id, kept)

    def discard(self, slug: str) -> None:
        """Remove rows and folders of an import that did not end; a project that is whole stays as it is."""
        row, scratch = self._row(slug), self.pools / f".{slug}.importing"
        until = time.monotonic() + RELEASED_WITHIN_S
        while is_held(scratch) and time.monotonic() < until:
            time.sleep(0.05)
        is_ours = (
            scratch.exists() and not (scratch / "pool").exists()
        )  # renamed: what stands there is this import's
        if row is not None and UNFINISHED in row.settings:
            self._store.projects.delete(row.id)
            row = None
        if row is None and is_ours and (self.pools / slug).exists():
            shutil.rmtree(self.pools / slug)
        if scratch.exists():
            shutil.rmtree(scratch)

    def free_slug(self, name: str) -> str:
        """A name for URLs and folders that no project and no import has yet, made from a person's words."""
        with self._lock:
            return self._free(name)

    def _free(self, name: str) -> str:
        ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")[:48] or "project"
        base = f"{base}-project" if base in _NOT_FOR_PROJECTS else base
        folders = [path.name for path in self.pools.iterdir()]
        building = (_BUILDING.fullmatch(folder) for folder in folders)
        taken = {row.slug for row in self._store.projects.list()} | {*folders}
        taken |= {
            match["slug"] for match in building if match
        }  # a lost import's worker may still write there
        slug, number = base, 2
        while slug in taken | self._reserved:
            slug, number = f"{base}-{number}", number + 1
        return slug

    def _row(self, slug: str) -> ProjectRow | None:
        try:
            return self._store.projects.get(slug)
        except NotFoundError:
            return None
