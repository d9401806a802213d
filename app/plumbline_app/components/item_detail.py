"""One item in full: image, text, every field, and what has been said of it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import panel as pn
from panel.viewable import Viewable

from plumbline_app.components.controls import button
from plumbline_app.components.figures import facts, html_pane
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.import_review import cell
from plumbline_app.components.layout import card, line
from plumbline_app.components.model_tables import when
from plumbline_app.components.reasons import reasons_view
from plumbline_app.components.words import heading
from plumbline_app.item_view import TEXT_LIMIT, image_url
from plumbline_backend.domain.types import Item, Judgement, Question
from plumbline_backend.kinds.base import Kind

if TYPE_CHECKING:
    from plumbline_backend.project import Project

_STYLE = """
:host { font-family: var(--pl-font); color: var(--pl-ink); }
img { display: block; max-width: 100%; max-height: 360px; min-width: 128px; object-fit: contain;
  border-radius: var(--pl-radius); background: var(--pl-raised); }
.text { max-height: 360px; overflow: auto; padding: 12px 16px; border: 1px solid var(--pl-line);
  border-radius: var(--pl-radius); background: var(--pl-raised); white-space: pre-wrap; overflow-wrap: anywhere;
  line-height: 1.6; }
"""


def item_detail(
    project: Project,
    position: int,
    on_close: Callable[[], None],
    answering: bool = False,
    with_history: bool = True,
) -> Viewable:
    """The item at `position` with all it holds; where it is about to be answered, without the imported label.

    with_history: whether what people said of it is shown, with their names.
    """
    item = project.pool.item(position)
    head = line(
        heading(item.key, f"position {position:,} of {project.pool.n_items:,}", level=2),
        button("Close", on_close),
        **{"justify-content": "space-between", "flex-wrap": "nowrap"},
    )
    return card(
        "",
        "",
        head,
        *_pictures(project, item),
        *_texts(project, item),
        _fields(project, item, answering),
        *([] if answering else _reasons(project, item)),
        *([_history(project, item)] if with_history else []),
    )


def _pictures(project: Project, item: Item) -> list[Viewable]:
    return [_picture(project, item, column.name) for column in project.pool.columns_of("image")]


def _picture(project: Project, item: Item, column: str) -> Viewable:
    source = escape(image_url(project.slug, item.position, column))
    return _html(f'<img alt="{escape(f"{column} of {item.key}")}" src="{source}">')


def _texts(project: Project, item: Item) -> list[Viewable]:
    found = [item.fields.get(column.name) for column in project.pool.columns_of("text")]
    texts = [escape(str(text)[:TEXT_LIMIT]) for text in found if text is not None]
    return [_html(f'<div class="text" tabindex="0">{text}</div>') for text in texts]


def _fields(project: Project, item: Item, answering: bool) -> Viewable:
    hidden = {"image", "features", "text", "ignore"} | ({"label"} if answering else set())
    shown = [c.name for c in project.pool.columns if c.role not in hidden]
    return html_pane(facts((name, cell(item.fields.get(name)) or "–") for name in shown))


def _reasons(project: Project, item: Item) -> list[Viewable]:
    """Why the model answers as it does; nothing where its head does not decide by labelled items."""
    found = project.heads.explained(item.position)
    return [] if found is None or not found.reasons else [reasons_view(project, found)]


def _history(project: Project, item: Item) -> Viewable:
    question, kind = project.question(), project.kind
    columns = [grid_column("When"), grid_column("State"), grid_column("Class"), grid_column("Note")]
    grid = Grid(caption="What was said of this item", empty="Nobody has answered this item yet.")
    grid.show(columns, [_said(row, question, kind) for row in project.history(item=item.position)])
    return grid


def _said(row: Judgement, question: Question, kind: Kind) -> list[str | None]:
    state = "undone" if row.revokes is not None else row.state
    answer = None if row.answer is None else kind.words(question, row.answer)
    return ["" if row.created_at is None else when(row.created_at), state, answer, row.note or None]


def _html(markup: str) -> pn.pane.HTML:
    return pn.pane.HTML(markup, stylesheets=[_STYLE], sizing_mode="stretch_width", margin=0)
