"""Projects as cards: what each asks, how far it is, and the ways in."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple
from urllib.parse import quote

import panel as pn

_STYLE = """
:host { font-family: var(--pl-font); color: var(--pl-ink); }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
li { display: flex; flex-direction: column; gap: 4px; padding: 20px; background: var(--pl-surface);
  border: 1px solid var(--pl-line); border-radius: 12px; }
li:hover { border-color: var(--pl-primary); }
h2 { margin: 0; font-size: 17px; line-height: 1.35; overflow-wrap: anywhere; }
h2 a { color: inherit; text-decoration: none; }
h2 a:hover { color: var(--pl-primary); text-decoration: underline; }
p { margin: 0; color: var(--pl-muted); font-size: 14px; }
.n { font-variant-numeric: tabular-nums; }
.meter { height: 6px; border-radius: 3px; background: var(--pl-grid); overflow: hidden; margin: 8px 0 4px; }
.meter span { display: block; height: 100%; background: var(--pl-primary); }
nav { display: flex; gap: 4px; margin: 8px -10px -10px; }
nav a { display: inline-flex; align-items: center; min-height: var(--pl-touch); padding: 0 10px;
  color: var(--pl-primary);
  font-size: 14px; border-radius: var(--pl-radius); text-decoration: none; }
nav a:hover { background: var(--pl-primary-soft); }
nav a:first-child { font-weight: 700; }
a:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 2px; border-radius: 4px; }
"""


LABELLING = (("label", "Label"), ("data", "Data"), ("model", "Model"), ("export", "Export"))
GRADING = (("grade", "Grade"), ("judges", "Judges"))
"""The pages of each kind of project, the first of them behind the card's title."""


class ProjectCard(NamedTuple):
    """What a card says of a project."""

    slug: str
    name: str
    question: str
    n_items: int
    n_answered: int
    model: str
    ways: tuple[tuple[str, str], ...] = LABELLING


def project_cards(cards: Sequence[ProjectCard]) -> pn.pane.HTML:
    """The cards, newest first; whatever people wrote is shown as text."""
    items = "".join(_card(card) for card in cards)
    return pn.pane.HTML(f"<ul>{items}</ul>", stylesheets=[_STYLE], sizing_mode="stretch_width", margin=0)


def _card(card: ProjectCard) -> str:
    base = f"/p/{quote(card.slug)}"
    share = 100 * card.n_answered / max(1, card.n_items)
    ways = "".join(f'<a href="{base}/{page}">{label}</a>' for page, label in card.ways)
    return (
        f'<li><h2><a href="{base}/{card.ways[0][0]}">{escape(card.name)}</a></h2><p>{escape(card.question)}</p>'
        f'<div class="meter"><span style="width:{share:.1f}%"></span></div>'
        f'<p class="n">{card.n_answered:,} of {card.n_items:,} answered · {escape(card.model)}</p>'
        f'<nav aria-label="{escape(card.name)}">{ways}</nav></li>'
    )
