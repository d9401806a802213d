"""What was found in a file of outputs, for the person to say what its columns are before anything is stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, checkbox, choice, several, text_field, typed
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.import_review import problems_grid
from plumbline_app.components.judged_columns import NONE, JudgedColumns
from plumbline_app.components.layout import card, fill, line, place, side_by_side, stack
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import InputError, PlumblineError, shorten
from plumbline_backend.importers.outputs_formats import OutputsPreview
from plumbline_backend.importers.outputs_mapping import OutputMapping

CELL_LENGTH = 160
FORMATS = {"table": "a table", "promptfoo": "promptfoo's results", "inspect": "an Inspect log"}
PARTS = (
    ("response", "Output", "what the model answered"),
    ("id", "Id", "names an output; the row's number without one"),
    ("prompt", "Prompt", "what it was asked"),
    ("system", "System", "which model or prompt answered"),
    ("reference", "Reference", "a good answer"),
)


@dataclass(frozen=True)
class OutputsChoice:
    """What the person settled on; mapping None where the format names its parts itself."""

    name: str
    mapping: OutputMapping | None
    skip_bad_rows: bool


class OutputsReview(Viewer):
    """What was found, what each column is, ten rows, and the project's name."""

    def __init__(
        self,
        file_name: str,
        preview: OutputsPreview,
        on_import: Callable[[OutputsChoice], None],
        on_back: Callable[[], None],
    ) -> None:
        super().__init__()
        self._file_name, self._preview = file_name, preview
        self._on_import, self._on_back = on_import, on_back
        proposed = preview.proposed or OutputMapping(response="")
        columns = [NONE, *preview.columns]
        self._parts = {
            part: choice(label, columns, getattr(proposed, part) or NONE, sizing_mode="stretch_width")
            for part, label, _ in PARTS
        }
        self._variables = several("Variables of the prompt", preview.columns, proposed.variables)
        self._judged = JudgedColumns(preview.columns, proposed.grades, proposed.verdicts)
        self._skip = checkbox(
            "Leave out rows that cannot be read, and import the rest", bool(preview.problems)
        )
        self._wrong = place()
        self._name = text_field("Project name", Path(file_name).stem, sizing_mode="stretch_width")

    def __panel__(self) -> Viewable:
        rows = Grid(caption="The first outputs", rows_height=420)
        rows.show(*_table(self._preview))
        found = f"{self._file_name} is {FORMATS[self._preview.format]} with {self._preview.n_rows:,} outputs."
        parts: list[Any] = [card("What was found", "", sentence(found), *self._notes())]
        if self._preview.format == "table":
            parts += [self._columns_card(), self._judged_card()]
        parts.append(card("The first outputs", "As they will be read.", rows))
        if self._preview.problems:
            n = f"{len(self._preview.problems):,} rows cannot be read."
            parts.append(card("Problems", n, problems_grid(self._preview.problems)))
        start = button("Import", self._import, strong=True)
        back = button("Choose another file", self._on_back)
        parts.append(card("The project", "", self._name, self._skip, self._wrong, line(start, back)))
        return stack(*parts)

    def _notes(self) -> list[Viewable]:
        notes = "\n".join(self._preview.notes)
        return [notice("Worth a look", notes, tone="warn")] if notes else []

    def _columns_card(self) -> Viewable:
        below = "What each column is, as its name suggests. The others are kept with the output."
        named = [stack(self._parts[part], sentence(hint), gap=4) for part, _, hint in PARTS]
        return card("Columns", below, side_by_side(*named, narrow_px=240), self._variables)

    def _judged_card(self) -> Viewable:
        below = "What people and judges said of these outputs already, if anything."
        return card("Grades and verdicts", below, self._judged)

    def _import(self) -> None:
        """Import what was chosen, or say what is wrong with it and keep the choices."""
        fill(self._wrong)
        try:
            self._on_import(OutputsChoice(typed(self._name), self._mapping(), self._skip.value))
        except PlumblineError as error:
            fill(self._wrong, notice("Not imported", str(error), tone="bad"))

    def _mapping(self) -> OutputMapping | None:
        """The choices as a mapping. Raises InputError for one without a response, or that says something twice."""
        if self._preview.format != "table":
            return None
        chosen = {part: None if field.value == NONE else field.value for part, field in self._parts.items()}
        if chosen["response"] is None:
            raise InputError("Output: no column is chosen; expected the one with what the model answered")
        found = OutputMapping(
            response=chosen["response"],
            id=chosen["id"],
            prompt=chosen["prompt"],
            system=chosen["system"],
            reference=chosen["reference"],
            variables=tuple(self._variables.value),
            grades=self._judged.grades(),
            verdicts=self._judged.verdicts(),
        )
        return OutputMapping.from_dict(found.to_dict())


def _table(preview: OutputsPreview) -> tuple[list[Any], list[list[str]]]:
    """Headings and cells of the first rows."""
    names = list(preview.columns) or list(dict.fromkeys(name for row in preview.rows for name in row))
    columns = [grid_column(name) for name in names]
    return columns, [[_cell(row.get(name)) for name in names] for row in preview.rows]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return shorten(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), CELL_LENGTH)
