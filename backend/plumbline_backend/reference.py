"""The random-sampling reference of the learning curve: up to 80 throw-away heads, trained in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.answers import Labels
from plumbline_backend.domain.curves import ReferencePoint, random_reference
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import Interval
from plumbline_backend.heads.making import DEFAULT, make_head
from plumbline_backend.jobs.executors import Work
from plumbline_backend.pool.pool import Pool
from plumbline_backend.registry import HEADS

if TYPE_CHECKING:
    from plumbline_backend.project import Project

REPEATS = 10
SIZES = (5, 10, 20, 40, 80, 160, 320, 640)
LARGEST_SHARE = 0.8
"""At least a fifth of the stream stays to test a reference head on."""
MIN_ANSWERS = 10
WAIT_S = 600.0
MAX_S = 20.0
"""Heads that take longer are trained fewer times: the mean over the repeats is then less steady."""


class Reference:
    """Computes a project's reference in a worker and keeps it until the stream's answers change."""

    def __init__(self) -> None:
        self._key: tuple[bytes, ...] = ()
        self._points: tuple[ReferencePoint, ...] = ()

    def of(self, project: Project, stream: Labels) -> tuple[tuple[ReferencePoint, ...], str]:
        """The points and a note on why there are none. Blocks until the worker is done, a second or more."""
        n = len(stream.items)
        if n < MIN_ANSWERS:
            return (), f"needs {MIN_ANSWERS} random-stream answers; there are {n}"
        key = (stream.items.tobytes(), stream.targets.tobytes(), project.loop.head.encode())
        if key != self._key:
            rows = project.run_job("reference", self._work(project, stream), WAIT_S)["points"]
            points = tuple(ReferencePoint(n_train, Interval(*interval)) for n_train, interval in rows)
            self._key, self._points = key, points
        return self._points, ""

    def _work(self, project: Project, stream: Labels) -> Work:
        spec = {
            "pool": str(project.folders.pool),
            "items": stream.items.tolist(),
            "targets": stream.targets.tolist(),
            "head": project.loop.head,
            "head_settings": project.loop.head_settings,
            "known": project.loop.known_to_head(),
            "seed": project.seed,
        }
        return Work("reference", spec)


def measure_reference(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's part: heads that learn from some of the stream's items and are tested on the others."""
    report(0.1, "training throw-away heads on random items")
    features = Pool.open(Path(spec["pool"])).features.gather(np.array(spec["items"], dtype=np.int64))
    targets = np.array(spec["targets"], dtype=np.int64)
    sizes = [size for size in SIZES if size <= len(targets) * LARGEST_SHARE]

    name, chosen, known = reference_head(spec)

    def fit(x: NDArray[np.floating[Any]], y: NDArray[np.integer[Any]], n_classes: int) -> Head:
        return make_head(name, known, chosen).fit(x, y, n_classes)

    once = sum(HEADS.get(name).estimate(n, features.shape[1], 1 + int(targets.max())).seconds for n in sizes)
    repeats = int(np.clip(MAX_S / max(once, 1e-9), 1, REPEATS))
    points = random_reference(features, targets, fit, sizes, repeats, np.random.default_rng(spec["seed"]))
    return {"points": [[point.n_train, list(point.accuracy)] for point in points]}


def reference_head(spec: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    """(name, settings, what is known) of the throw-away heads: the project's head.

    A head that looks at the classes' texts or at unlabelled items is replaced by the default: a reference has only
    some of the classes, and random items.
    """
    known = {"l2": spec["known"]["l2"], "seed": spec["seed"]}
    if HEADS.get(spec["head"]).needs:
        return DEFAULT, {}, known
    return spec["head"], spec["head_settings"], known
