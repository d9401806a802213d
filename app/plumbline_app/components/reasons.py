"""Why the model answers an item as it does: the labelled items that speak for it, each a link to the item itself."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import panel as pn
from panel.viewable import Viewable

from plumbline_app.item_view import data_url, image_url
from plumbline_backend.explanations import Explanation, Reason

if TYPE_CHECKING:
    from plumbline_backend.project import Project

_STYLE = """
:host { font-family: var(--pl-font); color: var(--pl-ink); font-size: 14px; }
h3 { margin: 0 0 8px; font-size: 14px; }
ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 12px; }
li { flex: 1 1 200px; padding: 8px 12px; border: 1px solid var(--pl-line);
  border-radius: var(--pl-radius); background: var(--pl-raised); }
a { display: flex; align-items: center; gap: 8px; min-height: var(--pl-touch); color: var(--pl-primary);
  font-weight: 700; overflow-wrap: anywhere; }
img { width: 40px; height: 40px; object-fit: contain; }
span { display: block; color: var(--pl-muted); }
"""


def reasons_view(project: Project, found: Explanation) -> Viewable:
    """The answer in a sentence, and the items below it."""
    column = next((each.name for each in project.pool.columns_of("image")), None)
    by = "the vote of your labelled items" if found.by_vote else "how it resembles your labelled items"
    title = (
        f"Model version {found.version} ({found.head.replace('_', ' ')}) answers {found.answer!r} by {by}:"
    )
    shown = "".join(_reason(project.slug, each, column, found) for each in found.reasons)
    markup = f"<h3>{escape(title)}</h3><ul>{shown}</ul>"
    return pn.pane.HTML(markup, stylesheets=[_STYLE], sizing_mode="stretch_width", margin=0)


def _reason(slug: str, reason: Reason, column: str | None, found: Explanation) -> str:
    picture = (
        "" if column is None else f'<img alt="" src="{escape(image_url(slug, reason.position, column))}">'
    )
    link = f'<a href="{escape(data_url(slug, reason.position))}">{picture}{escape(reason.key)}</a>'
    return f"<li>{link}<span>{escape(reason.said)}, {escape(weight_in_words(reason, found))}</span></li>"


def weight_in_words(reason: Reason, found: Explanation) -> str:
    """What the item counts."""
    if found.by_vote:
        return f"{100 * reason.weight:.0f} % of the vote"
    return f"speaks {'for' if reason.weight >= 0 else 'against'} it by {abs(reason.weight):.2f}"
