"""The learning curve: accuracy against labels, beside what random sampling would have given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
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

    points: in any order, at least one; reference: may be empty. Versions that share n_train are drawn at the
    same place, the newest last.
    """
    plot = frame(
        "Learning curve",
        f"accuracy on n = {n_stream:,} random-stream items; bands are 95 % intervals",
        "training labels",
        "accuracy",
        t,
    )
    latest = {p.n_train: p for p in sorted(points, key=lambda p: p.version)}
    rows = [(f"version {p.version}", p.n_train, p.accuracy) for _, p in sorted(latest.items())]
    drawn = []
    if reference:
        ordered = sorted(reference, key=lambda p: p.n_train)
        random_rows = [("random sampling", p.n_train, p.accuracy) for p in ordered]
        drawn += _series(plot, random_rows, t.accent, "random sampling", dashed=True)
    drawn += _series(plot, rows, t.primary, "this project", dashed=False)
    hover(plot, drawn, HOVER)
    known = [i.low for _, _, i in rows if not np.isnan(i.value)] + [p.accuracy.low for p in reference]
    floor = max(0.0, np.floor((min(known, default=0.0) - 0.02) * 10) / 10)
    plot.y_range = Range1d(floor, 1.0 + 0.01 * (1 - floor))
    widest = max([n for _, n, _ in rows] + [p.n_train for p in reference])
    plot.x_range = Range1d(0, max(widest * 1.04, 10))
    percent_axis(plot, "y")
    count_axis(plot, "x")
    legend_below(plot)
    return plot


def _series(
    plot: figure, rows: Sequence[tuple[str, int, Interval]], color: str, name: str, dashed: bool
) -> list[object]:
    source = ColumnDataSource(
        {
            "what": [what for what, _, _ in rows],
            "n_train": [n for _, n, _ in rows],
            "value": [i.value for _, _, i in rows],
            "low": [i.low for _, _, i in rows],
            "high": [i.high for _, _, i in rows],
            "n": [f"{i.n:,}" for _, _, i in rows],
            "shown": [percent(i.value) for _, _, i in rows],
            "interval": [percent_interval(i) for _, _, i in rows],
        }
    )
    plot.varea("n_train", "low", "high", source=source, fill_color=color, fill_alpha=0.14)
    if len(rows) == 1:
        plot.segment("n_train", "low", "n_train", "high", source=source, line_color=color, line_width=2)
    plot.line(
        "n_train",
        "value",
        source=source,
        line_color=color,
        line_width=2.5,
        line_dash="dashed" if dashed else "solid",
        legend_label=name,
    )
    marker = "diamond" if dashed else "circle"
    dots = plot.scatter(
        "n_train",
        "value",
        source=source,
        marker=marker,
        size=8 if dashed else 7,
        color=color,
        legend_label=name,
    )
    return [dots]
