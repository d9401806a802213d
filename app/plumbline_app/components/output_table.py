"""All outputs by all judges, with the grade beside them, and the open output in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import param
from numpy.typing import NDArray
from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice
from plumbline_app.components.grid import COMING, Grid, grid_column
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.alignment import BAD, GOOD, UNGRADED
from plumbline_backend.judges.verdicts import ABSTAINED, ERROR, FAILED, NOT_RUN, PASSED, STALE, VerdictTable

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

PER_PAGE = 50
SIGNS = {
    PASSED: "✓",
    FAILED: "✗ fails",
    ERROR: "error",
    ABSTAINED: "n/a",
    NOT_RUN: None,
    STALE: "older wording",
}
GRADES = {GOOD: "good", BAD: "bad", UNGRADED: None}
FILTERS = {
    "All outputs": "all",
    "Disagreements: the chosen set against your grade": "disagree",
    "Judges that differ among themselves": "differ",
    "Errors": "errors",
    "Graded": "graded",
    "Not graded": "ungraded",
}


class _Table(NamedTuple):
    """What the rows are made of: grades (n_outputs,), verdicts, and what the chosen judges say together."""

    grades: NDArray[np.int8]
    verdicts: VerdictTable
    chosen: NDArray[np.int8]


class OutputTable(Viewer):
    """Rows are outputs, columns are judges."""

    show_only = param.Selector(default="all", objects=list(FILTERS.values()), doc="Which outputs are listed.")
    page = param.Integer(default=0, bounds=(0, None))

    def __init__(self, project: GradingProject, slug: str) -> None:
        super().__init__()
        self._project = project
        self._slug = slug
        self._table: _Table | None = None
        self._positions: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._grid = Grid(
            on_open=self._opened,
            caption="Outputs by judges",
            rows_height=460,
            empty=COMING,
        )
        self._told = sentence("")
        self._detail = place()
        self._filter = choice("Show", FILTERS, "all", width=420)
        self._filter.param.watch(self._filtered, "value")
        self._earlier = button("Earlier", lambda: self._turn(-1))
        self._later = button("Later", lambda: self._turn(1))

    def __panel__(self) -> Viewable:
        return card(
            "Outputs by judges",
            "Open an output to read it and what every judge said of it.",
            line(self._filter, self._earlier, self._later),
            self._told,
            self._grid,
            self._detail,
        )

    def show(self) -> None:
        """Read grades and verdicts again."""
        verdicts = self._project.verdict_table()
        chosen = verdicts.only([judge.id for judge in self._project.chosen_judges()]).as_set()
        self._table = _Table(self._project.truth(), verdicts, chosen)
        self._list()

    def _filtered(self, event: Any) -> None:
        self.param.update(show_only=event.new, page=0)
        self._list()

    def _turn(self, step: int) -> None:
        self.page = max(0, self.page + step)
        self._list()

    def _list(self) -> None:
        if self._table is None:
            return
        found = np.flatnonzero(matching(self._table, self.show_only))
        last = max(0, (len(found) - 1) // PER_PAGE)
        self.page = min(self.page, last)
        self._positions = found[self.page * PER_PAGE : (self.page + 1) * PER_PAGE]
        self._earlier.disabled, self._later.disabled = self.page == 0, self.page >= last
        begin = self.page * PER_PAGE
        shown = f"{begin + 1:,} to {begin + len(self._positions):,} of " if len(found) > PER_PAGE else ""
        self._told.object = sentence(f"{shown}{len(found):,} outputs.").object
        table = self._table
        judges = [grid_column(judge.name, "name") for judge in table.verdicts.judges]
        columns = [
            grid_column("Output", "long"),
            grid_column("Grade", "name"),
            grid_column("Set", "name", "The chosen judges together"),
            *judges,
        ]
        outputs = self._project.outputs(self._positions.tolist())
        rows = []
        for output in outputs:
            codes = [SIGNS[int(code)] for code in table.verdicts.codes[output.position]]
            words = " ".join(output.response[:400].split())[:200] or "(empty)"
            rows.append(
                [
                    words,
                    GRADES[int(table.grades[output.position])],
                    SIGNS[int(table.chosen[output.position])],
                    *codes,
                ]
            )
        self._grid.empty = "No output is like that."
        self._grid.show(columns, rows)
        fill(self._detail)

    def _opened(self, row: int) -> None:
        position = int(self._positions[row])
        output = self._project.output(position)
        said = []
        for judge in self._project.judges():
            for verdict in self._project.verdicts(judge.id, position):
                name = self._project.criterion(judge.criterion_id).name
                older = " by an older wording" if verdict.stale else ""
                said.append(
                    f"{name}, {judge.name}: {verdict.state}{older}"
                    + (f". {verdict.note}" if verdict.note else "")
                )
        notes = [
            f"{g.grader}: {g.answer or g.state}" + (f". {g.note}" if g.note else "")
            for g in self._project.grades(output=position)
        ]
        asked = "\n".join([*(f"{name}: {value}" for name, value in output.variables.items()), output.prompt])
        fill(
            self._detail,
            notice(
                f"Output {output.key}",
                output.response[:20_000],
                link=(f"/p/{self._slug}/grade?output={position}", "Open it on the Grade page"),
            ),
            card("", "", sentence("What was asked\n" + asked[:8000])),
            card(
                "",
                "",
                sentence(
                    "\n".join(["Grades", *(notes or ["none"]), "", "Judges", *(said or ["none has run"])])
                ),
            ),
        )


def matching(table: _Table, show_only: str) -> NDArray[np.bool_]:
    """(n_outputs,) which outputs a filter lists."""
    codes = table.verdicts.codes
    if show_only == "disagree":
        return ((table.grades == GOOD) & (table.chosen == FAILED)) | (
            (table.grades == BAD) & (table.chosen == PASSED)
        )
    if show_only == "differ":
        return (codes == FAILED).any(axis=1) & (codes == PASSED).any(axis=1)
    if show_only == "errors":
        return (codes == ERROR).any(axis=1)
    if show_only == "graded":
        return table.grades != UNGRADED
    if show_only == "ungraded":
        return table.grades == UNGRADED
    return np.ones(len(codes), dtype=bool)
