"""How the parts of a page lie: in cards, side by side where there is room, below each other where there is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import panel as pn
from bokeh.core.validation import silence
from bokeh.core.validation.warnings import EMPTY_LAYOUT

from plumbline_app.components.words import heading
from plumbline_app.theme import SPACE_PX

GAP_PX = SPACE_PX[4]
NARROW_PX = 420
"""A card beside another is never narrower than this."""
PAGE_PX = 1400
"""Wider pages leave the eye too far to travel along a row."""

silence(EMPTY_LAYOUT)  # a column without children is a place for a message that may come


def stack(
    *parts: Any, gap: int = GAP_PX, styles: Mapping[str, str] | None = None, **options: Any
) -> pn.Column:
    """Parts below each other with `gap` px between them."""
    return pn.Column(
        *parts,
        **{"sizing_mode": "stretch_width", "margin": 0, **options},
        styles={"gap": f"{gap}px", "min-width": "0", **(styles or {})},
        stylesheets=[".scroll-button { display: none !important; }"],
    )


def place(*parts: Any) -> pn.Column:
    """A stack that takes no room while it is empty; `fill` changes what is in it."""
    return stack(*parts, visible=bool(parts))


def fill(where: pn.Column, *parts: Any) -> None:
    """Replace what is in a `place`."""
    where.param.update(objects=list(parts), visible=bool(parts))


def page_column(*parts: Any) -> pn.Column:
    """The body of a page: its parts below each other, in the middle of a wide screen."""
    styles = {"margin": "0 auto", "padding-bottom": f"{SPACE_PX[7]}px"}
    return stack(*parts, gap=SPACE_PX[4], max_width=PAGE_PX, styles=styles)


def card(title: str, below: str, *parts: Any, **options: Any) -> pn.Column:
    """A surface with a heading, a sentence under it, and its parts. An empty title leaves the heading away."""
    head = [heading(title, below, level=2)] if title else []
    styles = {
        "padding": f"{SPACE_PX[4]}px",
        "background": "var(--pl-surface)",
        "border": "1px solid var(--pl-line)",
        "border-radius": "var(--pl-radius)",
        "min-width": "0",
        "align-self": "stretch",
    }
    return stack(*head, *parts, gap=SPACE_PX[3], styles=styles, **options)


def side_by_side(*parts: Any, narrow_px: int = NARROW_PX) -> pn.Row:
    """Parts of equal width in rows that hold as many as have room; all of a row are equally high."""
    for part in parts:
        part.styles = {**part.styles, "height": "100%"}
    columns = f"repeat(auto-fit, minmax(min({narrow_px}px, 100%), 1fr))"
    return pn.Row(
        *parts,
        sizing_mode="stretch_width",
        margin=0,
        styles={"display": "grid", "grid-template-columns": columns, "gap": f"{GAP_PX}px"},
    )


def line(*parts: Any, **styles: str) -> pn.Row:
    """Parts in a line that wraps."""
    for part in parts:
        part.align = "center"
    return pn.Row(
        *parts,
        sizing_mode="stretch_width",
        margin=0,
        styles={
            "flex-wrap": "wrap",
            "gap": f"{SPACE_PX[3]}px",
            "align-items": "center",
            "min-width": "0",  # Panel's own is the sum of the parts' widths, at which nothing would wrap
            **styles,
        },
    )
