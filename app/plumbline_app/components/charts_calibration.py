"""Charts of the Calibration page: judges' reliability together, risk against coverage, cost against threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from plumbline_app.components.charts import frame, hover, legend_below, percent, percent_axis
from plumbline_app.theme import Tokens
from plumbline_backend.domain.calibration_scores import CostCurve

DASHES = ("solid", "dashed", "dotted", "dotdash")
MARKERS = ("circle", "diamond", "square", "triangle")


def risk_coverage(curves: Sequence[tuple[str, Sequence[Sequence[float]], int]], t: Tokens) -> figure:
    """Error rate among the accepted items against the share accepted, one line for each (name, points, n)."""
    ns = ", ".join(f"{n:,}" for _, _, n in curves)
    plot = frame(
        "Risk and coverage",
        f"accepting the most confident items first; bands are 95 %; n = {ns}",
        "share of items accepted",
        "error rate among them",
        t,
    )
    dots, highest = [], 0.05
    for i, (name, points, _) in enumerate(curves):
        source = ColumnDataSource(_risk_columns(points))
        look = {"line_color": (t.primary, t.accent, t.good, t.bad)[i % 4], "line_dash": DASHES[i % 4]}
        plot.varea("coverage", "low", "high", source=source, fill_color=look["line_color"], fill_alpha=0.12)
        line = plot.line("coverage", "risk", source=source, line_width=2.5, legend_label=name, **look)
        dots.append(line)
        highest = max([highest, *(float(p[4]) for p in points if p[1] > 0.2)])
    plot.x_range, plot.y_range = Range1d(0, 1.01), Range1d(0, min(1.0, highest * 1.15))
    rows = [("accepted", "@shown_coverage"), ("error rate", "@shown_risk"), ("95 % interval", "@interval")]
    hover(plot, dots, [*rows, ("from confidence", "@threshold"), ("items", "@n")])
    percent_axis(plot, "x")
    percent_axis(plot, "y")
    legend_below(plot)
    return plot


def cost_curve(name: str, curve: CostCurve, chosen: float, t: Tokens) -> figure:
    """Cost per item of saying `name` from each threshold on, with the Bayes threshold and the chosen one."""
    hits, alarms, cost = curve.hits, curve.alarms, curve.cost
    n = int(hits[0] + alarms[0])
    plot = frame(
        f"Cost of deciding for {name}",
        f"per item, n = {n:,} of which {int(hits[0]):,} have it; dotted: best if the probabilities are true",
        "threshold of the probability",
        "cost per item",
        t,
    )
    source = ColumnDataSource(
        {
            "threshold": curve.threshold,
            "cost": cost,
            "recall": [f"{h:,} of {hits[0]:,}" for h in hits],
            "alarms": [f"{a:,} of {alarms[0]:,}" for a in alarms],
            "shown": [f"{c:.4f}" for c in cost],
        }
    )
    line = plot.line("threshold", "cost", source=source, line_color=t.primary, line_width=2.5)
    top = float(cost.max()) * 1.05 or 1.0
    plot.line(
        [curve.bayes] * 2,
        [0, top],
        line_color=t.control,
        line_dash="dotted",
        line_width=2,
        legend_label="Bayes threshold",
    )
    plot.line(
        [chosen] * 2, [0, top], line_color=t.accent, line_dash="dashed", line_width=2, legend_label="chosen"
    )
    hover(
        plot,
        [line],
        [
            ("threshold", "@threshold{0.00}"),
            ("cost", "@shown"),
            ("found", "@recall"),
            ("false alarms", "@alarms"),
        ],
        mode="vline",
    )
    plot.x_range, plot.y_range = Range1d(0, 1), Range1d(0, top)
    legend_below(plot)
    return plot


def _risk_columns(points: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {
        "coverage": [p[1] for p in points],
        "risk": [p[2] for p in points],
        "low": [p[3] for p in points],
        "high": [p[4] for p in points],
        "shown_coverage": [percent(p[1]) for p in points],
        "shown_risk": [percent(p[2]) for p in points],
        "interval": [f"{100 * p[3]:.1f} to {100 * p[4]:.1f} %" for p in points],
        "threshold": [percent(p[0], 2) for p in points],
        "n": [f"{int(p[5]):,}" for p in points],
    }
