"""A chosen part of the shown items: one metadata column, one of its values, and every figure of those items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.components import calibration_words as words
from plumbline_app.components.charts_reliability import reliability_diagram
from plumbline_app.components.controls import choice
from plumbline_app.components.grid import Grid
from plumbline_app.components.layout import card, fill, line, place, side_by_side
from plumbline_app.components.words import notice, sentence
from plumbline_app.theme import Tokens
from plumbline_backend.domain.calibration_summary import Summary
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.trust.document import figures_json

TABLE_PX = 520
ALL = "all shown items"
NONE = "No category or metadata column has values to choose from."


class Slices(Protocol):
    """What measures a part of the shown items."""

    def slice_summary(self, view: Mapping[str, Any], state: str, column: str, words: str) -> Summary:
        """All figures of it. Raises PlumblineError."""


class SliceCard(Viewer):
    """Nothing is measured before a column is chosen: every figure takes a moment."""

    def __init__(self, view: Mapping[str, Any], state: str, said: str, t: Tokens, slices: Slices) -> None:
        super().__init__()
        self._view, self._state, self._said, self._t, self._slices = view, state, said, t, slices
        self._parts: dict[str, dict[str, int]] = view.get("parts", {})
        self._column = choice("Items by", {ALL: "", **{name: name for name in self._parts}}, "", width=240)
        self._value = choice("Items where it", {}, None, width=300, disabled=True)
        self._body = place()
        self._column.param.watch(lambda _: self._chosen_column(), "value")
        self._value.param.watch(lambda _: self._draw(), "value")

    def __panel__(self) -> Viewable:
        below = f"{self._said}. Figures of the items that one column and value hold, beside those of {ALL}."
        if not self._parts:
            return card("A slice of your choice", below, sentence(NONE))
        fields = line(self._column, self._value, **{"padding-top": "8px"})
        return card("A slice of your choice", below, fields, self._body)

    def _chosen_column(self) -> None:
        parts = self._parts.get(self._column.value, {})
        options = {f"{name} (n = {n:,})": name for name, n in parts.items()}
        self._value.param.update(
            options=options, value=next(iter(options.values()), None), disabled=not options
        )
        if not options:
            fill(self._body)

    def _draw(self) -> None:
        column, value = self._column.value, self._value.value
        if not column or value is None:
            return
        try:
            found = self._slices.slice_summary(self._view, self._state, column, value)
        except PlumblineError as error:
            fill(self._body, notice("Not measured", str(error), tone="bad"))
            return
        table = Grid(caption="Figures of the chosen slice", rows_height=TABLE_PX)
        everything = words.figures_of(self._view, self._state)
        table.show(words.SLICE_FIGURE_COLUMNS, words.slice_figure_rows(figures_json(found), everything))
        name = f"{column} {value}"
        notes = [
            notice("Take these figures with care", words.care(note), tone="warn") for note in found.notes
        ]
        items = words.counted(self._view, f"items where {name}")
        diagram = pn.pane.Bokeh(
            reliability_diagram(found.reliability, self._t, items, words.stated(self._view)),
            sizing_mode="stretch_width",
            margin=0,
        )
        said = f"{name}: n = {found.n:,} of {self._view['n_shown']:,}. {words.verdict_of(figures_json(found)['ece'])}"
        fill(self._body)
        fill(self._body, sentence(said), *notes, side_by_side(table, diagram, narrow_px=560))
