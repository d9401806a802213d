"""What every figure shares: its frame, its scales in per cent, and the texts it may show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bokeh.models import CustomJSTickFormatter, HoverTool, Legend, NumeralTickFormatter, Title
from bokeh.plotting import figure

from plumbline_app.theme import Tokens
from plumbline_backend.domain.types import Interval

CHART_HEIGHT_PX = 340
_TEX_OPENINGS = (("$$", "$\u200b$"), ("\\[", "\\\u200b["), ("\\(", "\\\u200b("))
"""Bokeh typesets text between these as TeX; a zero-width space keeps a class named `$$x$$` as it is."""


def frame(title: str, subtitle: str, x_label: str, y_label: str, t: Tokens, **options: Any) -> figure:
    """An empty figure as wide as its place: title, a line under it that says what n is, labelled axes."""
    plot = figure(
        height=options.pop("height", CHART_HEIGHT_PX),
        sizing_mode="stretch_width",
        min_width=260,
        x_axis_label=x_label,
        y_axis_label=y_label,
        toolbar_location=None,
        tools="",
        **options,
    )
    below = Title(text=plain(subtitle), text_font_style="normal", text_font_size="12px", text_color=t.muted)
    plot.add_layout(below, "above")
    plot.add_layout(Title(text=plain(title)), "above")
    plot.min_border_right = 12
    return plot


def percent_axis(plot: figure, which: str) -> None:
    """Write an axis ("x" or "y") of shares in per cent."""
    axis = plot.xaxis if which == "x" else plot.yaxis
    axis.formatter = NumeralTickFormatter(format="0%")


def count_axis(plot: figure, which: str) -> None:
    """Write an axis of counts with thousands apart and nothing at fractions."""
    axis = plot.xaxis if which == "x" else plot.yaxis
    code = "return Number.isInteger(tick) ? tick.toLocaleString('en') : ''"
    axis.formatter = CustomJSTickFormatter(code=code)


def hover(plot: figure, renderers: Sequence[Any], rows: Sequence[tuple[str, str]], **options: Any) -> None:
    """Show `rows` of (label, "@field") over the renderers. Values are shown as text, never as markup."""
    plot.add_tools(HoverTool(renderers=list(renderers), tooltips=list(rows), **options))


def legend_below(plot: figure) -> None:
    """Put the legend under the plot, where it hides no data."""
    legend: Legend = plot.legend[0]
    legend.orientation = "horizontal"
    legend.border_line_color = None
    legend.background_fill_alpha = 0
    legend.padding, legend.margin, legend.spacing = 0, 0, 14
    legend.location = "left"
    plot.add_layout(legend, "below")


def plain(text: str) -> str:
    """The text such that Bokeh draws it as written, on one line."""
    for opening, harmless in _TEX_OPENINGS:
        text = text.replace(opening, harmless)
    return " ".join(text.split())


def percent(value: float, digits: int = 1) -> str:
    """A share in per cent; a dash when unknown."""
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f} %"


def percent_interval(interval: Interval, digits: int = 1) -> str:
    """The 95 % interval of a share, as in "89.1 to 96.2 %"; a dash when unknown."""
    if math.isnan(interval.value):
        return "–"
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f} %"


def blend(ground: str, ink: str, share: float) -> str:
    """The colour `share` of the way from `ground` to `ink`, both #rrggbb."""
    pairs = [(int(ground[i : i + 2], 16), int(ink[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb in [0, 1]. Source: WCAG 2.2."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def readable_on(ground: str, *inks: str) -> str:
    """Whichever of the inks stands out most against `ground`."""

    def contrast(ink: str) -> float:
        high, low = sorted((luminance(ground), luminance(ink)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    return max(inks, key=contrast)
