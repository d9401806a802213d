"""The options of a question kind's own head, on the Model page."""

from __future__ import annotations

from collections.abc import Callable

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice
from plumbline_app.components.head_settings import HeadSettingsForm
from plumbline_app.components.layout import card, fill, line, place, stack
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.making import head_class
from plumbline_backend.project import Project


class KindHeadCard(Viewer):
    """A choice for each option that the head offers, and a button that trains with them."""

    def __init__(self, project: Project, on_chosen: Callable[[], None]) -> None:
        super().__init__()
        self._project, self._on_chosen = project, on_chosen
        self._head = head_class(project.heads.chosen)
        in_force = project.loop.head_settings
        self._fields = {
            option.name: choice(
                option.title, option.values, in_force.get(option.name, option.default), width=300
            )
            for option in self._head.OPTIONS
        }
        self._settings = HeadSettingsForm(self._changed)
        self._settings.show(
            project.heads.tunable(self._head.name),
            project.heads.settings(self._head.name),
            without=[option.name for option in self._head.OPTIONS],
        )
        self._train = button("Train with these", self._choose, strong=True)
        self._said = place()

    def __panel__(self) -> Viewable:
        rows = [
            line(self._fields[option.name], sentence(option.meaning), **{"flex-wrap": "nowrap"})
            for option in self._head.OPTIONS
        ]
        parts = [stack(*rows)] if rows else []
        return card("Head", self._head.explanation, *parts, self._settings, line(self._train), self._said)

    def poll(self) -> None:
        """Nothing of it runs in the background."""

    def _changed(self) -> None:
        self._train.disabled = bool(self._settings.problems)

    def _choose(self) -> None:
        chosen = {
            option.name: self._fields[option.name].value
            for option in self._head.OPTIONS
            if self._fields[option.name].value != option.default
        } | self._settings.values
        try:
            self._project.heads.choose(self._head.name, chosen)
        except InputError as error:
            fill(self._said, notice("This cannot be trained", str(error), tone="bad"))
            return
        fill(self._said)
        self._on_chosen()
