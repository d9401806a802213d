"""An LLM grader that compares the output with another one, in both orders. Source: Lin et al. 2024 (WildBench)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from plumbline_backend.domain.grades import Criterion, Output, Verdict
from plumbline_backend.judges.llm.batch import Asks
from plumbline_backend.judges.llm.client import Prompt
from plumbline_backend.judges.llm.grader import Around, SpecReader, error_verdict
from plumbline_backend.judges.llm.prompts import SYSTEM, VERSION, context_of, marked
from plumbline_backend.judges.llm.wire import Shape

TASK = (
    "Compare the first text with the second by the criterion alone. Which satisfies it better, and is the difference "
    "large ('much') or small ('slightly')? Answer 'tie' when there is none. The order of the two means nothing."
)
POINTS = {"first_much": 2, "first_slightly": 1, "tie": 0, "second_slightly": -1, "second_much": -2}
SWAPPED = {name: -points for name, points in POINTS.items()}


class PairwiseChoice(Shape):
    """Which of two texts is better, with the reason first."""

    explanation: str = Field(max_length=4000)
    choice: Literal["first_much", "first_slightly", "tie", "second_slightly", "second_much"]


class PairwiseGrader:
    """Asks twice, with the order swapped: what only one order prefers is a tie."""

    name = "pairwise"
    explanation = "The output against its reference or another system's output, asked in both orders."

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> tuple[dict[str, Any], list[str]]:
        """against: "reference", or "system" with `other` naming it. length_margin: a slight win of a text that is
        longer by more than so many characters is a tie. pass_on: "win", or "tie" for not losing."""
        del criterion
        read = SpecReader(spec)
        own: dict[str, Any] = {
            "against": read.one_of("against", "reference", ("reference", "system")),
            "other": read.text("other", limit=500),
            "length_margin": read.whole("length_margin", 500, 0, 1_000_000),
            "pass_on": read.one_of("pass_on", "tie", ("tie", "win")),
        }
        if own["against"] == "system" and not own["other"]:
            read.wrong.append("other: empty; expected the name of the system to compare with")
        return own, read.wrong

    async def grade(self, asks: Asks, output: Output, around: Around) -> Verdict:
        """Two calls."""
        other = other_text(output, around)
        if other is None:
            return Verdict(output.position, "abstain", note="There is nothing to compare this output with.")
        one = await asks.ask(_prompt(around, output, output.response, other), PairwiseChoice)
        two = await asks.ask(_prompt(around, output, other, output.response), PairwiseChoice)
        if one.answer is None or two.answer is None:
            return error_verdict(output, one.error or two.error)
        margin = around.spec["length_margin"]
        lengths = len(output.response), len(other)
        points = [
            with_margin(POINTS[one.answer.choice], *lengths, margin),
            with_margin(SWAPPED[two.answer.choice], *lengths, margin),
        ]
        outcome = outcome_of(points[0], points[1])
        passed = outcome == "win" or (outcome == "tie" and around.spec["pass_on"] == "tie")
        note = f"{outcome.capitalize()}. {one.answer.explanation}"
        if points[0] * points[1] < 0:
            note = (
                f"Tie: each order preferred another text. {one.answer.explanation} / {two.answer.explanation}"
            )
        return Verdict(output.position, "pass" if passed else "fail", note=note)


def other_text(output: Output, around: Around) -> str | None:
    """What the output is compared with; None where there is nothing, or only itself."""
    if around.spec["against"] == "reference":
        return output.reference or None
    if output.system == around.spec["other"]:
        return None
    found = (around.others or {}).get((around.spec["other"], task_key(output)))
    return None if found is None else found.response


def task_key(output: Output) -> str:
    """What two outputs share that answer the same: prompt and variables."""
    return repr((output.prompt, sorted(output.variables.items())))


def with_margin(points: int, own_length: int, other_length: int, margin: int) -> int:
    """Points of the own text (-2 to 2), zero where a slight win may be owed to length."""
    if points == 1 and own_length > other_length + margin:
        return 0
    if points == -1 and other_length > own_length + margin:
        return 0
    return points


def outcome_of(points: int, swapped_points: int) -> Literal["win", "tie", "loss"]:
    """Of both orders, from the own text's side: a side wins only if no order prefers the other."""
    if points * swapped_points < 0 or points + swapped_points == 0:
        return "tie"
    return "win" if points + swapped_points > 0 else "loss"


def _prompt(around: Around, output: Output, first: str, second: str) -> Prompt:
    criterion = around.criterion
    parts = [marked("criterion", criterion.text)]
    parts += [marked("guidelines", criterion.guidelines)] if criterion.guidelines else []
    parts += [marked("instructions", around.spec["instructions"])] if around.spec["instructions"] else []
    parts += context_of(output) if around.spec["show_prompt"] else []
    parts += [marked("first", first), marked("second", second), TASK]
    return Prompt(SYSTEM, "\n\n".join(parts), f"compare-{VERSION}")
