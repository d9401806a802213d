"""The items nearest to some: exact up to a million, by a faiss index above where one was built."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Positions
from plumbline_backend.pool.matrix import FeatureMatrix

EXACT_UP_TO = 1_000_000
"""Items among which the search is exact: one pass over 1M x 64 takes 0.12 CPU seconds."""
BLOCK = 65_536
INDEX_FILE = "neighbours.faiss"
TRAINED_ON = 200_000
PROBED = 32
"""Cells of the index that a search looks into, of about sqrt(n)."""


class Found(NamedTuple):
    """Items by distance, the nearest first; `exact` says whether none nearer can have been missed."""

    items: Positions
    distance: NDArray[np.float64]
    exact: bool


def more_like(features: FeatureMatrix, position: int, k: int, left_out: Positions | None = None) -> Found:
    """The k items nearest to the item at `position` in Euclidean distance, without it and without `left_out`.

    Fewer where there are fewer. Raises InputError for a position outside the pool or a negative k.
    """
    if not 0 <= position < features.n:
        raise InputError(f"item: found {position}; expected 0 to {features.n - 1}")
    if k < 0:
        raise InputError(f"k: found {k}; expected zero or more items")
    query = features.gather([position])
    skipped = np.unique(np.r_[position, [] if left_out is None else left_out]).astype(np.int64)
    index = features.folder / INDEX_FILE
    indexed = features.n > EXACT_UP_TO and index.exists()
    wanted = min(k + len(skipped), features.n)
    if indexed:
        items, squared = _search(index, query, wanted)
    else:
        near, distance = nearest_rows(features, query, wanted)
        items, squared = near[0], distance[0] ** 2
    kept = ~np.isin(items, skipped)
    return Found(items[kept][:k], np.sqrt(squared[kept][:k]), not indexed)


def nearest_rows(
    features: FeatureMatrix | NDArray[np.float32], queries: NDArray[np.floating], k: int
) -> tuple[Positions, NDArray[np.float64]]:
    """((m, k) positions, (m, k) distances) of the rows nearest to each of (m, d) queries, the nearest first.

    Exact, in one pass over the features; distances are computed in float32 and equal ones ordered by position. Which
    of several equally distant rows make the last places is not defined. k is cut to the number of rows.
    """
    k = min(k, len(features))
    q = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32))
    length = (q**2).sum(dim=1, keepdim=True)
    best = torch.empty(len(q), 0)
    at = torch.empty(len(q), 0, dtype=torch.int64)
    for start, chunk in _chunks(features):
        x = torch.from_numpy(np.ascontiguousarray(chunk, dtype=np.float32))
        gap = (length - 2 * q @ x.T + (x**2).sum(dim=1)).clamp_(min=0)
        value, place = gap.topk(min(k, len(x)), dim=1, largest=False)
        best, at = torch.cat([best, value], dim=1), torch.cat([at, place + start], dim=1)
        if best.shape[1] > k:
            best, order = best.topk(k, dim=1, largest=False)
            at = at.gather(1, order)
    found, squared = at.numpy(), best.numpy()
    by_distance = np.lexsort((found, squared), axis=1)
    items = np.take_along_axis(found, by_distance, axis=1)
    distance = np.sqrt(np.take_along_axis(squared, by_distance, axis=1).astype(np.float64))
    return items.astype(np.int64), distance


def _chunks(features: FeatureMatrix | NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    if isinstance(features, FeatureMatrix):
        yield from features.chunks(BLOCK)
        return
    for start in range(0, len(features), BLOCK):
        yield start, features[start : start + BLOCK]


def can_index() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None


def build_index(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's part: write an IVF index beside the features. spec: features (a folder), seed.

    Raises InputError where faiss is not installed.
    """
    if not can_index():
        raise InputError("faiss is not installed; install it with: pip install 'plumbline[large]'")
    import faiss

    features = FeatureMatrix(Path(spec["features"]))
    cells = max(1, int(np.sqrt(features.n)))
    rng = np.random.default_rng(spec["seed"])
    report(0.05, f"learning {cells:,} cells")
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(features.d), features.d, cells)
    sample = rng.choice(features.n, min(TRAINED_ON, features.n), replace=False)
    index.train(features.gather(np.sort(sample)))
    for start, chunk in features.chunks(BLOCK):
        index.add(np.ascontiguousarray(chunk))
        report(0.3 + 0.65 * (start + len(chunk)) / features.n, f"added {start + len(chunk):,} items")
    half_done = features.folder / f".{INDEX_FILE}.{os.getpid()}"
    faiss.write_index(index, str(half_done))
    half_done.rename(features.folder / INDEX_FILE)
    return {"n_items": features.n, "cells": cells}


def _search(path: Path, query: NDArray[np.float32], k: int) -> tuple[Positions, NDArray[np.float64]]:
    import faiss

    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    faiss.ParameterSpace().set_index_parameter(index, "nprobe", PROBED)
    squared, items = index.search(query, k)
    known = items[0] >= 0
    return items[0][known].astype(np.int64), np.maximum(squared[0][known], 0).astype(np.float64)
