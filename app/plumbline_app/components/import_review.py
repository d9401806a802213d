"""The second step of an import: what was found in the file, for the person to correct before anything is committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice, radio, text_field, typed
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card, line, stack
from plumbline_app.components.roles import ColumnRoles
from plumbline_app.components.text_features import TextFeatures
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import Problem, shorten
from plumbline_backend.domain.types import Column
from plumbline_backend.importers.source import Preview
from plumbline_backend.pool.features import FeaturePart
from plumbline_backend.registry import KINDS
from plumbline_backend.workspace import DEFAULT_KIND

LABEL_USES = {
    "Reference: keep it beside the items, hidden while labelling": "reference",
    "Training: take it as answers already given": "training",
    "Ignore: leave it out": "ignore",
}
ON_PROBLEM = {
    "Stop and import nothing when a row cannot be read": "refuse",
    "Skip these rows and import the rest": "skip",
}
CELL_LENGTH = 200
FEATURE_ROLES = ("numeric", "features", "category", "text", "image")


@dataclass(frozen=True)
class ImportChoice:
    """What the person settled on."""

    name: str
    text: str
    columns: tuple[Column, ...]
    label_use: str
    on_problem: str
    kind: str
    features: tuple[FeaturePart, ...]


class ImportReview(Viewer):
    """Summary, roles, ten rows, problems, the label's use and the project's name."""

    def __init__(
        self,
        file_name: str,
        preview: Preview,
        on_import: Callable[[ImportChoice], None],
        on_back: Callable[[], None],
        draft: Mapping[str, Any] | None = None,
        on_draft: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        """draft: what `on_draft` was told before, to go on from there; what it cannot mean is left out."""
        super().__init__()
        self._file_name, self._preview = file_name, preview
        self._on_import, self._on_back, self._on_draft = on_import, on_back, on_draft
        draft = draft or {}
        self._name = text_field("Project name", _project_name(file_name), sizing_mode="stretch_width")
        kinds = {name: KINDS.get(name) for name in KINDS.names()}
        self._kind = choice(
            "Kind of question", {k.title: name for name, k in kinds.items()}, DEFAULT_KIND, width=260
        )
        self._about_kind = sentence(kinds[DEFAULT_KIND].explanation)
        self._text = text_field("Question", kinds[DEFAULT_KIND].question, sizing_mode="stretch_width")
        self._kind.param.watch(self._kind_changed, "value")
        corrected, models = draft.get("roles"), draft.get("embed")
        self._roles = ColumnRoles(
            preview.columns, self._roles_changed, corrected if isinstance(corrected, dict) else {}
        )
        self._text_features = TextFeatures(
            models if isinstance(models, dict) else {}, lambda: self._on_draft(self._draft())
        )
        self._label_use = radio("", LABEL_USES, "reference")
        self._on_problem = radio("", ON_PROBLEM, "skip" if preview.problems else "refuse")
        self._wrong = sentence("")
        self._start = button("Import", self._import, strong=True)
        self._label_card = card(
            "The existing label",
            "What the label column is for; it can be changed only by importing again.",
            self._label_use,
        )
        self._drafted = {
            "name": self._name,
            "kind": self._kind,
            "text": self._text,
            "label_use": self._label_use,
            "on_problem": self._on_problem,
        }
        self._untouched = {name: widget.value for name, widget in self._drafted.items()}
        self._take(draft)

    def _take(self, draft: Mapping[str, Any]) -> None:
        """Go on from an earlier draft, and tell of every change from here on."""
        for name, widget in self._drafted.items():
            given, options = draft.get(name), getattr(widget, "options", None)
            if isinstance(given, str) and (options is None or given in options.values()):
                widget.value = given
            widget.param.watch(lambda _: self._on_draft(self._draft()), "value")

    def _draft(self) -> Mapping[str, Any]:
        """What the person changed so far."""
        changed = {
            name: widget.value
            for name, widget in self._drafted.items()
            if widget.value != self._untouched[name]
        }
        beside = {"roles": self._roles.corrected(), "embed": self._text_features.models()}
        return changed | {name: chosen for name, chosen in beside.items() if chosen}

    def __panel__(self) -> Viewable:
        self._show_mistakes()
        rows = Grid(caption="The first ten rows", rows_height=460)
        rows.show(*preview_table(self._preview))
        shown = len(self._preview.rows)
        parts = [
            card("What was found", "", sentence(summary(self._file_name, self._preview)), *self._notes()),
            card("Columns", "Our guess and the reason for each; correct what is wrong.", self._roles),
            self._text_features,
            card(
                f"The first {shown} rows" if shown != 1 else "The only row looked at",
                "As they will be read.",
                rows,
            ),
            self._problems_card(),
            self._label_card,
            card(
                "The project",
                "",
                self._name,
                line(self._kind, self._about_kind),
                self._text,
                self._wrong,
                line(self._start, button("Choose another file", self._on_back)),
            ),
        ]
        return stack(*parts)

    def _notes(self) -> list[Viewable]:
        return (
            [notice("Worth a look", "\n".join(self._preview.notes), tone="warn")]
            if self._preview.notes
            else []
        )

    def _problems_card(self) -> Viewable:
        problems = self._preview.problems
        if not problems:
            return card(
                "Problems",
                "None in the rows looked at. Later rows are checked during the import.",
                self._on_problem,
            )
        below = f"{len(problems):,} in the rows looked at; later rows are checked during the import."
        return card("Problems", below, problems_grid(problems), self._on_problem)

    def _roles_changed(self) -> None:
        self._on_draft(self._draft())
        self._show_mistakes()

    def _show_mistakes(self) -> None:
        columns = self._roles.chosen()
        roles = [column.role for column in columns]
        self._text_features.show([column.name for column in columns if column.role == "text"])
        self._label_card.visible = "label" in roles
        wrong = role_mistakes(roles)
        self._start.disabled = bool(wrong)
        self._wrong.object = sentence(" ".join(wrong)).object
        self._wrong.visible = bool(wrong)

    def _kind_changed(self, event: Any) -> None:
        """Say what the kind is for; the question follows it until somebody has written one."""
        before, now = KINDS.get(event.old), KINDS.get(event.new)
        self._about_kind.object = sentence(now.explanation).object
        if typed(self._text) in ("", before.question):
            self._text.value = now.question

    def _import(self) -> None:
        settled = ImportChoice(
            name=self._name.value_input or self._name.value,
            text=self._text.value_input or self._text.value,
            columns=self._roles.chosen(),
            label_use=self._label_use.value,
            on_problem=self._on_problem.value,
            kind=self._kind.value,
            features=self._text_features.chosen(),
        )
        self._on_import(settled)


def role_mistakes(roles: Sequence[str]) -> list[str]:
    """What keeps these roles from being imported, in sentences; empty when nothing does."""
    wrong = []
    for role, words in (("id", "id"), ("label", "existing label")):
        n = roles.count(role)
        if n > 1:
            wrong.append(f"{n} columns have the role {words}; expected at most one.")
    if not set(roles) & set(FEATURE_ROLES):
        wrong.append(
            "No column gives features; expected at least one number, category, text, image or feature vector."
        )
    return wrong


def summary(file_name: str, preview: Preview) -> str:
    """One sentence about the file: format, encoding, rows, columns."""
    rows = "rows counted during the import" if preview.n_rows is None else f"{preview.n_rows:,} rows"
    encoding = f", {preview.encoding}" if preview.encoding else ""
    return f"{file_name}: {preview.format}{encoding}, {rows}, {len(preview.columns):,} columns."


def preview_table(preview: Preview) -> tuple[list[Any], list[list[Any]]]:
    """Columns and rows of a grid; cells by place, so that a column's name can be anything."""
    columns = [
        grid_column(column.name, "text", f"{column.name} ({column.type})") for column in preview.columns
    ]
    rows = [[cell(row.get(column.name)) for column in preview.columns] for row in preview.rows]
    return columns, rows


