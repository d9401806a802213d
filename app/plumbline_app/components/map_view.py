"""The map in the browser: points through WebGL up to 100,000, a picture from the server above."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from plumbline_app.components.label_card import OwnLook

WEBGL_POINTS = 100_000
"""Above this the server draws: benchmarks/map.py measures both ways at 10,000, 100,000 and 1,000,000 points."""
OnSelect = Callable[[list[list[float]]], None]
OnClick = Callable[[float, float, float], None]
"""(x, y, reach), all in map coordinates."""


class MapView(JSComponent):
    """Points that are sent once and coloured by a byte each; pan, zoom, lasso, box and click.

    A selection hands its outline to `on_select`, a click its place to `on_click`.
    """

    slug = param.String(doc="The project's name in URLs.")
    layout = param.String(default="pca")
    layout_version = param.Integer(default=0, doc="Rises when the layout's coordinates have changed.")
    by = param.String(default="label")
    colour_version = param.Integer(default=0, doc="Rises when colours have changed.")
    legend = param.List(default=[], doc="[words, colour, count] by index; the first is what is not known.")
    n_items = param.Integer(default=0)
    raster = param.Boolean(default=False, doc="Whether the server draws.")
    outline = param.List(default=[], doc="The selection's outline in map coordinates; empty for none.")
    marks = param.List(default=[], doc="[x, y] of items that are pointed out, such as neighbours.")

    _esm = Path(__file__).parent / "map_view.js"

    def __init__(self, on_select: OnSelect, on_click: OnClick, **params: Any) -> None:
        super().__init__(**{"margin": 0, "sizing_mode": "stretch_width", "design": OwnLook, **params})
        self._on_select, self._on_click = on_select, on_click

    def _handle_msg(self, data: Any) -> None:
        if not isinstance(data, dict):
            return
        if "select" in data:
            self._on_select(data["select"])
        elif "click" in data:
            x, y, reach = (float(value) for value in data["click"])
            self._on_click(x, y, reach)
