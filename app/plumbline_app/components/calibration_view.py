"""What was measured of one or several judges, drawn; and the choice of an operating point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.components import calibration_words as words
from plumbline_app.components.charts_calibration import risk_coverage
from plumbline_app.components.charts_reliability import reliability_diagram
from plumbline_app.components.controls import button, choice
from plumbline_app.components.figures import html_pane, tiles
from plumbline_app.components.grid import Grid
from plumbline_app.components.layout import card, line, side_by_side, stack
from plumbline_app.components.operating_card import OperatingCard, OperatingPoints
from plumbline_app.components.slice_card import SliceCard, Slices
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.theme import Tokens
from plumbline_backend.trust.serving import SERVING
from plumbline_backend.trust.view import view_bins

TABLE_PX = 520


class Measured(OperatingPoints, Slices, Protocol):
    """What measures parts of the shown items and keeps thresholds."""


class CalibrationView(Viewer):
    """The judges of one run, compared; below, each of them in detail.

    use(name): serve with this calibrator; used: the one in use, "" where nothing is served; measured: parts of the
    shown items, and what was chosen of each judge.
    """

    def __init__(
        self,
        views: Sequence[Mapping[str, Any]],
        t: Tokens,
        use: Callable[[str], None],
        used: str,
        measured: Measured,
    ) -> None:
        super().__init__()
        self._views, self._t, self._use, self._used = list(views), t, use, used
        self._points = measured

    def __panel__(self) -> Viewable:
        return stack(
            *(part for view in self._views for part in self._top(view)),
            self._compared(),
            *(part for view in self._views for part in self._details(view)),
        )

    def _top(self, view: Mapping[str, Any]) -> list[Viewable]:
        n_fit, n = view["n_fit"], view["n_shown"]
        below = (
            f"Calibrators fitted on {view['split']} (n = {n_fit:,}), figures measured on the other n = {n:,}."
        )
        parts = [
            heading(view["name"], below, level=2),
            html_pane(tiles(words.headline(view))),
            sentence(words.verdict(view)),
        ]
        parts += [
            notice("Take these figures with care", words.care(note), tone="warn") for note in view["notes"]
        ]
        if words.of_labels(view):
            parts.append(sentence(words.OF_LABELS))
        items, stated = words.counted(view, "shown items"), words.stated(view)
        diagrams = [
            card(
                f"Reliability, {state}",
                "",
                _chart(reliability_diagram(view_bins(drawn), self._t, items, stated)),
            )
            for state, drawn in view["states"].items()
        ]
        return [*parts, side_by_side(*diagrams)]

    def _compared(self) -> Viewable:
        curves = [
            (f"{view['name']}, {state}" if len(self._views) > 1 else state, drawn["risk"], view["n_shown"])
            for view in self._views
            for state, drawn in view["states"].items()
        ]
        figures = Grid(caption="All figures", rows_height=TABLE_PX)
        figures.show(words.figure_columns(self._views), words.figure_rows(self._views))
        ns = ", ".join(f"{view['name']} n = {view['n_shown']:,}" for view in self._views)
        below = f"{ns}. Value (95 % interval; null: what perfect calibration would show)."
        return stack(
            card("", "", _chart(risk_coverage(curves, self._t))), card("All figures", below, figures)
        )

    def _details(self, view: Mapping[str, Any]) -> list[Viewable]:
        state_name, state = list(view["states"].items())[-1]
        said = f"{view['name']}, {state_name}"
        parts: list[Viewable] = [self._calibrators(view)]
        if state["sets"]:
            sets = Grid(caption="Conformal sets")
            sets.show(words.SET_COLUMNS, words.set_rows(view, state))
            below = (
                f"{said}. Thresholds from n = {view['n_fit']:,} items, measured on n = {view['n_shown']:,}."
            )
            parts.append(card("Sets of classes that hold the right one at a promised rate", below, sets))
        classes = Grid(caption="Figures per class", rows_height=TABLE_PX)
        classes.show(words.class_columns(state), words.class_rows(view, state))
        n_classes, listed = view["n_classes"], len(view["classes"])
        part = f" The first {listed:,} of {n_classes:,} classes are listed." if listed < n_classes else ""
        sets_said = "; sets by APS at 90 %" if state["sets"] else ""
        per_class = card("Classes", f"{said}; n = {view['n_shown']:,}{sets_said}.{part}", classes)
        parts.append(side_by_side(per_class, self._operating(view, state_name, said), narrow_px=480))
        parts.append(self._slices(view, state, said))
        parts.append(SliceCard(view, state_name, said, self._t, self._points).__panel__())
        return parts

    def _calibrators(self, view: Mapping[str, Any]) -> Viewable:
        table = Grid(caption="Calibrators", rows_height=TABLE_PX)
        table.show(words.CALIBRATOR_COLUMNS, words.calibrator_rows(view))
        below = f"{view['name']}: use {view['chosen']}. {view['reason']}."
        actions = []
        if view["key"] == "head" and self._used:
            usable = [name for name in SERVING if name in view["calibrators"]]
            picked = choice(
                "Serve with", usable, self._used if self._used in usable else usable[0], width=220
            )
            actions = [
                line(
                    picked,
                    button("Use it from now on", lambda: self._use(picked.value)),
                    **{"padding-top": "8px"},
                ),
                sentence(
                    f"In use: {self._used.replace('_', ' ')}. Predictions and the exported classifier go through it."
                ),
            ]
        return card("Calibrators", below, table, *actions)

    def _operating(self, view: Mapping[str, Any], state_name: str, said: str) -> Viewable:
        return OperatingCard(view, state_name, said, self._t, self._points).__panel__()

    def _slices(self, view: Mapping[str, Any], state: Mapping[str, Any], said: str) -> Viewable:
        rows = words.slice_rows(state)
        table = Grid(caption="Slices", rows_height=TABLE_PX)
        table.empty = "No category or metadata column with at least 30 items on either side."
        table.show(words.SLICE_COLUMNS, rows)
        n_found = sum(each["found"] for each in state["slices"])
        below = (
            f"{said}, n = {view['n_shown']:,}: parts by one column and by two, tested against the rest; {n_found} "
            f"of the {len(rows)} listed are worse or better than chance allows."
        )
        return card("Worst slices", below, table)


def _chart(figure: Any) -> Viewable:
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", margin=0)
