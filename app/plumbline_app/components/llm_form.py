"""The fields of an LLM grader: how it asks, and what it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, checkbox, choice, text_area, text_field, typed
from plumbline_app.components.layout import fill, line, place, stack
from plumbline_app.components.words import sentence
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.grades import Criterion
from plumbline_backend.judges.committee import ROLES
from plumbline_backend.judges.rubric import LEVELS
from plumbline_backend.registry import LLM_GRADERS

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

NAMES = {
    "Pass or fail": "binary",
    "Rubric, 1 to 5": "rubric",
    "Checklist": "checklist",
    "Pairwise comparison": "pairwise",
    "Committee": "committee",
}
EXAMPLES_TAKEN = 4


class LlmForm(Viewer):
    """`spec()` is what the fields say; the backend checks it."""

    def __init__(self, project: GradingProject, criterion: Criterion, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self._project = project
        self._criterion = criterion
        self._spec = dict(spec)
        self._examples: list[dict[str, Any]] = list(spec.get("examples", []))
        self._own = place()

    def __panel__(self) -> Viewable:
        spec = self._spec
        self._grader = choice("Way of asking", NAMES, spec.get("grader", "binary"), width=260)
        self._grader.param.watch(lambda _: self._draw_own(), "value")
        self._model = text_field("Model (empty: that of the settings)", spec.get("model", ""), width=280)
        self._instructions = text_area(
            "More instructions for the model", spec.get("instructions", ""), rows=2
        )
        self._show_prompt = checkbox("Show it the prompt and variables", spec.get("show_prompt", True))
        self._show_reference = checkbox("Show it the reference answer", spec.get("show_reference", True))
        self._logprobs = checkbox("Ask for probabilities", spec.get("logprobs", True))
        self._told = sentence(self._examples_in_words())
        self._draw_own()
        return stack(
            line(self._grader, self._model),
            self._own,
            self._instructions,
            line(self._show_prompt, self._show_reference, self._logprobs),
            line(
                button("Take examples from the grades", self._take_examples),
                button("No examples", self._drop_examples),
            ),
            self._told,
            gap=12,
        )

    def spec(self) -> dict[str, Any]:
        """The specification as the fields say. Raises InputError where a number is none."""
        return {
            "grader": self._grader.value,
            "model": typed(self._model),
            "instructions": typed(self._instructions),
            "examples": self._examples,
            "show_prompt": bool(self._show_prompt.value),
            "show_reference": bool(self._show_reference.value),
            "logprobs": bool(self._logprobs.value),
            **self._own_spec(),
        }

    def _draw_own(self) -> None:
        name, spec = self._grader.value, self._spec
        told = sentence(LLM_GRADERS.get(name).explanation)
        if name == "rubric":
            self._lines = text_area(
                "What each score means, worst first, one per line", _text(spec, "levels", LEVELS), rows=5
            )
            passing = str(spec.get("pass_from", self._criterion.pass_from))
            self._number = choice("Passes from score", ["2", "3", "4", "5"], passing)
            fill(self._own, told, self._lines, line(self._number))
        elif name == "checklist":
            first = (self._criterion.text,)
            self._lines = text_area("Points, one per line", _text(spec, "items", first), rows=5)
            self._number = text_field(
                "Points that must be met, %", str(spec.get("need_percent", 100)), width=240
            )
            fill(self._own, told, self._lines, line(self._number))
        elif name == "pairwise":
            against = {"its reference answer": "reference", "another system's output": "system"}
            self._against = choice("Compare with", against, spec.get("against", "reference"), width=240)
            systems = list(self._project.systems)
            other = spec.get("other", "") or (systems[0] if systems else "")
            self._other = choice("System", systems or [""], other, width=220)
            self._number = text_field(
                "Length margin, characters", str(spec.get("length_margin", 500)), width=220
            )
            self._pass_on = choice(
                "Passes on", {"a win or a tie": "tie", "a win": "win"}, spec.get("pass_on", "tie")
            )
            fill(self._own, told, line(self._against, self._other, self._number, self._pass_on))
        elif name == "committee":
            self._lines = text_area("Reviewers, one per line", _text(spec, "roles", ROLES), rows=4)
            self._discussion = checkbox(
                "Those who differ see each other's reasons once", spec.get("discussion", True)
            )
            fill(self._own, told, self._lines, self._discussion)
        else:
            fill(self._own, told)

    def _own_spec(self) -> dict[str, Any]:
        name = self._grader.value
        if name == "rubric":
            return {"levels": _lines(typed(self._lines)), "pass_from": int(self._number.value)}
        if name == "checklist":
            return {
                "items": _lines(typed(self._lines)),
                "need_percent": _whole("points", typed(self._number)),
            }
        if name == "pairwise":
            return {
                "against": self._against.value,
                "other": self._other.value if self._against.value == "system" else "",
                "length_margin": _whole("length margin", typed(self._number)),
                "pass_on": self._pass_on.value,
            }
        if name == "committee":
            return {"roles": _lines(typed(self._lines)), "discussion": bool(self._discussion.value)}
        return {}

    def _take_examples(self) -> None:
        grades = [g for g in self._project.grades(self._criterion.id) if g.passed is not None and not g.stale]
        if not grades:
            grades = [g for g in self._project.grades() if g.passed is not None]
        grades.sort(key=lambda grade: (not grade.note, grade.output))
        half = EXAMPLES_TAKEN // 2
        chosen = [g for g in grades if g.passed][:half] + [g for g in grades if not g.passed][:half]
        self._examples = [
            {"output": each.output, "passed": bool(each.passed), "note": each.note} for each in chosen
        ]
        self._told.object = sentence(self._examples_in_words()).object

    def _drop_examples(self) -> None:
        self._examples = []
        self._told.object = sentence(self._examples_in_words()).object

    def _examples_in_words(self) -> str:
        if not self._examples:
            return "No examples are shown to the model."
        good = sum(each["passed"] for each in self._examples)
        return f"{len(self._examples)} graded outputs are shown as examples ({good} good), never for the output itself."


def _text(spec: Mapping[str, Any], name: str, default: Sequence[str]) -> str:
    return "\n".join(spec.get(name, default))


def _lines(text: str) -> list[str]:
    return [each.strip() for each in text.splitlines() if each.strip()]


def _whole(name: str, text: str) -> int:
    try:
        return int(text.strip())
    except ValueError as error:
        raise InputError(f"{name}: found {text!r}; expected a whole number") from error
