"""The operating point of a judge: one class against the rest, two costs, a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.components.charts_calibration import cost_curve
from plumbline_app.components.controls import button, choice, text_field
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.words import sentence
from plumbline_app.theme import Tokens
from plumbline_backend.domain.calibration_scores import bayes_threshold
from plumbline_backend.domain.errors import InputError, PlumblineError
from plumbline_backend.trust.measured import OperatingChoice
from plumbline_backend.trust.thresholds import Decided


class OperatingPoints(Protocol):
    """Where chosen thresholds are kept."""

    def operating_point(self, key: str) -> OperatingChoice | None:
        """What was chosen for this judge."""

    def choose_operating_point(self, key: str, chosen: OperatingChoice) -> None:
        """Keep it. Raises PlumblineError."""

    def decided(self, view: Mapping[str, Any], state: str, chosen: OperatingChoice) -> Decided:
        """What it would have cost on the shown items. Raises PlumblineError."""


class OperatingCard(Viewer):
    """A class, two costs and a threshold: what deciding by them would have cost on the shown items; and keeping it."""

    def __init__(
        self,
        view: Mapping[str, Any],
        state: str,
        said: str,
        t: Tokens,
        points: OperatingPoints,
    ) -> None:
        super().__init__()
        self._view, self._state, self._t, self._said, self._points = view, state, t, said, points
        self._key, names = str(view["key"]), list(view["classes"])
        kept = points.operating_point(self._key)
        at = names.index(kept.label_class) if kept and kept.label_class in names else len(names) - 1
        self._class = choice("Class", {name: i for i, name in enumerate(names)}, at, width=200)
        self._fp = text_field("Cost of a false alarm", f"{kept.cost_fp:g}" if kept else "1", width=150)
        self._fn = text_field("Cost of a miss", f"{kept.cost_fn:g}" if kept else "1", width=150)
        self._at = text_field(
            "Threshold", repr(kept.threshold) if kept else "", placeholder="the cheapest if true", width=150
        )
        self._kept = sentence(_kept_words(kept))
        self._chart = place()
        self._said_of_it = sentence("")
        for field in (self._class, self._fp, self._fn, self._at):
            field.param.watch(lambda _: self._draw(), "value")
        self._names = names

    def __panel__(self) -> Viewable:
        self._draw()
        below = (
            f"{self._said}. One class against the rest. A kept threshold is a note for whoever decides by these "
            "probabilities: predictions and exports go on giving the likeliest class."
        )
        fields = line(self._class, self._fp, self._fn, self._at, **{"padding-top": "8px"})
        keep = line(button("Keep this threshold", self._keep), self._kept)
        return card("Threshold and cost", below, fields, self._said_of_it, keep, self._chart)

    def _chosen(self) -> OperatingChoice:
        """What the fields say. Raises InputError."""
        cost_fp, cost_fn = (
            _number("cost of a false alarm", self._fp.value),
            _number("cost of a miss", self._fn.value),
        )
        bayes = bayes_threshold(cost_fp, cost_fn)
        at = bayes if not str(self._at.value).strip() else _number("threshold", self._at.value)
        if not 0 <= at <= 1:
            raise InputError(f"threshold: found {at}; expected a number from 0 to 1")
        return OperatingChoice(self._names[self._class.value], at, cost_fp, cost_fn)

    def _keep(self) -> None:
        try:
            chosen = self._chosen()
            self._points.choose_operating_point(self._key, chosen)
        except PlumblineError as error:
            self._kept.object = sentence(str(error)).object
            return
        self._kept.object = sentence(_kept_words(chosen)).object

    def _draw(self) -> None:
        try:
            chosen = self._chosen()
            point, curve = self._points.decided(self._view, self._state, chosen)
        except PlumblineError as error:
            self._said_of_it.object = sentence(str(error)).object
            return
        cost = point.cost
        self._said_of_it.object = sentence(
            f"From {chosen.threshold:.6g} on: {_share('found', point.recall)}; "
            f"{_share('right when said', point.precision)}; cost {cost.value:.4f} per item ({cost.low:.4f} to "
            f"{cost.high:.4f}, n = {cost.n:,}). If the probabilities are true, {curve.bayes:.3f} is the cheapest; on "
            f"these items {curve.cheapest:.3f} was."
        ).object
        fill(self._chart)
        fill(self._chart, _chart(cost_curve(chosen.label_class, curve, chosen.threshold, self._t)))


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


def _kept_words(kept: OperatingChoice | None) -> str:
    if kept is None:
        return "No threshold is kept yet."
    costs = f"false alarm {kept.cost_fp:g}, miss {kept.cost_fn:g}"
    return f"Kept: {kept.label_class} from {kept.threshold:.6g} on ({costs})."


def _chart(figure: Any) -> Viewable:
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", margin=0)
