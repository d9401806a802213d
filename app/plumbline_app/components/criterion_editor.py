"""One criterion: its words, its limits, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, checkbox, choice, text_area, text_field, typed
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.model_tables import when
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import InputError, PlumblineError
from plumbline_backend.domain.grades import Criterion

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

KINDS = {"Passes or fails": "pass_fail", "A rating from 1 to 5": "rating"}


class CriterionEditor(Viewer):
    """Edits a criterion, or writes a new one when there is none. `on_change(id)` is called after every change."""

    def __init__(
        self,
        project: GradingProject,
        person: str,
        criterion: Criterion | None,
        on_change: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._project = project
        self._person = person
        self._criterion = criterion
        self._on_change = on_change
        self._said = place()

    def __panel__(self) -> Viewable:
        known = self._criterion
        self._name = text_field(
            "Name", known.name if known else "", sizing_mode="stretch_width", max_length=120
        )
        self._text = text_area(
            "Statement that an output satisfies or not", known.text if known else "", rows=2
        )
        self._guidelines = text_area(
            "Guidelines: what decides the hard cases", known.guidelines if known else "", rows=2
        )
        if known is None:
            self._kind = choice("Answers", KINDS, "pass_fail")
            return card(
                "New criterion",
                "One statement, precise enough that two people would agree.",
                self._said,
                self._name,
                self._text,
                self._guidelines,
                line(self._kind),
                line(button("Add the criterion", self._add, strong=True)),
            )
        if known.overall:
            self._name.visible = False
            below = "The question that every output is asked."
            return card(known.name, below, self._said, self._text, self._guidelines, self._saving())
        return card(
            known.name,
            _standing(known),
            self._said,
            self._name,
            self._text,
            self._guidelines,
            line(*self._limits(known)),
            self._saving(),
            line(*self._endings(known)),
            sentence(_history(self._project, known)),
        )

    def _limits(self, known: Criterion) -> list[Any]:
        limit = "" if known.ffr_limit is None else f"{100 * known.ffr_limit:g}"
        self._limit = text_field(
            "Most good outputs that its judge may fail, %", limit, width=330, placeholder="no limit"
        )
        self._pass_from = choice("Passes from rating", ["2", "3", "4", "5"], str(known.pass_from))
        return [self._limit, self._pass_from] if known.kind == "rating" else [self._limit]

    def _saving(self) -> Viewable:
        self._same = checkbox("Same meaning, only better words: grades stay in force", False)
        return line(button("Save", self._save, strong=True), self._same)

    def _endings(self, known: Criterion) -> list[Any]:
        others = {each.name: each.id for each in self._project.criteria() if each.id != known.id}
        drop = button("Drop", self._drop)
        if not others:
            return [drop]
        self._into = choice("Merge into", others, next(iter(others.values())))
        return [self._into, button("Merge", self._merge), drop]

    def _add(self) -> None:
        def add() -> int:
            options = {"guidelines": typed(self._guidelines).strip(), "kind": self._kind.value}
            return self._project.add_criterion(
                typed(self._name), typed(self._text), by=self._person, **options
            ).id

        self._change(add)

    def _save(self) -> None:
        known = self._known()
        changes: dict[str, Any] = {"text": typed(self._text), "guidelines": typed(self._guidelines).strip()}

        def save() -> int:
            if not known.overall:
                changes["name"] = typed(self._name)
                changes["ffr_limit"] = _share(typed(self._limit))
            if known.kind == "rating":
                changes["pass_from"] = int(self._pass_from.value)
            self._project.edit_criterion(
                known.id, by=self._person, same_meaning=bool(self._same.value), **changes
            )
            return known.id

        self._change(save)

    def _merge(self) -> None:
        self._change(lambda: self._project.book.merge(self._known().id, self._into.value).id)

    def _drop(self) -> None:
        def drop() -> int:
            self._project.book.drop(self._known().id)
            return self._project.overall().id

        self._change(drop)

    def _change(self, change: Callable[[], int]) -> None:
        try:
            changed = change()
        except PlumblineError as error:
            fill(self._said, notice("Not saved", str(error), tone="bad"))
            return
        fill(self._said)
        self._on_change(changed)

    def _known(self) -> Criterion:
        if self._criterion is None:
            raise LookupError("a criterion that is not there yet cannot be changed")
        return self._criterion


def _standing(criterion: Criterion) -> str:
    stale = (
        "" if criterion.valid_from == 1 else f"; grades from before version {criterion.valid_from} are stale"
    )
    return f"Version {criterion.version}{stale}. Its source: {criterion.source}."


def _history(project: GradingProject, criterion: Criterion) -> str:
    lines = [
        f"Version {change.version}, {when(change.at)}, {change.by}: {change.change}"
        for change in project.book.history(criterion.id)[:6]
    ]
    return "\n".join(lines)


def _share(text: str) -> float | None:
    """A percentage as a share; None where the field is empty."""
    clean = text.strip().removesuffix("%").strip()
    if not clean:
        return None
    try:
        return float(clean) / 100
    except ValueError as error:
        raise InputError(f"limit: found {text!r}; expected a percentage from 0 to 100, or nothing") from error
