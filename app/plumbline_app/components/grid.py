"""A table whose cells are text, never markup. Cells are lists, so that no column name can mean anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import param
from panel.custom import JSComponent

from plumbline_app.components.charts import percent, percent_interval
from plumbline_backend.domain.types import Interval, LabelClass

CellKind = Literal["text", "long", "name", "number", "image", "chip", "interval", "link"]


class GridColumn(TypedDict):
    """A heading, how its cells are drawn, and a sentence for those who point at it."""

    label: str
    kind: CellKind
    hint: str


def grid_column(label: str, kind: CellKind = "text", hint: str = "") -> GridColumn:
    """A column of a `Grid`. "text" wraps to two lines; "long" too, and stays wide enough to be read."""
    return {"label": label, "kind": kind, "hint": hint}


def chip(label_class: LabelClass) -> dict[str, str]:
    """A cell of kind "chip": a class with its colour."""
    return {"text": label_class.name, "color": label_class.color}


def interval_cell(interval: Interval) -> dict[str, Any] | None:
    """A cell of kind "interval" for a share in [0, 1]; None when it is unknown."""
    if math.isnan(interval.value):
        return None
    low, high = round(100 * interval.low), round(100 * interval.high)
    hint = f"{percent(interval.value)}, 95 % interval {percent_interval(interval)}, n = {interval.n:,}"
    return {
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "text": percent(interval.value, 0),
        "note": f"{low}–{high}",
        "hint": hint,
    }


COMING = "It is being computed."
"""In place of rows that are not known yet: what is empty is said once it is known."""


class Grid(JSComponent):
    """Rows of cells under headings. A cell is a string, a mapping as the column's kind asks, or None for unknown."""

    columns = param.List(default=[], doc="GridColumn mappings, in order.")
    rows = param.List(default=[], doc="One list of cells per row.")
    caption = param.String(default="", doc="What the table holds, for those who hear it read.")
    empty = param.String(default="Nothing here yet.", doc="Shown in place of rows when there are none.")
    opens = param.Boolean(default=False, doc="Whether a row can be opened by click or Enter.")
    selected = param.Integer(default=-1, doc="Index of the row that is shown as open; -1 for none.")
    rows_height = param.Integer(default=0, doc="Height in px above which the rows scroll; 0: no limit.")

    _esm = Path(__file__).parent / "grid.js"

    def __init__(self, on_open: Callable[[int], None] | None = None, **params: Any) -> None:
        super().__init__(
            **{"margin": 0, "sizing_mode": "stretch_width", "opens": on_open is not None, **params}
        )
        self._on_open = on_open

    def show(self, columns: Sequence[GridColumn], rows: Sequence[Sequence[Any]]) -> None:
        """Replace everything at once."""
        self.param.update(columns=list(columns), rows=[list(row) for row in rows], selected=-1)

    def _handle_msg(self, data: Any) -> None:
        index = data.get("open") if isinstance(data, dict) else None
        if self._on_open is not None and isinstance(index, int) and 0 <= index < len(self.rows):
            self.selected = index
            self._on_open(index)
