"""Which points lie inside a line that was drawn around them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Positions

CELLS = 1024
MOST_CORNERS = 5_000


def inside(points: NDArray[np.float32], corners: NDArray[Any]) -> Positions:
    """Positions of (n, 2) points inside the polygon with (m, 2) corners, by the even-odd rule, in ascending order.

    The polygon closes itself. Exact: a raster of it decides for whole cells, and points in cells that an edge touches
    are counted against the edges. Raises InputError for fewer than three corners, more than 5,000, or NaN.
    """
    corners = np.asarray(corners, dtype=np.float64)
    if corners.ndim != 2 or corners.shape[1:] != (2,) or not 3 <= len(corners) <= MOST_CORNERS:
        raise InputError(
            f"selection: found an outline of shape {corners.shape}; expected 3 to {MOST_CORNERS:,} corners (x, y)"
        )
    if not np.isfinite(corners).all():
        raise InputError("selection: the outline holds NaN or infinite values; expected numbers")
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = np.maximum(high - low, 1e-12)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    whole, edge = _raster((corners - low) / size * (CELLS - 1))
    cell = ((points[near] - low) / size * (CELLS - 1)).round().astype(np.int64)
    state = whole[cell[:, 1], cell[:, 0]]
    doubtful = edge[cell[:, 1], cell[:, 0]]
    state[doubtful] = _even_odd(points[near[doubtful]], corners)
    return near[state].astype(np.int64)


def _raster(corners: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """((CELLS, CELLS) inside, touched by an edge or next to one)."""
    outline = [(float(x), float(y)) for x, y in corners]
    filled, edges = (Image.new("1", (CELLS, CELLS)) for _ in range(2))
    ImageDraw.Draw(filled).polygon(outline, fill=1)
    ImageDraw.Draw(edges).line([*outline, outline[0]], fill=1, width=5)
    touched = np.array(edges)
    for x, y in corners.round().astype(int):  # joints of thick lines can leave gaps
        touched[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = True
    return np.array(filled), touched


def _even_odd(points: NDArray[Any], corners: NDArray[Any]) -> NDArray[np.bool_]:
    crossings = np.zeros(len(points), dtype=bool)
    x, y = points.astype(np.float64).T
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        spans = (y1 > y) != (y2 > y)
        crossings ^= spans & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return crossings
