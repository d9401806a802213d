"""Learning curves of simulated labellings, one line per strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from plumbline_app.components.charts import count_axis, frame, hover, legend_below, percent, percent_axis
from plumbline_app.theme import Tokens

HEIGHT_PX = 420
DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot", "solid")
MARKERS = ("circle", "diamond", "square", "triangle", "inverted_triangle", "hex")
HOVER = [("strategy", "@name"), ("labels", "@labels{0,0}"), ("accuracy", "@shown"), ("quartiles", "@between")]


def simulation_curves(rows: Sequence[Mapping[str, Any]], seeds: int, t: Tokens) -> figure:
    """Median test accuracy against labels; each line has its own colour, dash and marker.

    rows: what `simulation.task.run_simulation` gives, at most six.
    """
    n_test = rows[0]["n_test"]
    plot = frame(
        "Accuracy as labels are added",
        f"median of {seeds} repetitions, each on {n_test:,} items that were never asked; bands are quartiles",
        "labels",
        "test accuracy",
        t,
        height=HEIGHT_PX,
    )
    drawn = []
    for i, (row, color) in enumerate(zip(rows, _colors(t), strict=False)):
        source = ColumnDataSource(_columns(row))
        name = row["strategy"].replace("_", " ")
        plot.varea("labels", "low", "high", source=source, fill_color=color, fill_alpha=0.08)
        plot.line(
            "labels",
            "accuracy",
            source=source,
            line_color=color,
            line_width=2.5,
            line_dash=DASHES[i],
            legend_label=name,
        )
        drawn.append(
            plot.scatter(
                "labels", "accuracy", source=source, color=color, marker=MARKERS[i], size=6, legend_label=name
            )
        )
    hover(plot, drawn, HOVER)
    percent_axis(plot, "y")
    count_axis(plot, "x")
    legend_below(plot)
    return plot


def _columns(row: Mapping[str, Any]) -> dict[str, Any]:
    labels, middle, low, high = (np.array(part) for part in zip(*row["curve"], strict=True))
    return {
        "name": [row["strategy"].replace("_", " ")] * len(labels),
        "labels": labels,
        "accuracy": middle,
        "low": low,
        "high": high,
        "shown": [percent(value) for value in middle],
        "between": [f"{percent(a)} to {percent(b)}" for a, b in zip(low, high, strict=True)],
    }


def _colors(t: Tokens) -> tuple[str, ...]:
    return (t.primary, t.accent, t.bad, t.good, t.muted, t.ink)
