"""Which columns of a table hold people's grades and judges' verdicts, a row for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice, text_field, typed
from plumbline_app.components.layout import fill, line, place, side_by_side, stack
from plumbline_app.components.words import heading, sentence
from plumbline_app.theme import SPACE_PX
from plumbline_backend.domain.errors import InputError
from plumbline_backend.importers.outputs_mapping import GradeColumn, VerdictColumn, verdict_column

NONE = "(none)"
FIELD_PX = 140
LIMIT_HINT = "4"


class GradeRow(Viewer):
    """One column of grades: whose, of which criterion, with which remarks."""

    def __init__(
        self, columns: Sequence[str], given: GradeColumn, on_remove: Callable[[GradeRow], None]
    ) -> None:
        super().__init__()
        options = [NONE, *columns]
        self._column = _choice("Grades in", options, given.column)
        self._grader = _text("Graded by", given.grader)
        self._criterion = _text("Criterion", placeholder="overall")
        self._note = _choice("Remarks in", options, given.note)
        self._limit = _text("Good from (number)", placeholder=LIMIT_HINT)
        self._remove = button("Remove these grades", lambda: on_remove(self))

    def __panel__(self) -> Viewable:
        fields = side_by_side(
            self._column, self._grader, self._criterion, self._note, self._limit, narrow_px=FIELD_PX
        )
        return _row(fields, self._remove)

    def chosen(self) -> GradeColumn | None:
        """None while no column is chosen. Raises InputError for a limit that is no number."""
        column = _picked(self._column)
        if column is None:
            return None
        return GradeColumn(
            column,
            typed(self._grader).strip() or "the file",
            typed(self._criterion).strip() or None,
            _picked(self._note),
            _limit(column, typed(self._limit)),
        )


class VerdictRow(Viewer):
    """One column of verdicts: whose, with which scores and explanations. What begins alike is proposed with it."""

    def __init__(
        self, columns: Sequence[str], given: VerdictColumn, on_remove: Callable[[VerdictRow], None]
    ) -> None:
        super().__init__()
        options = [NONE, *columns]
        self._columns = columns
        self._column = _choice("Verdicts in", options, given.column)
        self._judge = _text("Judge", given.judge)
        self._score = _choice("Scores in", options, given.score)
        self._explanation = _choice("Explanations in", options, given.explanation)
        self._criterion = _text("Criterion", placeholder="overall")
        self._limit = _text("Pass from (number)", placeholder=LIMIT_HINT)
        self._remove = button("Remove these verdicts", lambda: on_remove(self))
        self._column.param.watch(self._propose, "value")

    def __panel__(self) -> Viewable:
        fields = side_by_side(
            self._column,
            self._judge,
            self._criterion,
            self._score,
            self._explanation,
            self._limit,
            narrow_px=FIELD_PX,
        )
        return _row(fields, self._remove)

    def chosen(self) -> VerdictColumn | None:
        """None while no column is chosen. Raises InputError for a limit that is no number."""
        column = _picked(self._column)
        if column is None:
            return None
        return VerdictColumn(
            column,
            typed(self._judge).strip() or column,
            _picked(self._score),
            _picked(self._explanation),
            _limit(column, typed(self._limit)),
            typed(self._criterion).strip() or None,
        )

    def _propose(self, event: Any) -> None:
        if event.new == NONE:
            return
        found = verdict_column(event.new, self._columns)
        self._judge.value = found.judge
        self._score.value = found.score or NONE
        self._explanation.value = found.explanation or NONE


class JudgedColumns(Viewer):
    """Grades and verdicts that come with a table; as many columns of each as there are."""

    def __init__(
        self, columns: Sequence[str], grades: Sequence[GradeColumn], verdicts: Sequence[VerdictColumn]
    ) -> None:
        super().__init__()
        self._columns = columns
        self._grades = [GradeRow(columns, each, self._without_grades) for each in grades]
        self._verdicts = [VerdictRow(columns, each, self._without_verdicts) for each in verdicts]
        self._grade_rows, self._verdict_rows = place(), place()

    def __panel__(self) -> Viewable:
        self._draw()
        return stack(
            heading("Grades of people", level=2),
            sentence("Good or bad, true or false, 1 or 0, or numbers such as ratings with a limit."),
            self._grade_rows,
            line(button("Add a column of grades", self._add_grades)),
            heading("Verdicts of judges", level=2),
            sentence("They become imported judges, measured against the grades like any other."),
            self._verdict_rows,
            line(button("Add a column of verdicts", self._add_verdicts)),
        )

    def grades(self) -> tuple[GradeColumn, ...]:
        """The columns of grades that were chosen. Raises InputError."""
        return tuple(found for row in self._grades if (found := row.chosen()) is not None)

    def verdicts(self) -> tuple[VerdictColumn, ...]:
        """The columns of verdicts that were chosen. Raises InputError."""
        return tuple(found for row in self._verdicts if (found := row.chosen()) is not None)

    def _add_grades(self) -> None:
        self._grades.append(GradeRow(self._columns, GradeColumn("", "the file"), self._without_grades))
        self._draw()

    def _add_verdicts(self) -> None:
        self._verdicts.append(VerdictRow(self._columns, VerdictColumn("", ""), self._without_verdicts))
        self._draw()

    def _without_grades(self, row: GradeRow) -> None:
        self._grades.remove(row)
        self._draw()

    def _without_verdicts(self, row: VerdictRow) -> None:
        self._verdicts.remove(row)
        self._draw()

    def _draw(self) -> None:
        fill(self._grade_rows, *self._grades)
        fill(self._verdict_rows, *self._verdicts)


def _row(fields: Viewable, remove: Viewable) -> Viewable:
    rule = {"border-bottom": "1px solid var(--pl-line)", "padding-bottom": f"{SPACE_PX[2]}px"}
    return stack(fields, line(remove), gap=SPACE_PX[2], styles=rule)


def _choice(label: str, options: Sequence[str], value: str | None) -> pmui.Select:
    return choice(label, options, value or NONE, sizing_mode="stretch_width")


def _text(label: str, value: str = "", **more: Any) -> pmui.TextInput:
    return text_field(label, value, sizing_mode="stretch_width", **more)


def _picked(field: pmui.Select) -> str | None:
    return None if field.value == NONE else str(field.value)


def _limit(column: str, text: str) -> float | None:
    """The number from which on a number is good. Raises InputError."""
    if not text.strip():
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise InputError(
            f"{column}: the limit {text!r} is no number; expected one such as 4, or nothing"
        ) from error
