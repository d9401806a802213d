"""The map as a picture, for pools of more points than a browser should hold."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plumbline_backend.domain.errors import InputError
from plumbline_backend.map.colours import Colours

MOST_PIXELS = 4_000


class View(NamedTuple):
    """The part of the map that is looked at, in map coordinates, and the picture's size in pixels."""

    x0: float
    x1: float
    y0: float
    y1: float
    width: int
    height: int


def picture(points: NDArray[np.float32], colours: Colours, view: View) -> bytes:
    """A PNG with a transparent ground: each pixel in the mean colour of its items, denser where there are more.

    Known items outweigh the unknown ones, so that ten labels show among a thousand without. y grows upwards.
    Raises InputError for an empty or endless view, or a size outside 1 to 4,000 pixels.
    """
    _check(view)
    import datashader as ds
    import pandas as pd

    canvas = ds.Canvas(
        plot_width=view.width,
        plot_height=view.height,
        x_range=(view.x0, view.x1),
        y_range=(view.y0, view.y1),
    )
    index = pd.Categorical.from_codes(
        colours.index.astype(np.int16), categories=pd.Index([str(i) for i in range(len(colours.legend))])
    )
    frame = pd.DataFrame({"x": points[:, 0], "y": points[:, 1], "index": index}, copy=False)
    counts = canvas.points(frame, "x", "y", ds.count_cat("index")).values.astype(np.float64)
    return _png(_shade(counts, [entry.color for entry in colours.legend])[::-1])


KNOWN_WEIGHT = 20.0
"""How many unknown items one known item outweighs in a pixel's colour."""


def _shade(counts: NDArray[np.float64], palette: list[str]) -> NDArray[np.uint8]:
    """(h, w, legend) counts to (h, w, 4) colours; opacity grows with the logarithm of the count."""
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in palette], dtype=np.float64)
    weight = counts.copy()
    weight[:, :, 1:] *= KNOWN_WEIGHT
    total = weight.sum(axis=2, keepdims=True)
    mixed = weight @ rgb / np.maximum(total, 1)
    n = counts.sum(axis=2)
    most = max(n.max(initial=0), 1)
    alpha = np.where(n > 0, 70 + 185 * np.log1p(n) / np.log1p(most), 0)
    return np.dstack([mixed, alpha]).round().astype(np.uint8)


def _png(rgba: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgba), "RGBA").save(out, "PNG", compress_level=1)
    return out.getvalue()


def _check(view: View) -> None:
    ends = np.array(view[:4], dtype=np.float64)
    if not np.isfinite(ends).all() or view.x0 >= view.x1 or view.y0 >= view.y1:
        raise InputError(f"view: found {view[:4]}; expected x0 < x1 and y0 < y1, all finite")
    if not (1 <= view.width <= MOST_PIXELS and 1 <= view.height <= MOST_PIXELS):
        raise InputError(f"view: found {view.width} x {view.height} pixels; expected 1 to {MOST_PIXELS} each")
