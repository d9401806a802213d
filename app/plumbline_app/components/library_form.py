"""Criteria of the library: choose one, set what stands in it, take it with its assertion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice, text_field, typed
from plumbline_app.components.layout import fill, line, place, stack
from plumbline_app.components.words import notice, sentence
from plumbline_backend.criteria.library import LIBRARY, LibraryEntry, entry, filled
from plumbline_backend.domain.errors import InputError, PlumblineError

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject


class LibraryForm(Viewer):
    """Adds a criterion of the library to the project; `on_taken` is called with its id."""

    def __init__(self, project: GradingProject, person: str, on_taken: Callable[[int], None]) -> None:
        super().__init__()
        self._project = project
        self._person = person
        self._on_taken = on_taken
        self._fields: dict[str, Any] = {}
        self._parameters = place()
        self._told = sentence("")
        self._said = place()

    def __panel__(self) -> Viewable:
        names = {f"{each.group}: {_plain_name(each)}": each.key for each in LIBRARY}
        self._pick = choice("Criterion of the library", names, LIBRARY[0].key, sizing_mode="stretch_width")
        self._pick.param.watch(lambda _: self._draw(), "value")
        self._draw()
        return stack(
            self._pick, self._parameters, self._told, self._said, line(button("Take it", self._take)), gap=12
        )

    def _draw(self) -> None:
        found = entry(self._pick.value)
        self._fields = {
            name: text_field(_label(name, default), _shown(default), sizing_mode="stretch_width")
            for name, default in found.parameters.items()
        }
        fill(self._parameters, *self._fields.values())
        brings = (
            "It brings a Python assertion." if found.has_code else "A grader, a head or you must judge it."
        )
        self._told.object = sentence(f"{filled(found.key).text} {brings}").object
        fill(self._said)

    def _take(self) -> None:
        found = entry(self._pick.value)
        try:
            parameters = {
                name: _read(name, typed(field), found.parameters[name])
                for name, field in self._fields.items()
            }
            added, _ = self._project.add_from_library(found.key, by=self._person, parameters=parameters)
        except PlumblineError as error:
            fill(self._said, notice("Not added", str(error), tone="bad"))
            return
        self._on_taken(added.id)


def _plain_name(found: LibraryEntry) -> str:
    return filled(found.key).name


def _label(name: str, default: Any) -> str:
    words = name.replace("_", " ").capitalize()
    return f"{words}, separated by commas" if isinstance(default, list) else words


def _shown(default: Any) -> str:
    return ", ".join(default) if isinstance(default, list) else str(default)


def _read(name: str, text: str, default: Any) -> Any:
    """A parameter in the type of its default."""
    if isinstance(default, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(default, int):
        try:
            return int(text.strip())
        except ValueError as error:
            raise InputError(f"{name}: found {text!r}; expected a whole number") from error
    return text
