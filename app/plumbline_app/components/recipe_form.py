"""How a training treats the labels: one choice per option, with a sentence for each that is not the plain one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import choice
from plumbline_app.components.layout import line, stack
from plumbline_app.components.words import sentence
from plumbline_backend.training.recipe import CHOICES, LABELS, Recipe

WIDTH_PX = 250
NO_COLUMN = "none"
TEACHERS = 20
"""Versions that are offered as teachers, besides the newest one at each training."""


class RecipeForm(Viewer):
    """The options of a training. `recipe` is what they say now; `on_change` is called when one changes."""

    def __init__(
        self, recipe: Recipe, columns: Sequence[str], versions: Sequence[int], on_change: Callable[[], None]
    ) -> None:
        super().__init__()
        self._kept = recipe
        self._selects = {
            option: choice(
                LABELS[option],
                {each.words: each.value for each in choices},
                _nearest(option, getattr(recipe, option)),
                width=WIDTH_PX,
            )
            for option, choices in CHOICES.items()
        }
        named = {NO_COLUMN: "", **{column: column for column in columns}}
        chosen = recipe.domain if recipe.domain in named.values() else ""
        self._selects["domain"] = choice(LABELS["domain"], named, chosen, width=WIDTH_PX)
        taught = {"the newest at each training": 0}
        taught |= {f"version {version}": version for version in versions[-TEACHERS:]}
        by = recipe.teacher if recipe.teacher in taught.values() else 0
        self._selects["teacher"] = choice("Teaching version", taught, by, width=WIDTH_PX)
        self._about = sentence("")
        self._on_change = on_change
        for select in self._selects.values():
            select.param.watch(lambda _: self._changed(), "value")
        self._describe()

    def __panel__(self) -> Viewable:
        return stack(line(*self._selects.values()), self._about, gap=12)

    @property
    def recipe(self) -> Recipe:
        """What the form says; options that it does not show keep what was stored."""
        said: dict[str, Any] = {option: select.value for option, select in self._selects.items()}
        if said["soft"] == "none":
            said["soft_loss"] = Recipe().soft_loss
        if said["soft"] != "teacher":
            said["teacher"] = Recipe().teacher
        return Recipe.parse({**self._kept.changed(), **said})

    def _changed(self) -> None:
        self._describe()
        self._on_change()

    def _describe(self) -> None:
        soft = self._selects["soft"].value
        self._selects["soft_loss"].visible = soft != "none"
        self._selects["teacher"].visible = soft == "teacher"
        self._about.object = sentence(recipe_in_sentences(self.recipe)).object


def recipe_in_sentences(recipe: Recipe) -> str:
    """A sentence for every option that is not the plain one."""
    changed = recipe.changed()
    said = [
        each.sentence
        for option, choices in CHOICES.items()
        for each in choices
        if option in changed and each.value == changed[option]
    ]
    if recipe.domain:
        said.append(f"What holds in every group of {recipe.domain!r} is leaned on.")
    return " ".join(said) or "Labels are learned as they are."


def _nearest(option: str, value: Any) -> Any:
    """The value itself where the list has it, else the nearest number of the list."""
    values = [each.value for each in CHOICES[option]]
    if value in values or not isinstance(value, int | float):
        return value if value in values else values[0]
    return min(values, key=lambda each: abs(float(each) - float(value)))
