"""What was measured of one or several judges, drawn; and the choice of an operating point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.components import calibration_words as words
from plumbline_app.components.charts_calibration import cost_curve, risk_coverage
from plumbline_app.components.charts_reliability import reliability_diagram
from plumbline_app.components.controls import button, choice, text_field
from plumbline_app.components.figures import html_pane, tiles
from plumbline_app.components.grid import Grid
from plumbline_app.components.layout import card, fill, line, place, side_by_side, stack
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.theme import Tokens
from plumbline_backend.domain.calibration_scores import bayes_threshold
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.trust.view import view_bins

AS_GIVEN = "as given"
TABLE_PX = 520


class CalibrationView(Viewer):
    """The judges of one run, compared; below, one of them in detail. use(key, name): serve with this calibrator."""

    def __init__(
        self, views: Sequence[Mapping[str, Any]], t: Tokens, use: Callable[[str], None], used: str
    ) -> None:
        super().__init__()
        self._views, self._t, self._use, self._used = list(views), t, use, used

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
            html_pane(tiles(words.headline(view, n))),
            sentence(words.verdict(view)),
        ]
        parts += [
            notice("Take these figures with care", f"{note[0].upper()}{note[1:]}.", tone="warn")
            for note in view["notes"]
        ]
        diagrams = [
            card(
                f"Reliability, {state}",
                "",
                _chart(reliability_diagram(view_bins(drawn), self._t, "shown items")),
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
        classes.show(words.CLASS_COLUMNS, words.class_rows(view, state))
        per_class = card("Classes", f"{said}; n = {view['n_shown']:,}; sets by APS at 90 %.", classes)
        parts.append(side_by_side(per_class, self._operating(view, state, said), narrow_px=480))
        parts.append(self._slices(view, state, said))
        return parts

    def _calibrators(self, view: Mapping[str, Any]) -> Viewable:
        table = Grid(caption="Calibrators", rows_height=TABLE_PX)
        table.show(words.CALIBRATOR_COLUMNS, words.calibrator_rows(view))
        below = f"{view['name']}: use {view['chosen']}. {view['reason']}."
        actions = []
        if view["key"] == "head":
            usable = [name for name in ("temperature", "vector", "matrix") if name in view["calibrators"]]
            picked = choice(
                "Serve with", usable, self._used if self._used in usable else usable[0], width=220
            )
            actions = [
                line(picked, button("Use it from now on", lambda: self._use(picked.value))),
                sentence(
                    f"In use: {self._used}. Predictions and the exported classifier go through it. The others cannot "
                    "travel in the exported graph."
                ),
            ]
        return card("Calibrators", below, table, *actions)

    def _operating(self, view: Mapping[str, Any], state: Mapping[str, Any], said: str) -> Viewable:
        names = view["classes"][: len(state["thresholds"])]
        return OperatingPoint(names, state["thresholds"], said, self._t).__panel__()

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


class OperatingPoint(Viewer):
    """A class, two costs and a threshold: what deciding by them would have cost on the shown items."""

    def __init__(
        self, names: Sequence[str], counts: Sequence[Mapping[str, Sequence[int]]], said: str, t: Tokens
    ) -> None:
        super().__init__()
        self._counts, self._t, self._said = counts, t, said
        self._class = choice("Class", {name: i for i, name in enumerate(names)}, len(names) - 1, width=200)
        self._fp = text_field("Cost of a false alarm", "1", width=150)
        self._fn = text_field("Cost of a miss", "1", width=150)
        self._at = text_field("Threshold", "", placeholder="the cheapest if true", width=150)
        self._chart = place()
        self._said_of_it = sentence("")
        for field in (self._class, self._fp, self._fn, self._at):
            field.param.watch(lambda _: self._draw(), "value")
        self._names = list(names)

    def __panel__(self) -> Viewable:
        self._draw()
        below = f"{self._said}. One class against the rest."
        fields = line(self._class, self._fp, self._fn, self._at)
        return card("Threshold and cost", below, fields, self._said_of_it, self._chart)

    def _draw(self) -> None:
        try:
            cost_fp, cost_fn = (
                _number("cost of a false alarm", self._fp.value),
                _number("cost of a miss", self._fn.value),
            )
            bayes = bayes_threshold(cost_fp, cost_fn)
            at = bayes if not str(self._at.value).strip() else _number("threshold", self._at.value)
            if not 0 <= at <= 1:
                raise InputError(f"threshold: found {at}; expected a number from 0 to 1")
        except InputError as error:
            self._said_of_it.object = sentence(str(error)).object
            return
        counts = self._counts[self._class.value]
        place_of = min(round(at * (len(counts["hits"]) - 1)), len(counts["hits"]) - 1)
        hits, alarms = counts["hits"][place_of], counts["alarms"][place_of]
        n_yes, n = counts["hits"][0], counts["hits"][0] + counts["alarms"][0]
        recall, precision = wilson(hits, n_yes), wilson(hits, hits + alarms)
        cost = (cost_fp * alarms + cost_fn * (n_yes - hits)) / max(n, 1)
        self._said_of_it.object = sentence(
            f"From {at:.2f} on: {_share('found', recall)}; {_share('right when said', precision)}; cost {cost:.4f} per "
            f"item. If the probabilities are true, {bayes:.3f} is the cheapest."
        ).object
        name = self._names[self._class.value]
        fill(self._chart)
        fill(self._chart, _chart(cost_curve(name, counts, cost_fp, cost_fn, at, self._t)))


def _share(what: str, interval: Any) -> str:
    if interval.n == 0:
        return f"{what} unknown (n = 0)"
    low, high = 100 * interval.low, 100 * interval.high
    return f"{what} {100 * interval.value:.1f} % ({low:.1f} to {high:.1f} %, n = {interval.n:,})"


def _number(what: str, text: str) -> float:
    try:
        return float(str(text).replace(",", "."))
    except ValueError as error:
        raise InputError(f"{what}: found {text!r}; expected a number such as 1 or 0.5") from error


def _chart(figure: Any) -> Viewable:
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", margin=0)
