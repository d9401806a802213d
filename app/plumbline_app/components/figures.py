"""Figures in large type, each with its interval and the number of items it rests on; and lists of small facts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Literal, NamedTuple

import panel as pn

_STYLE = """
:host { font-family: var(--pl-font); color: var(--pl-ink); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 16px; }
.tile { padding: 16px; border: 1px solid var(--pl-line); border-radius: var(--pl-radius);
  background: var(--pl-surface); }
.tile > h3 { margin: 0; font-size: 13px; font-weight: 700; color: var(--pl-muted); }
.tile > b { display: block; margin: 2px 0; font-size: 32px; line-height: 1.25; font-weight: 700;
  letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; }
.tile.quiet > b { color: var(--pl-muted); }
.tile > span { display: block; font-size: 13px; color: var(--pl-muted); font-variant-numeric: tabular-nums; }
.tile > span.strong { color: var(--pl-ink); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 0; font-size: 14px; }
dt { color: var(--pl-muted); }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; font-variant-numeric: tabular-nums; }
dd.mono { font-family: var(--pl-mono); font-size: 13px; }
"""


class Tile(NamedTuple):
    """A figure: what it is, its value, what it rests on (interval and n), and a remark."""

    label: str
    value: str
    basis: str
    remark: str = ""
    tone: Literal["plain", "quiet"] = "plain"


def tiles(figures: Iterable[Tile]) -> str:
    """The tiles as HTML; every text in them is escaped."""
    return f'<div class="tiles">{"".join(map(_tile, figures))}</div>'


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values below each other, as HTML; both are escaped."""
    return (
        "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>"
    )


def html_pane(markup: str = "") -> pn.pane.HTML:
    """A place for what `tiles` and `facts` give."""
    return pn.pane.HTML(markup, stylesheets=[_STYLE], sizing_mode="stretch_width", margin=0)


def _tile(tile: Tile) -> str:
    remark = f"<span>{escape(tile.remark)}</span>" if tile.remark else ""
    return (
        f'<section class="tile {tile.tone}"><h3>{escape(tile.label)}</h3><b>{escape(tile.value)}</b>'
        f'<span class="strong">{escape(tile.basis)}</span>{remark}</section>'
    )
