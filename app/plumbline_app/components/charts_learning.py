"""The learning curve: accuracy against labels, beside what random sampling would have given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from bokeh.models import ColumnDataSource, GlyphRenderer, Range1d
from bokeh.plotting import figure

from plumbline_app.components.charts import (
    count_axis,
    frame,
    hover,
    legend_below,
    percent,
    percent_axis,
    percent_interval,
)
from plumbline_app.theme import Tokens
from plumbline_backend.domain.types import Interval


class CurvePoint(Protocol):
    """A model version: labels it was trained on and its accuracy."""

    @property
    def version(self) -> int: ...
    @property
    def n_train(self) -> int: ...
    @property
    def accuracy(self) -> Interval: ...


class ReferencePoint(Protocol):
    """Throw-away heads trained on `n_train` random items."""

    @property
    def n_train(self) -> int: ...
    @property
    def accuracy(self) -> Interval: ...


CURVE_HEIGHT_PX = 470
"""Ends where the reliability diagram beside it does, with its histogram."""
POINTS, REFERENCE = "points", "reference"
HOVER = [
    ("", "@what"),
    ("training labels", "@n_train{0,0}"),
    ("accuracy", "@shown"),
    ("95 % interval", "@interval"),
    ("measured on", "@n items"),
]


def learning_curve(
    points: Sequence[CurvePoint], reference: Sequence[ReferencePoint], n_stream: int, t: Tokens
) -> figure:
    """Accuracy with 95 % interval of each version, all measured on the same `n_stream` items.

    points: in any order, at least one; reference: may be empty. Of versions that share
    n_train the newest is drawn.
    """
    plot = frame(
        "Learning curve",
        f"accuracy on n = {n_stream:,} random-stream items; bands are 95 % intervals",
        "training labels",
        "accuracy",
        t,
        height=CURVE_HEIGHT_PX,
    )
    latest = {p.n_train: p for p in sorted(points, key=lambda p: p.version)}
    rows = [(f"version {p.version}", p.n_train, p.accuracy) for _, p in sorted(latest.items())]
    random = _series(plot, REFERENCE, t.accent, "random sampling", dashed=True)
    own = _series(plot, POINTS, t.primary, "this project", dashed=False)
    hover(plot, [random, own], HOVER)
    plot.select_one({"name": POINTS}).data = _columns(rows)
    plot.y_range, plot.x_range = Range1d(0, 1), Range1d(0, 10)
    show_reference(plot, reference)
    percent_axis(plot, "y")
    count_axis(plot, "x")
    legend_below(plot)
    return plot


def show_reference(plot: figure, reference: Sequence[ReferencePoint]) -> None:
    """Put the random-sampling reference into a learning curve that is already drawn, and make room for it."""
    ordered = sorted(reference, key=lambda p: p.n_train)
    plot.select_one({"name": REFERENCE}).data = _columns(
        [("random sampling", p.n_train, p.accuracy) for p in ordered]
    )
    drawn = [plot.select_one({"name": name}).data for name in (POINTS, REFERENCE)]
    known = [data["low"][i] for data in drawn for i, n in enumerate(data["n"]) if n != "0"]
    low = min(known, default=0.0)
    floor = max(0.0, np.floor((low - 0.02) * 10) / 10)
    widest = max([n for data in drawn for n in data["n_train"]], default=0)
    plot.y_range.update(start=floor, end=1.0 + 0.01 * (1 - floor))
    plot.x_range.update(start=0, end=max(widest * 1.04, 10))


def _series(plot: figure, name: str, color: str, legend: str, dashed: bool) -> GlyphRenderer:
    source = ColumnDataSource(_columns([]), name=name)
    plot.varea("n_train", "low", "high", source=source, fill_color=color, fill_alpha=0.14)
    plot.segment("n_train", "bar_low", "n_train", "bar_high", source=source, line_color=color, line_width=2)
    dash = "dashed" if dashed else "solid"
    line = {"line_color": color, "line_width": 2.5, "line_dash": dash, "legend_label": legend}
    plot.line("n_train", "value", source=source, **line)
    look = {"marker": "diamond", "size": 8} if dashed else {"marker": "circle", "size": 7}
    return plot.scatter("n_train", "value", source=source, color=color, legend_label=legend, **look)


def _columns(rows: Sequence[tuple[str, int, Interval]]) -> dict[str, list[Any]]:
    lone = len(rows) == 1  # a band needs two points; one gets a bar
    return {
        "bar_low": [i.low if lone else np.nan for _, _, i in rows],
        "bar_high": [i.high if lone else np.nan for _, _, i in rows],
        "what": [what for what, _, _ in rows],
        "n_train": [n for _, n, _ in rows],
        "value": [i.value for _, _, i in rows],
        "low": [i.low for _, _, i in rows],
        "high": [i.high for _, _, i in rows],
        "n": [f"{i.n:,}" for _, _, i in rows],
        "shown": [percent(i.value) for _, _, i in rows],
        "interval": [percent_interval(i) for _, _, i in rows],
    }
