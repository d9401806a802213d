"""The list of a project's criteria, and the ways to get more: written, from the library, or proposed by a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button
from plumbline_app.components.grid import COMING, Grid, grid_column
from plumbline_app.components.layout import card, fill, line, place, stack
from plumbline_app.components.library_form import LibraryForm
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.grades import Criterion
from plumbline_backend.judges.llm.authoring import ProposedCriterion

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

COLUMNS = [
    grid_column("Criterion"),
    grid_column("Grades", "number", "Outputs with a grade in force; stale ones in brackets"),
    grid_column("Judges", "number"),
]


class CriteriaList(Viewer):
    """Criteria as rows; opening one calls `on_open` with its id, 0 for a new one.

    propose: asks a model, whose answer comes by `show_proposals`.
    """

    def __init__(
        self,
        project: GradingProject,
        person: str,
        on_open: Callable[[int], None],
        propose: Callable[[], None],
    ) -> None:
        super().__init__()
        self._project = project
        self._person = person
        self._on_open = on_open
        self._propose = propose
        self._ids: list[int] = []
        self._grid = Grid(
            on_open=lambda row: on_open(self._ids[row]), caption="Criteria", rows_height=420, empty=COMING
        )
        self._more = place()
        self._earlier = button("Dropped and merged", self._show_earlier, visible=False)

    def __panel__(self) -> Viewable:
        shown = card(
            "Criteria",
            "What makes an output good. Change them at any time.",
            self._grid,
            line(
                button("Write one", self._write),
                button("From the library", self._library),
                button("Ask a model", self._propose),
                self._earlier,
            ),
            self._more,
        )
        shown.styles = {**shown.styles, "position": "sticky", "top": "0", "align-self": "start"}
        return shown

    def show(self, selected: int) -> None:
        """Read the criteria again and mark the one that is open."""
        criteria = [self._project.overall(), *self._project.criteria()]
        self._ids = [each.id for each in criteria]
        self._grid.show(COLUMNS, [self._row(each) for each in criteria])
        self._grid.selected = self._ids.index(selected) if selected in self._ids else -1
        self._earlier.visible = bool(self._retired())

    def show_proposals(self, proposals: list[ProposedCriterion]) -> None:
        """What a model proposed, each to be taken or left."""
        if not proposals:
            fill(
                self._more, notice("Nothing new", "The model proposed only criteria that are there already.")
            )
            return
        parts = [
            stack(
                sentence(f"{each.name}: {each.text}\n{each.why}"),
                line(button("Take it", lambda each=each: self._take(each.name, each.text))),  # type: ignore[misc]
                gap=4,
            )
            for each in proposals
        ]
        fill(self._more, sentence("Proposed by the model. Take what fits; you can reword it."), *parts)

    def _retired(self) -> list[Criterion]:
        return [each for each in self._project.criteria(include_inactive=True) if each.status != "active"]

    def _show_earlier(self) -> None:
        names = {each.id: each.name for each in self._project.criteria(include_inactive=True)}
        parts = [
            stack(
                sentence(f"{each.name}: {each.text}\n{_fate(each, names)}"),
                line(button("Bring it back", lambda each=each: self._restore(each.id))),  # type: ignore[misc]
                gap=4,
            )
            for each in self._retired()
        ]
        fill(self._more, sentence("Out of use, with their grades kept."), *parts)

    def _restore(self, criterion_id: int) -> None:
        try:
            self._project.book.restore(criterion_id)
        except PlumblineError as error:
            fill(self._more, notice("Not brought back", str(error), tone="bad"))
            return
        fill(self._more)
        self._on_open(criterion_id)

    def _row(self, criterion: Criterion) -> list[str]:
        grades = [g for g in self._project.grades(criterion.id) if g.passed is not None]
        fresh = len({g.output for g in grades if not g.stale})
        stale = len({g.output for g in grades if g.stale})
        shown = f"{fresh} ({stale})" if stale else str(fresh)
        return [criterion.name, shown, str(len(self._project.judges(criterion.id)))]

    def _write(self) -> None:
        fill(self._more)
        self._on_open(0)

    def _library(self) -> None:
        fill(self._more, LibraryForm(self._project, self._person, self._taken))

    def _taken(self, criterion_id: int) -> None:
        fill(self._more)
        self._on_open(criterion_id)

    def _take(self, name: str, text: str) -> None:
        try:
            added = self._project.add_criterion(name, text, by=self._person, source="model")
        except PlumblineError as error:
            fill(self._more, notice("Not added", str(error), tone="bad"))
            return
        self._on_open(added.id)


def _fate(criterion: Criterion, names: dict[int, str]) -> str:
    if criterion.merged_into is None:
        return "Dropped."
    return f"Merged into {names.get(criterion.merged_into, 'another')}."
