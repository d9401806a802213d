"""The settings of a head as a form: a field for each, with what it does, and what is wrong while it is being typed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, choice, text_field, typed
from plumbline_app.components.layout import fill, line, place, stack
from plumbline_app.components.words import sentence
from plumbline_backend.heads.tuning import HeadSetting, in_words

WIDTH_PX = 250


class HeadSettingsForm(Viewer):
    """`show` lays out the settings of one head; `values` is what is set, `problems` what cannot be used."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._on_change = on_change
        self._rows: list[_Row] = []
        self._open = button("Settings of this head", self._toggle)
        self._fields = place()
        self._body = stack(line(self._open), self._fields, gap=12)

    def __panel__(self) -> Viewable:
        return self._body

    def show(
        self, settings: Sequence[HeadSetting], given: Mapping[str, Any], without: Collection[str] = ()
    ) -> None:
        """The settings of another head, with the values that are set. without: names that are chosen elsewhere."""
        self._rows = [
            _Row(each, given.get(each.name), self._on_change) for each in settings if each.name not in without
        ]
        self._open.visible = bool(self._rows)
        self._lay_out(any(row.given is not None for row in self._rows))

    @property
    def values(self) -> dict[str, Any]:
        """What is set, by name."""
        return {row.setting.name: row.value for row in self._rows if row.value is not None}

    @property
    def problems(self) -> list[str]:
        """Why it cannot be trained so; empty when it can."""
        return [problem for row in self._rows if (problem := row.problem)]

    def _toggle(self) -> None:
        self._lay_out(not self._fields.visible)

    def _lay_out(self, is_open: bool) -> None:
        fill(self._fields, *([row.view for row in self._rows] if is_open else ()))
        self._open.label = "Hide the settings" if is_open else "Settings of this head"


class _Row:
    """One setting: its field and the sentence beside it."""

    def __init__(self, setting: HeadSetting, given: Any, on_change: Callable[[], None]) -> None:
        self.setting, self.given, self._on_change = setting, given, on_change
        if setting.form == "choice":
            default = f"{setting.default_words} (default)"
            values = {default: "", **{in_words(each): each for each in setting.told.choices or ()}}
            self._field = choice(setting.told.title, values, "" if given is None else given, width=WIDTH_PX)
            self._field.param.watch(lambda _: self._changed(), "value")
        else:
            self._field = text_field(
                setting.told.title, in_words(given), placeholder=setting.default_words, width=WIDTH_PX
            )
            self._field.param.watch(lambda _: self._changed(), ["value", "value_input"])
        self._about = sentence(self._words())
        self.view = line(self._field, self._about, **{"flex-wrap": "nowrap"})

    @property
    def value(self) -> Any:
        """What the field says; None for the default."""
        if self.setting.form == "choice":
            return None if self._field.value == "" else self._field.value
        return self.setting.read(typed(self._field))

    @property
    def problem(self) -> str:
        """Why that cannot be used; empty when it can."""
        return "" if self.value is None else self.setting.problem(self.value)

    def _words(self) -> str:
        if self.problem:
            return f"This is no value here; expected {self.setting.expected}."
        return f"{self.setting.told.meaning} Default: {self.setting.default_words}."

    def _changed(self) -> None:
        self._about.object = sentence(self._words()).object
        if self.setting.form != "choice":
            self._field.error_state = bool(self.problem)
        self._on_change()
