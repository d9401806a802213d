"""The reliability diagram: what the model states against what happens, and how many items say so."""

from __future__ import annotations

import numpy as np
from bokeh.layouts import column
from bokeh.models import Column, ColumnDataSource, Range1d
from bokeh.plotting import figure

from plumbline_app.components.charts import count_axis, frame, hover, legend_below, percent, percent_axis
from plumbline_app.theme import Tokens
from plumbline_backend.domain.reliability import Reliability

HISTOGRAM_HEIGHT_PX = 130
PREDICTED = "stated confidence (probability of the predicted class)"
LEAST_BAR = 0.004
"""Width given to a bin whose items all have one confidence, so that its bar can be seen."""
HOVER = [
    ("stated confidence", "@stated (from @edges)"),
    ("right", "@right_share"),
    ("95 % interval", "@interval"),
    ("if calibrated", "@band"),
    ("items in this bin", "@shown_count"),
]


def reliability_diagram(
    bins: Reliability, t: Tokens, of: str = "random-stream items", stated: str = PREDICTED
) -> Column:
    """Two figures over the same axis: accuracy per bin of confidence, and the bins' counts.

    The drawn points are `bins.confidence` and `bins.accuracy` themselves, so their gaps weighted by `bins.count`
    are exactly the ECE that the page states. `of` says in words what items they are, `stated` what is stated of them.
    Needs at least one bin.
    """
    source = ColumnDataSource(_columns(bins))
    low_edge = float(np.floor(min(bins.edge_low.min(), bins.confidence.min()) * 10) / 10)
    across = Range1d(min(low_edge, 0.9), 1.005)
    diagram = _diagram(source, bins, across, t, of)
    histogram = _histogram(source, bins, across, t, stated)
    return column(diagram, histogram, sizing_mode="stretch_width", spacing=0)


def _diagram(source: ColumnDataSource, bins: Reliability, across: Range1d, t: Tokens, of: str) -> figure:
    plot = frame(
        "Reliability diagram",
        f"n = {int(bins.count.sum()):,} {of} in {_bins(len(bins.count))}; bars are 95 % intervals",
        "",
        "share right",
        t,
        x_range=across,
        y_range=Range1d(-0.02, 1.02),
    )
    plot.line(
        [0, 1],
        [0, 1],
        line_color=t.control,
        line_dash="dotted",
        line_width=1.5,
        legend_label="perfect calibration",
    )
    plot.segment(
        "confidence", "band_low", "confidence", "band_high", source=source, line_color=t.control, line_width=16,
        line_alpha=0.35, legend_label="95 % range if calibrated",
    )  # fmt: skip
    plot.segment("confidence", "low", "confidence", "high", source=source, line_color=t.primary, line_width=2)
    dots = plot.scatter(
        "confidence", "accuracy", source=source, size=10, fill_color=t.primary, line_color=t.surface, line_width=1.5,
        legend_label="measured",
    )  # fmt: skip
    hover(plot, [dots], HOVER)
    percent_axis(plot, "x")
    percent_axis(plot, "y")
    legend_below(plot)
    return plot


def _histogram(
    source: ColumnDataSource, bins: Reliability, across: Range1d, t: Tokens, stated: str
) -> figure:
    plot = figure(
        height=HISTOGRAM_HEIGHT_PX,
        sizing_mode="stretch_width",
        min_width=260,
        x_axis_label=stated,
        y_axis_label="items",
        x_range=across,
        y_range=Range1d(0, float(bins.count.max()) * 1.1),
        toolbar_location=None,
        tools="",
    )
    plot.min_border_right = 12
    bars = plot.quad(
        left="left", right="right", bottom=0, top="count", source=source, fill_color=t.primary, fill_alpha=0.35,
        line_color=t.primary,
    )  # fmt: skip
    hover(plot, [bars], HOVER)
    percent_axis(plot, "x")
    count_axis(plot, "y")
    plot.yaxis.ticker.desired_num_ticks = 3
    return plot


def _columns(bins: Reliability) -> dict[str, object]:
    pad = np.maximum(LEAST_BAR - (bins.edge_high - bins.edge_low), 0) / 2
    return {
        "confidence": bins.confidence,
        "accuracy": bins.accuracy,
        "count": bins.count,
        "low": bins.low,
        "high": bins.high,
        "band_low": bins.band_low,
        "band_high": bins.band_high,
        "left": bins.edge_low - pad,
        "right": bins.edge_high + pad,
        "stated": [percent(v) for v in bins.confidence],
        "right_share": [percent(v) for v in bins.accuracy],
        "edges": _ranges(bins.edge_low, bins.edge_high),
        "interval": _ranges(bins.low, bins.high),
        "band": _ranges(bins.band_low, bins.band_high),
        "shown_count": [f"{n:,}" for n in bins.count],
    }


def _ranges(low: np.ndarray, high: np.ndarray) -> list[str]:
    return [f"{100 * a:.1f} to {100 * b:.1f} %" for a, b in zip(low, high, strict=True)]


def _bins(n: int) -> str:
    return "1 bin" if n == 1 else f"{n} bins"
