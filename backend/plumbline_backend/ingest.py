"""What the worker does with a new file: pool, features and the random reserve, all on disk before any row exists."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.arrays import load_array
from plumbline_backend.domain.splits import draw_reserve
from plumbline_backend.domain.types import Column, Positions
from plumbline_backend.pool.build import build_pool
from plumbline_backend.pool.demos import build_demo
from plumbline_backend.pool.features import FeaturePart, default_spec, fit_features
from plumbline_backend.pool.files import held
from plumbline_backend.pool.pool import Pool

STREAM_FILE = "stream.npy"
POOL_SHARE = 0.7
"""Part of the progress bar that reading the file gets; measured on a million rows of 64 columns."""

Report = Callable[[float, str], None]


def import_pool(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """Build the pool of a file. spec: slug, file, folder, columns, on_problem, stream_share, seed, and

    features: parts in place of what their columns would get (may be absent).
    """
    folder = Path(spec["folder"])
    columns = [Column(**{**c, "examples": tuple(c.get("examples", ()))}) for c in spec["columns"]]
    with being_built(folder):
        summary = build_pool(
            Path(spec["file"]),
            folder,
            columns,
            on_problem=spec["on_problem"],
            progress=lambda done, message: report(POOL_SHARE * done, message),
        )
        n_features = _features_and_reserve(folder, spec, report)
    return {
        "slug": spec["slug"],
        "n_items": summary.n_items,
        "n_skipped": summary.n_skipped,
        "problems": [str(problem) for problem in summary.problems[:100]],
        "n_features": n_features,
    }


def import_demo(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """Build a demo's pool. spec: slug, name, folder, stream_share, seed."""
    folder = Path(spec["folder"])
    with being_built(folder):
        summary = build_demo(spec["name"], folder, progress=report)
        n_features = _draw_reserve(folder, spec)
    return {
        "slug": spec["slug"],
        "n_items": summary.n_items,
        "n_skipped": 0,
        "problems": [],
        "n_features": n_features,
    }


def load_stream_order(folder: Path) -> Positions:
    """The reserve of a pool in the random order in which it is asked."""
    order: Positions = load_array(folder / STREAM_FILE)
    return order


@contextmanager
def being_built(folder: Path) -> Iterator[None]:
    """Holds the place where a pool is built, and removes what is half built when the work inside fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with held(folder.parent):
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _features_and_reserve(folder: Path, spec: Mapping[str, Any], report: Report) -> int:
    pool = Pool.open(folder)
    chosen = tuple(map(FeaturePart.from_dict, spec.get("features", ())))

    def told(done: float, message: str) -> None:
        report(POOL_SHARE + (1 - POOL_SHARE) * done, message)

    fit_features(pool, default_spec(pool, chosen=chosen), told)
    return _draw_reserve(folder, spec)


def _draw_reserve(folder: Path, spec: Mapping[str, Any]) -> int:
    """Write the reserve beside the features; returns how many features there are."""
    pool = Pool.open(folder)
    rng = np.random.default_rng(spec["seed"])
    np.save(folder / STREAM_FILE, draw_reserve(pool.n_items, spec["stream_share"], rng), allow_pickle=False)
    return int(pool.features.d)
