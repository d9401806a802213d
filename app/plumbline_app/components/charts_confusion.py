"""The confusion matrix: counts and row shares, readable from 2 to 50 classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from bokeh.models import ColumnDataSource, FixedTicker, Range1d
from bokeh.plotting import figure
from numpy.typing import NDArray

from plumbline_app.components.charts import blend, frame, hover, plain, readable_on
from plumbline_app.theme import Tokens
from plumbline_backend.domain.errors import shorten

SHARES_UP_TO = 10
"""Classes up to which a cell has room for a count with its share beneath, at 460 px width."""
COUNTS_UP_TO = 26
"""Classes up to which a cell has room for its count; above, colour and hover tell it."""
NAMES_FLAT_UP_TO = 6
NAME_LENGTH = 18


class Sides(NamedTuple):
    """What stands at the matrix: whose items they are, who says the row, who says the column."""

    items: str
    row: str
    column: str


MODEL = Sides("random-stream items", "people say", "the model says")


def confusion_matrix(
    counts: NDArray[np.integer[Any]], names: Sequence[str], t: Tokens, sides: Sides = MODEL
) -> figure:
    """counts: (K, K), row and column as `sides` says; names: K class names, K >= 1.

    Hits are drawn in the primary colour, errors in the colour of errors, as strong as their share of the row.
    """
    k, total = len(names), int(counts.sum())
    plot = frame(
        "Confusion matrix",
        f"n = {total:,} {sides.items}; each row adds up to 100 %",
        sides.column,
        sides.row,
        t,
        height=_height_px(k),
        x_range=Range1d(-0.5, k - 0.5),
        y_range=Range1d(k - 0.5, -0.5),
    )
    source = ColumnDataSource(_cells(counts, names, t))
    cells = plot.rect(
        "x",
        "y",
        1,
        1,
        source=source,
        fill_color="fill",
        line_color=t.surface,
        line_width=2 if k <= 26 else 0.5,
    )
    _write_cells(plot, source, k)
    _name_axes(plot, counts, names, k)
    rows = [
        (sides.row, "@said"),
        (sides.column, "@predicted"),
        ("items", "@count of @n_row"),
        ("share of the row", "@share"),
    ]
    hover(plot, [cells], rows)
    plot.grid.visible = False
    return plot


def _height_px(k: int) -> int:
    per_class = 44 if k <= SHARES_UP_TO else 26 if k <= COUNTS_UP_TO else 14
    return int(max(300, 150 + per_class * k))


def _cells(counts: NDArray[np.integer[Any]], names: Sequence[str], t: Tokens) -> dict[str, list[Any]]:
    k = len(names)
    n_row = counts.sum(axis=1)
    columns: dict[str, list[Any]] = {
        c: []
        for c in ("x", "y", "fill", "ink", "count", "share", "n_row", "said", "predicted", "text", "under")
    }
    for row in range(k):
        for column in range(k):
            count = int(counts[row, column])
            share = count / n_row[row] if n_row[row] else 0.0
            hue = t.primary if row == column else t.bad
            fill = blend(t.raised, hue, 0.12 + 0.88 * share) if count else t.raised
            shown = f"{100 * share:.0f} %" if count else ""
            cell = (
                column, row, fill, readable_on(fill, t.ink, t.surface), f"{count:,}", shown or "0 %", f"{n_row[row]:,}",
                names[row], names[column], f"{count:,}" if count else "", shown,
            )  # fmt: skip
            for values, value in zip(columns.values(), cell, strict=True):
                values.append(value)
    return columns


def _write_cells(plot: figure, source: ColumnDataSource, k: int) -> None:
    if k > COUNTS_UP_TO:
        return
    both = k <= SHARES_UP_TO
    common = {"source": source, "text_align": "center", "text_color": "ink", "text_baseline": "middle"}
    size = "13px" if both else "11px"
    plot.text("x", "y", text="text", text_font_size=size, y_offset=-7 if both else 0, **common)
    if both:
        plot.text("x", "y", text="under", text_font_size="11px", y_offset=9, text_alpha=0.85, **common)


def _name_axes(plot: figure, counts: NDArray[np.integer[Any]], names: Sequence[str], k: int) -> None:
    n_row = counts.sum(axis=1)
    ticks = list(range(k))
    plot.xaxis.ticker = plot.yaxis.ticker = FixedTicker(ticks=ticks)
    short = [plain(shorten(name, NAME_LENGTH)) or "(no name)" for name in names]
    plot.xaxis.major_label_overrides = {i: short[i] for i in ticks}
    plot.yaxis.major_label_overrides = {i: f"{short[i]}  (n = {n_row[i]:,})" for i in ticks}
    if k > NAMES_FLAT_UP_TO and max(map(len, short)) > 3:
        plot.xaxis.major_label_orientation = 0.9
    if k > COUNTS_UP_TO:
        plot.axis.major_label_text_font_size = "9px"
    plot.axis.major_tick_line_color = None
    plot.axis.axis_line_color = None
