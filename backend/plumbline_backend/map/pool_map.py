"""The map of one project: layouts, colours, selections, neighbours."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.arrays import load_array
from plumbline_backend.domain.errors import InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.types import Job, Positions
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs, OnResult
from plumbline_backend.map import colours
from plumbline_backend.map.colours import COLOUR_BY, Colours
from plumbline_backend.map.inside import inside
from plumbline_backend.map.pca import Points, in_unit_square, project
from plumbline_backend.map.raster import View, picture
from plumbline_backend.pool.neighbours import EXACT_UP_TO, INDEX_FILE, Found, can_index, more_like
from plumbline_backend.store import Store
from plumbline_backend.store.ledger import LEARNT_FROM

if TYPE_CHECKING:
    from plumbline_backend.project import Project

Layout = Literal["pca", "umap"]
LAYOUTS: tuple[Layout, ...] = ("pca", "umap")


class _Kept(NamedTuple):
    stamp: tuple[int, ...]
    colours: Colours


class PoolMap:
    """Where a project's items lie, and what is known of them. Layouts are kept beside the features they come from."""

    def __init__(self, project: Project, store: Store, jobs: Jobs) -> None:
        self._project = project
        self._store = store
        self._jobs = jobs
        self._points: dict[str, Points] = {}
        self._colours: dict[str, _Kept] = {}
        self._lock = threading.RLock()

    def layouts(self) -> tuple[Layout, ...]:
        """What can be shown now: "pca" always, "umap" once it was made."""
        return tuple(each for each in LAYOUTS if each == "pca" or self._path(each).exists())

    def points(self, layout: str) -> Points:
        """(n_items, 2) float32, nearly all in [0, 1]^2. PCA is computed at the first look, a second or so.

        Raises InputError for an unknown layout, NotFoundError for one that was not made yet.
        """
        if layout not in LAYOUTS:
            raise InputError(f"layout: {layout!r} does not exist; {did_you_mean(layout, LAYOUTS)}")
        with self._lock:
            if layout not in self._points:
                path = self._path(layout)
                if layout == "pca" and not path.exists():
                    self._make_pca()
                if not path.exists():
                    raise NotFoundError(f"layout {layout!r} was not made yet; make it on the Map page")
                self._points[layout] = load_array(path)
            return self._points[layout]

    def start_umap(self) -> Job:
        """Make the UMAP map in the background; it replaces an earlier one."""
        spec = {
            "pool": str(self._project.folders.pool),
            "path": str(self._path("umap")),
            "seed": self._project.seed,
        }

        def forget(*_: object) -> None:
            with self._lock:
                self._points.pop("umap", None)

        return self._start("map", Work("map", spec), forget)

    def running(self) -> Job | None:
        """The map that is being made, if any."""
        for job in self._jobs.list(self._project.row.id):
            if job.kind == "map" and job.state in ("queued", "running"):
                return job
        return None

    def colours(self, by: str) -> Colours:
        """One index per item and the legend. Kept until an answer or a model comes. Raises InputError on a bad name."""
        if by not in COLOUR_BY:
            raise InputError(f"colour: {by!r} does not exist; {did_you_mean(by, COLOUR_BY)}")
        stamp = self.stamp()
        with self._lock:
            kept = self._colours.get(by)
            if kept is None or kept.stamp != stamp:
                kept = self._colours[by] = _Kept(stamp, self._colour(by))
            return kept.colours

    def stamp(self) -> tuple[int, ...]:
        """Changes when colours may have changed: with the ledger, the model and the question."""
        model = self._project.loop.newest_model()
        question = self._project.question()
        newest = self._store.ledger.newest_id(question.id)
        return newest, 0 if model is None else model.id, question.version

    def select(self, layout: str, corners: Sequence[Sequence[float]]) -> Positions:
        """Items inside an outline, in ascending order. Raises InputError on an outline that is none."""
        try:
            outline = np.array(corners, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError("selection: the outline is not a list of (x, y) pairs") from error
        return inside(self.points(layout), outline)

    def at(self, layout: str, x: float, y: float, reach: float) -> int | None:
        """The item nearest to (x, y), if one is within `reach`."""
        gap = ((self.points(layout) - np.array([x, y], dtype=np.float32)) ** 2).sum(axis=1)
        if not len(gap) or not np.isfinite(gap).any():
            return None
        nearest = int(np.nanargmin(gap))
        return nearest if gap[nearest] <= reach**2 else None

    def picture(self, layout: str, by: str, view: View) -> bytes:
        """The map drawn here, as a PNG."""
        return picture(self.points(layout), self.colours(by), view)

    def more_like(self, item: int, k: int) -> Found:
        """The k nearest items. A pool of more than a million gets an index in the background, for the next time."""
        features = self._project.pool.features
        if features.n > EXACT_UP_TO and can_index() and not (features.folder / INDEX_FILE).exists():
            running = any(
                job.kind == "neighbours" and job.state in ("queued", "running")
                for job in self._jobs.list(self._project.row.id)
            )
            if not running:
                spec = {"features": str(features.folder), "seed": self._project.seed}
                self._start("neighbours", Work("neighbours", spec), lambda *_: None)
        return more_like(features, item, k)

    def _start(self, kind: str, work: Work, ended: OnResult) -> Job:
        lane = f"{kind}-{self._project.row.id % 2}"
        return self._jobs.start(kind, self._project.row.id, work, on_result=ended, lane=lane)

    def _path(self, layout: str) -> Path:
        return self._project.pool.features.folder / f"map_{layout}.npy"

    def _make_pca(self) -> None:
        rng = np.random.default_rng(self._project.seed)
        points = in_unit_square(project(self._project.pool.features, rng))
        path = self._path("pca")
        half_done = path.with_name(f".{path.name}.{os.getpid()}")
        with half_done.open("wb") as file:
            np.save(file, points)
        half_done.rename(path)

    def _colour(self, by: str) -> Colours:
        question = self._project.question()
        if by == "prediction":
            return colours.by_class(self._predicted(), question, "not predicted yet")
        if by == "confidence":
            return colours.by_confidence(self._scores("top1", np.nan))
        judges = self._store.judges.for_project(self._project.row.id)
        imported = {judge.id for judge in judges if judge.kind == "imported"}
        rows = self._store.ledger.current_arrays(question.id, LEARNT_FROM)
        answered = colours.newest_answers(rows, question, imported)
        n = self._project.row.n_items
        if by == "source":
            return colours.by_source(n, answered, list(self._project.loop.pacing.pseudo.live()))
        if by == "error":
            return colours.by_error(n, answered, self._predicted())
        index = np.zeros(n, dtype=np.uint8)
        index[answered.items] = answered.place
        return colours.by_class(index, question, "not answered")

    def _predicted(self) -> NDArray[np.uint8]:
        """(n_items,) place of the newest model's class, 0 before the first model."""
        model, question = self._project.loop.newest_model(), self._project.question()
        argmax = self._scores("argmax", -1).astype(np.int64)
        if model is None:
            return np.zeros(len(argmax), dtype=np.uint8)
        places = colours.class_places(question)
        own = [places[question.resolve(class_id)] for class_id in model.metrics["classes"]]
        return np.array([*own, 0], dtype=np.uint8)[argmax]

    def _scores(self, part: str, unknown: float) -> NDArray[np.floating]:
        """(n_items,) of the newest model's scores; `unknown` everywhere before the first model."""
        model = self._project.loop.newest_model()
        if model is None:
            return np.full(self._project.row.n_items, unknown)
        return load_array(self._project.folders.models / model.folder / f"{part}.npy")
