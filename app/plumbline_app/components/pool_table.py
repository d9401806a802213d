"""The items of a pool, a page at a time: search, filters, thumbnails, and one item in full."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import param
from panel.viewable import Viewable, Viewer

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.controls import button, choice, several, text_field
from plumbline_app.components.grid import Grid, GridColumn, grid_column
from plumbline_app.components.import_review import cell
from plumbline_app.components.item_detail import item_detail
from plumbline_app.components.layout import fill, line, place, stack
from plumbline_app.components.words import notice, sentence
from plumbline_app.item_view import PAGE_ROWS, image_url
from plumbline_app.theme import SPACE_PX
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Column, Item, Question
from plumbline_backend.kinds.base import Kind
from plumbline_backend.pool.search import Contains

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.standing import LabelledState

SHOWN_AT_FIRST = 6
DETAIL_PX = 400
NO_CLASS = "#808080"
"""The mark of an answer that names no class."""
STATES = {
    "Any state": "",
    "Not answered yet": "none",
    "Answered": "answered",
    "Skipped": "skipped",
    "Unsure": "unsure",
    "Flagged": "flagged",
}
STATE_WORDS = {"answered": "answered", "skipped": "skipped", "unsure": "unsure", "flagged": "flagged"}


class PoolTable(Viewer):
    """Pages of the pool as the server finds them. The filters stand in the address."""

    q = param.String(default="", doc="Text that the key or a text column contains.")
    state = param.Selector(default="", objects=list(STATES.values()))
    label = param.String(default="", doc="Id of the class that the item carries.")
    column = param.String(default="", doc="Column that is filtered.")
    value = param.String(default="", doc="Text that the filtered column contains.")
    page = param.Integer(default=1, bounds=(1, None))
    item = param.Integer(default=-1, bounds=(-1, None), doc="Position of the item in full; -1 for none.")
    columns = param.String(default="", doc="The columns shown, as a JSON list; empty: the first few.")

    def __init__(self, project: Project) -> None:
        super().__init__()
        self._project = project
        self._positions: list[int] = []
        names = [c.name for c in project.pool.columns if c.role not in ("image", "features", "ignore")]
        self._names = names
        self._search = text_field("Search keys and text", sizing_mode="stretch_width", min_width=200)
        self._state = choice("State", STATES, "", width=170)
        self._label = choice("Class", {"Any class": ""}, "", width=170)
        self._column = choice("Column", {"Any column": "", **{n: n for n in names}}, "", width=170)
        self._value = text_field("contains", width=170)
        self._columns = several("Columns shown", names, self._first_columns(), sizing_mode="stretch_width")
        self._count = sentence("Reading the pool ...")
        self._wrong = place()
        self._grid = Grid(self._open, caption="Items", rows_height=620)
        self._detail = place()
        self._back = button("Previous", lambda: self._turn(-1), disabled=True)
        self._forth = button("Next", lambda: self._turn(1), disabled=True)

    def __panel__(self) -> Viewable:
        keep_in_address(self, ["q", "state", "label", "column", "value", "page", "item", "columns"])
        self._search.value, self._state.value, self._value.value = self.q, self.state, self.value
        self._column.value = self.column if self.column in self._names else ""
        self._value.disabled = not self._column.value
        self._columns.value = self._kept_columns()
        for widget in (self._search, self._state, self._label, self._column, self._value):
            widget.param.watch(lambda _: self._filter(), "value")
        self._columns.param.watch(lambda _: self._choose_columns(), "value")
        pager = line(self._count, self._back, self._forth, **{"flex-wrap": "nowrap"})
        table = stack(
            self._wrong, pager, self._grid, gap=SPACE_PX[3], styles={"flex": "1 1 0", "min-width": "0"}
        )
        self._detail.styles = {"flex": f"0 0 {DETAIL_PX}px", "min-width": "0"}
        both = line(table, self._detail, **{"flex-wrap": "nowrap", "align-items": "flex-start"})
        table.align = self._detail.align = "start"  # the longer one would push the other down
        filters = line(self._search, self._state, self._label, self._column, self._value)
        return stack(filters, self._columns, both)

    def show(self) -> None:
        """Read the page that the params name, and draw it."""
        self._offer_classes()
        try:
            found = self._project.pool.search(
                self.q,
                {self.column: Contains(self.value)} if self.column and self.value else {},
                offset=(self.page - 1) * PAGE_ROWS,
                limit=PAGE_ROWS,
                within=self._project.positions_with(self.state or None, self.label or None),
            )
        except PlumblineError as error:
            fill(self._wrong, notice("That cannot be searched for", str(error), tone="bad"))
            self._count.object = ""
            return
        fill(self._wrong)
        if self.page > 1 and not len(found.positions):
            self.page = max(
                1, -(-found.n_total // PAGE_ROWS)
            )  # the last one: the address or a filter went past it
            self.show()
            return
        self._positions = found.positions.tolist()
        self._draw()
        self._draw_pager(found.n_total)

    def _offer_classes(self) -> None:
        options = {"Any class": "", **{c.name: c.id for c in self._project.question().active}}
        if self._label.options != options:
            self._label.options = options
        if self._label.value != self.label and self.label in options.values():
            self._label.value = self.label

    def _filter(self) -> None:
        self._value.disabled = not self._column.value
        chosen = {
            "q": self._search.value,
            "state": self._state.value,
            "label": self._label.value,
            "column": self._column.value,
            "value": self._value.value,
        }
        if any(getattr(self, name) != value for name, value in chosen.items()):
            self.param.update(**chosen, page=1, item=-1)
            self.show()

    def _choose_columns(self) -> None:
        chosen = self._columns.value
        self.columns = "" if chosen == self._first_columns() else json.dumps(chosen, ensure_ascii=False)
        self.show()

    def _kept_columns(self) -> list[str]:
        try:
            kept = json.loads(self.columns)
        except ValueError:
            return self._first_columns()
        return [name for name in kept if name in self._names] if isinstance(kept, list) else []

    def _turn(self, by: int) -> None:
        self.param.update(page=max(1, self.page + by), item=-1)
        self.show()

    def _draw(self) -> None:
        project = self._project
        shown = [project.pool.column_named(name) for name in self._columns.value]
        image = next(iter(project.pool.columns_of("image")), None)
        items = project.pool.items(self._positions)
        states = project.labelled_state(self._positions)
        columns = _headings(shown, image)
        question, kind = project.question(), project.kind
        rows = [
            _row(project.slug, item, state, said_cell(kind, question, state.class_id), shown, image)
            for item, state in zip(items, states, strict=True)
        ]
        self._grid.empty = "No item matches. Take a filter away."
        self._grid.show(columns, rows)
        if self.item in self._positions:
            self._grid.selected = self._positions.index(self.item)
            self._open(self._grid.selected)
        else:
            self._close()

    def _draw_pager(self, n_total: int) -> None:
        first, last = (self.page - 1) * PAGE_ROWS + 1, (self.page - 1) * PAGE_ROWS + len(self._positions)
        n_items = self._project.pool.n_items
        which = (
            f"of {n_items:,} items"
            if n_total == n_items
            else f"of {n_total:,} that match, in a pool of {n_items:,}"
        )
        self._count.object = sentence(
            f"{first:,} to {last:,} {which}" if self._positions else f"0 {which}"
        ).object
        self._back.disabled = self.page <= 1
        self._forth.disabled = last >= n_total

    def _open(self, index: int) -> None:
        self.item = self._positions[index]
        fill(self._detail, item_detail(self._project, self.item, self._close))

    def _close(self) -> None:
        self.item = -1
        fill(self._detail)
        self._grid.selected = -1

    def _first_columns(self) -> list[str]:
        order = {"text": 0, "label": 1, "category": 2, "numeric": 3, "metadata": 4}
        candidates = [c for c in self._project.pool.columns if c.role in order]
        by_use = sorted(candidates, key=lambda c: order[c.role])
        chosen = {c.name for c in by_use[:SHOWN_AT_FIRST]}
        return [name for name in self._names if name in chosen]


def _headings(shown: list[Column], image: Column | None) -> list[GridColumn]:
    first = [grid_column("", "image")] if image is not None else []
    people = [grid_column("State"), grid_column("Class", "chip"), grid_column("By")]
    kinds = [grid_column(c.name, "number" if c.role == "numeric" else "text") for c in shown]
    return [*first, grid_column("Key", "name"), *people, *kinds]


def said_cell(kind: Kind, question: Question, answer: str | None) -> Any:
    """An answer in words, with the colour of a class that it names."""
    if answer is None:
        return None
    colors = {c.id: c.color for c in question.classes}
    carried = kind.form.yes(question, answer)
    return {"text": kind.words(question, answer), "color": colors[carried[-1]] if carried else NO_CLASS}


def _row(
    slug: str, item: Item, state: LabelledState, carried: Any, shown: list[Column], image: Column | None
) -> list[Any]:
    first: list[Any] = []
    if image is not None:
        first = [{"src": image_url(slug, item.position, image.name), "alt": f"Image of {item.key}"}]
    by = ", ".join(state.judges) if state.judges else None
    return [*first, item.key, state.state, carried, by, *(cell(item.fields.get(c.name)) for c in shown)]