def problems_grid(problems: Sequence[Problem | Mapping[str, Any]]) -> Grid:
    """A row per problem: where it is, what was found, what was expected."""
    grid = Grid(caption="Problems", rows_height=360)
    columns = [
        grid_column("File"),
        grid_column("Row", "number"),
        grid_column("Column"),
        grid_column("Found"),
        grid_column("Expected"),
    ]
    grid.show(columns, [_problem_row(problem) for problem in problems])
    return grid


def cell(value: Any) -> str | None:
    """A value as a table shows it: text as it is, long values cut, binary data by its size."""
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value):,} bytes"
    if isinstance(value, float):
        return f"{value:.6g}"
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        shown = ", ".join(cell(v) or "–" for v in value[:6])
        return f"[{shown}{', …' if len(value) > 6 else ''}] ({len(value):,})"
    return shorten(str(value), CELL_LENGTH)


def _problem_row(problem: Problem | Mapping[str, Any]) -> list[Any]:
    if isinstance(problem, Problem):
        return _problem_row(vars(problem))
    row = problem.get("row")
    found = problem.get("value")
    return [
        problem.get("file"),
        None if row is None else f"{row:,}",
        problem.get("column"),
        None if found is None else shorten(str(found), CELL_LENGTH),
        problem.get("expected"),
    ]


def _project_name(file_name: str) -> str:
    stem = file_name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return stem.replace("_", " ").replace("-", " ").strip() or "Project"
