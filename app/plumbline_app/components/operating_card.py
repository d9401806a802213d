"""The operating point of a judge: one class against the rest, two costs, a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.trust.measured import OperatingChoice


class OperatingPoints(Protocol):
    """Where chosen thresholds are kept."""

    def operating_point(self, key: str) -> OperatingChoice | None:
        """What was chosen for this judge."""

    def choose_operating_point(self, key: str, chosen: OperatingChoice) -> None:
        """Keep it. Raises PlumblineError."""


class OperatingCard(Viewer):
    """A class, two costs and a threshold: what deciding by them would have cost on the shown items; and keeping it."""

    def __init__(
        self,
        key: str,
        names: Sequence[str],
        counts: Sequence[Mapping[str, Sequence[int]]],
        said: str,
        t: Tokens,
        points: OperatingPoints,
    ) -> None:
        super().__init__()
        self._key, self._counts, self._t, self._said, self._points = key, counts, t, said, points
        kept = points.operating_point(key)
        at = list(names).index(kept.label_class) if kept and kept.label_class in names else len(names) - 1
        self._class = choice("Class", {name: i for i, name in enumerate(names)}, at, width=200)
        self._fp = text_field("Cost of a false alarm", f"{kept.cost_fp:g}" if kept else "1", width=150)
        self._fn = text_field("Cost of a miss", f"{kept.cost_fn:g}" if kept else "1", width=150)
        self._at = text_field(
            "Threshold", f"{kept.threshold:g}" if kept else "", placeholder="the cheapest if true", width=150
        )
        self._kept = sentence(_kept_words(kept))
        self._chart = place()
        self._said_of_it = sentence("")
        for field in (self._class, self._fp, self._fn, self._at):
            field.param.watch(lambda _: self._draw(), "value")
        self._names = list(names)

    def __panel__(self) -> Viewable:
        self._draw()
        below = f"{self._said}. One class against the rest."
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
        except InputError as error:
            self._said_of_it.object = sentence(str(error)).object
            return
        at, cost_fp, cost_fn = chosen.threshold, chosen.cost_fp, chosen.cost_fn
        bayes = bayes_threshold(cost_fp, cost_fn)
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


def _kept_words(kept: OperatingChoice | None) -> str:
    if kept is None:
        return "No threshold is kept yet."
    costs = f"false alarm {kept.cost_fp:g}, miss {kept.cost_fn:g}"
    return f"Kept: {kept.label_class} from {kept.threshold:.3g} on ({costs})."


def _chart(figure: Any) -> Viewable:
    return pn.pane.Bokeh(figure, sizing_mode="stretch_width", margin=0)
