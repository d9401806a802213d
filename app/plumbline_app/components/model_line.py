"""Which model is asked and what a run may cost, with a way to change the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, text_field, typed
from plumbline_app.components.judge_run import model_in_words
from plumbline_app.components.layout import fill, line, place, stack
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import InputError, PlumblineError
from plumbline_backend.judges.llm.endpoint import endpoint_from
from plumbline_backend.judges.llm_judge import budget_of, set_budget

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject


class ModelLine(Viewer):
    """A sentence about the model, and the budget of every later run of the project."""

    def __init__(self, project: GradingProject) -> None:
        super().__init__()
        self._project = project
        self._told = sentence("")
        self._form = place()
        self._change = button("Budget", self._toggle, visible=False)

    def __panel__(self) -> Viewable:
        return stack(line(self._told, self._change, **{"flex-wrap": "nowrap"}), self._form, gap=8)

    def show(self) -> None:
        """Read settings and environment again."""
        able, told = model_in_words(self._project)
        self._told.object = sentence(told).object
        self._change.visible = able

    def _toggle(self) -> None:
        if self._form.visible:
            fill(self._form)
            return
        usd, tokens = budget_of(self._project, endpoint_from(self._project.settings))
        self._usd = text_field("Most a run may cost, USD", _shown(usd), width=240, placeholder="no limit")
        self._tokens = text_field(
            "Most tokens a run may use", _shown(tokens), width=240, placeholder="no limit"
        )
        self._said = place()
        below = "A run stops asking before it could exceed them; what was answered is kept."
        fields = line(self._usd, self._tokens, button("Set the budget", self._set))
        fill(self._form, self._said, fields, sentence(below))

    def _set(self) -> None:
        try:
            usd, tokens = _number("USD", typed(self._usd)), _number("tokens", typed(self._tokens))
            set_budget(self._project, usd, None if tokens is None else int(tokens))
        except PlumblineError as error:
            fill(self._said, notice("Not set", str(error), tone="bad"))
            return
        fill(self._form)
        self.show()


def _shown(limit: float | None) -> str:
    return "" if limit is None else f"{limit:g}" if isinstance(limit, float) else str(limit)


def _number(name: str, text: str) -> float | None:
    clean = text.strip().replace(",", "")
    if not clean:
        return None
    try:
        return float(clean)
    except ValueError as error:
        raise InputError(
            f"budget in {name}: found {text!r}; expected a number, or nothing for no limit"
        ) from error
