"""The audit log: who did what, newest first, a page at a time."""

from __future__ import annotations

import json

from panel.viewable import Viewable

from plumbline_app.components.controls import button, choice, text_field
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card, fill, line, page_column, place
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.grading_page import SECTIONS as GRADING_SECTIONS
from plumbline_app.pages.page import Page
from plumbline_app.session import Session
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.people import AuditEntry

PAGE_ROWS = 50
COLUMNS = (
    grid_column("When", "text", "In UTC"),
    grid_column("Who", "text"),
    grid_column("Did", "text"),
    grid_column("To", "text"),
    grid_column("Project", "text"),
    grid_column("More", "text"),
    grid_column("From", "text", "Network address"),
)
ALL = "Everything"


class AuditPage(Page):
    """Lines of the log that the reader may see: all of them, or one project's."""

    heading = "Audit log"
    any_kind = True

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        if session.grading is not None:
            self.sections = GRADING_SECTIONS  # type: ignore[misc]

    def __panel__(self) -> Viewable:
        self._ends: list[int | None] = [None]
        self._grid = Grid(columns=list(COLUMNS), caption="Audit log", empty="Nothing was done yet.")
        self._person = text_field("Who", width=200)
        self._action = choice("Did", [ALL], ALL, width=240)
        for each in (self._person, self._action):
            each.param.watch(lambda _: self._from_start(), "value")
        self._older = button("Older", self._go_back)
        self._newer = button("Newer", self._go_on)
        self._said = place()
        title = heading("Audit log", "Lines are added, never changed and never removed.")
        log = card("", "", line(self._person, self._action, self._newer, self._older), self._said, self._grid)
        return page_column(title, log)

    def load(self) -> None:
        """Read the newest lines."""
        if self.session.people is None:
            fill(self._said, notice("Single-user mode", "Without a login nothing is written to this log."))
            return
        self._action.options = [ALL, *self.session.people.audited_actions()]
        self._draw()

    def _filters(self) -> dict[str, str]:
        chosen = {"person": self._person.value.strip(), "project": self.session.slug}
        chosen["action"] = "" if self._action.value == ALL else self._action.value
        return {field: value for field, value in chosen.items() if value}

    def _draw(self) -> None:
        if self.session.people is None:
            return
        try:
            found = self.session.people.audited(self._filters(), self._ends[-1], PAGE_ROWS + 1)
        except InputError as error:
            fill(self._said, notice("Not found", str(error), tone="bad"))
            return
        shown = found[:PAGE_ROWS]
        self._oldest = shown[-1].id if shown else None
        self._grid.show(COLUMNS, [_row(entry) for entry in shown])
        self._older.disabled = len(found) <= PAGE_ROWS
        self._newer.disabled = len(self._ends) == 1
        fill(self._said, sentence("1 line." if len(shown) == 1 else f"{len(shown)} lines, newest first."))

    def _from_start(self) -> None:
        self._ends = [None]
        self._draw()

    def _go_back(self) -> None:
        self._ends.append(self._oldest)
        self._draw()

    def _go_on(self) -> None:
        self._ends.pop()
        self._draw()


def _row(entry: AuditEntry) -> list[str]:
    more = ", ".join(f"{name}: {json.dumps(value)}" for name, value in entry.detail.items())
    at = f"{entry.at:%Y-%m-%d %H:%M:%S}"
    return [at, entry.person, entry.action, entry.subject, entry.project, more, entry.address]
