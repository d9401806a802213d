"""The worker's part of the map: UMAP with progress."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.map.pca import in_unit_square, project
from plumbline_backend.pool.neighbours import nearest_rows
from plumbline_backend.pool.pool import Pool

LEAST_ITEMS = 5
EMBEDDED = 50_000
"""Items that UMAP itself places; the others lie amid their three nearest of these."""
COMPONENTS = 50
"""Features beyond so many are first reduced by PCA: distances hardly change and the neighbour search is quicker."""
AMID = 3

Report = Callable[[float, str], None]


def make_umap(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """Compute the map of a pool and write it beside its features. spec: pool, path, seed.

    Raises InputError for a pool of fewer than five items. The file appears when it is complete.
    """
    features = Pool.open(Path(spec["pool"])).features
    if features.n < LEAST_ITEMS:
        raise InputError(f"the pool has {features.n} items; a UMAP map needs at least {LEAST_ITEMS}")
    rng = np.random.default_rng(spec["seed"])
    report(0.02, "reducing the features")
    reduced = project(features, rng, min(COMPONENTS, features.d))
    chosen = np.arange(features.n)
    if features.n > EMBEDDED:
        chosen = np.sort(rng.choice(features.n, EMBEDDED, replace=False))
    placed = _umap(reduced[chosen], spec["seed"], report)
    points = placed if len(chosen) == features.n else _amid(reduced, chosen, placed, report)
    path = Path(spec["path"])
    half_done = path.with_name(f".{path.name}.{os.getpid()}")
    with half_done.open("wb") as file:
        np.save(file, in_unit_square(points))
    half_done.rename(path)
    return {"n_embedded": len(chosen), "n_items": features.n}


def _umap(x: NDArray[np.float32], seed: int, report: Report) -> NDArray[np.float32]:
    """UMAP from the first two principal components, McInnes, Healy and Melville 2018."""
    report(0.08, f"looking for the neighbours of {len(x):,} items")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)  # nothing here uses it
        from umap import UMAP

    start = x[:, :2] if x.shape[1] > 1 else np.c_[x, np.zeros(len(x), dtype=np.float32)]
    spread = max(float(np.abs(start).max(initial=0.0)), 1e-9)
    jitter = np.random.default_rng(seed).normal(0, 1e-4, start.shape)
    model = UMAP(
        n_neighbors=min(15, len(x) - 1),
        init=(10 * start / spread + jitter).astype(np.float32),
        random_state=seed,
        n_jobs=1,
        verbose=True,
        tqdm_kwds={"file": _Bar(report), "mininterval": 0.2, "ascii": True},
    )
    with redirect_stdout(io.StringIO()):  # it tells each step in words; the bar tells enough
        return np.asarray(model.fit_transform(x), dtype=np.float32)


class _Bar(io.StringIO):
    """Reads UMAP's own progress bar and passes it on."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def write(self, text: str) -> int:
        found = re.search(r"(\d+)%", text)
        if found:
            share = int(found[1]) / 100
            self._report(0.2 + 0.7 * share, f"moving points: {share:.0%}")
        return len(text)


def _amid(
    reduced: NDArray[np.float32],
    chosen: NDArray[np.int64],
    placed: NDArray[np.float32],
    report: Report,
) -> NDArray[np.float32]:
    """Every other item at the mean of its three nearest placed ones, weighted by closeness."""
    points = np.empty((len(reduced), 2), dtype=np.float32)
    points[chosen] = placed
    others = np.setdiff1d(np.arange(len(reduced)), chosen)
    anchors = reduced[chosen]
    block = 4_096
    for start in range(0, len(others), block):
        rows = others[start : start + block]
        near, distance = nearest_rows(anchors, reduced[rows], AMID)
        weight = 1 / np.maximum(distance, 1e-9)
        weight /= weight.sum(axis=1, keepdims=True)
        points[rows] = (placed[near] * weight[:, :, None]).sum(axis=1)
        report(0.9 + 0.09 * start / len(others), f"placed {start + len(rows):,} of {len(others):,} others")
    return points
