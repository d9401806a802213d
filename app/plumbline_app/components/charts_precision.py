"""How right each version's proposals were, with interval and n."""

from __future__ import annotations

from collections.abc import Sequence

from bokeh.models import ColumnDataSource, Range1d, Span
from bokeh.plotting import figure

from plumbline_app.components.charts import count_axis, frame, hover, percent, percent_axis, percent_interval
from plumbline_app.theme import Tokens
from plumbline_backend.pace.control import PRECISION
from plumbline_backend.pace.review import RoundPrecision

HOVER = [
    ("version", "@version"),
    ("proposals", "@proposed"),
    ("right", "@shown"),
    ("95 % interval", "@interval"),
    ("checked", "@n items"),
]


def precision_chart(rounds: Sequence[RoundPrecision], t: Tokens) -> figure:
    """Precision with 95 % interval per version; versions whose proposals nobody has checked are left out."""
    known = [r for r in rounds if r.precision.n > 0]
    plot = frame(
        "Precision of proposals",
        "share of blind checks (random stream and audits) that agree with the proposal; bars are 95 % intervals",
        "model version",
        "precision",
        t,
        height=260,
    )
    source = ColumnDataSource(
        {
            "version": [r.version for r in known],
            "value": [r.precision.value for r in known],
            "low": [r.precision.low for r in known],
            "high": [r.precision.high for r in known],
            "n": [f"{r.precision.n:,}" for r in known],
            "proposed": [f"{r.n_proposed:,}" for r in known],
            "shown": [percent(r.precision.value) for r in known],
            "interval": [percent_interval(r.precision) for r in known],
        }
    )
    plot.add_layout(Span(location=PRECISION, dimension="width", line_color=t.accent, line_dash="dashed"))
    plot.segment("version", "low", "version", "high", source=source, line_color=t.primary, line_width=2)
    points = plot.scatter("version", "value", source=source, color=t.primary, size=7)
    hover(plot, [points], HOVER)
    low = min((r.precision.low for r in known), default=0.0)
    plot.y_range = Range1d(max(0.0, low - 0.05), 1.01)
    versions = [r.version for r in known]
    plot.x_range = Range1d(min(versions, default=0) - 1, max(versions, default=0) + 1)
    percent_axis(plot, "y")
    count_axis(plot, "x")
    return plot
