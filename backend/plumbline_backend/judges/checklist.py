"""An LLM grader with a checklist: yes or no for each point, and how many must be met. Source: Lin et al. 2024
(WildBench)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from plumbline_backend.domain.grades import Criterion, Output, Verdict
from plumbline_backend.judges.llm.batch import Asks
from plumbline_backend.judges.llm.grader import Around, SpecReader, error_verdict
from plumbline_backend.judges.llm.prompts import grading_prompt
from plumbline_backend.judges.llm.wire import Shape

MAX_ITEMS = 20


class ChecklistAnswer(Shape):
    """The answer to one point, with the reason first."""

    number: int = Field(ge=1, le=MAX_ITEMS)
    why: str = Field(max_length=2000)
    met: Literal["yes", "no", "not_applicable"]


@cache
def answers_shape(n_items: int) -> type[Shape]:
    """The shape of exactly `n_items` answers."""
    answers = Annotated[list[ChecklistAnswer], Field(min_length=n_items, max_length=n_items)]
    return create_model("ChecklistAnswers", __base__=Shape, answers=(answers, ...))


class ChecklistGrader:
    """Asks every point of a list in one call; passes when enough of those that apply are met."""

    name = "checklist"
    explanation = "Yes or no for each point of a list; the output passes when enough points are met."

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> tuple[dict[str, Any], list[str]]:
        """items: the points. need_percent: share of the applicable points that must be met."""
        del criterion
        read = SpecReader(spec)
        own: dict[str, Any] = {
            "items": read.texts("items", (), 1, MAX_ITEMS),
            "need_percent": read.whole("need_percent", 100, 1, 100),
        }
        return own, read.wrong

    async def grade(self, asks: Asks, output: Output, around: Around) -> Verdict:
        """One call."""
        spec = around.spec
        points = "\n".join(f"{number}. {text}" for number, text in enumerate(spec["items"], 1))
        prompt = grading_prompt(
            around.criterion,
            output,
            "For each numbered point of the checklist: is it met by the output? Answer all, in their order.",
            instructions=spec["instructions"],
            examples=around.examples_for(output),
            show_prompt=spec["show_prompt"],
            reference=spec["show_reference"],
            more={"checklist": points},
        )
        said = await asks.ask(prompt, answers_shape(len(spec["items"])))
        if said.answer is None:
            return error_verdict(output, said.error)
        answers: list[ChecklistAnswer] = said.answer.answers  # type: ignore[attr-defined]
        if [answer.number for answer in answers] != list(range(1, len(answers) + 1)):
            return error_verdict(output, "the answers to the checklist are not numbered as its points are")
        return verdict_of_answers(output, answers, spec["items"], spec["need_percent"])


def verdict_of_answers(
    output: Output, answers: list[ChecklistAnswer], items: list[str], need_percent: int
) -> Verdict:
    """Pass when enough of the points that apply are met; abstain when none applies."""
    applying = [answer for answer in answers if answer.met != "not_applicable"]
    if not applying:
        return Verdict(output.position, "abstain", note="No point of the checklist applies.")
    met = [answer for answer in applying if answer.met == "yes"]
    missed = [f"{items[a.number - 1]} ({a.why})" for a in applying if a.met == "no"]
    passed = 100 * len(met) >= need_percent * len(applying)
    missing = f" Not met: {'; '.join(missed)}" if missed else ""
    note = f"{len(met)} of {len(applying)} applicable points met.{missing}"
    return Verdict(output.position, "pass" if passed else "fail", note=note)
