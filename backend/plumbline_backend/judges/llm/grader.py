"""What every LLM grader shares: the outputs around the one it grades, and verdicts from what the model said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import Field

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.grades import FAIL, PASS, Criterion, Output, Verdict, VerdictState
from plumbline_backend.judges.llm.batch import Asks
from plumbline_backend.judges.llm.probabilities import answer_probabilities
from plumbline_backend.judges.llm.prompts import Example
from plumbline_backend.judges.llm.wire import Said, Shape

MAX_INSTRUCTIONS = 10_000
MAX_EXAMPLES = 20
BINARY_TASK = (
    "Does the output satisfy the criterion? Answer 'pass' when it does, 'fail' when it does not, and "
    "'not_applicable' only when the criterion cannot apply to an output like this one."
)


class BinaryVerdict(Shape):
    """Pass or fail, with the reason first."""

    explanation: str = Field(max_length=4000)
    verdict: Literal["pass", "fail", "not_applicable"]


@dataclass(frozen=True)
class Around:
    """What a grader may look at besides the output. `others`: outputs by (system, same task), for comparisons."""

    criterion: Criterion
    spec: Mapping[str, Any]
    examples: Sequence[Example] = ()
    others: Mapping[tuple[str, str], Output] | None = None

    def examples_for(self, output: Output) -> list[Example]:
        """The examples without the output itself: no output is graded with its own answer in sight."""
        return [e for e in self.examples if e.output.position != output.position]


class Grader(Protocol):
    """One way of asking a model about one output. An entry of `registry.LLM_GRADERS`."""

    name: str
    explanation: str
    """One sentence for the person who chooses it."""

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> tuple[dict[str, Any], list[str]]:
        """Its own part of the specification with defaults, and all that is wrong with it."""
        ...

    async def grade(self, asks: Asks, output: Output, around: Around) -> Verdict:
        """The verdict on one output; an unreadable answer is a verdict "error"."""
        ...


def verdict_of_binary(output: Output, said: Said[BinaryVerdict]) -> Verdict:
    """A binary answer as a verdict."""
    if said.answer is None:
        return error_verdict(output, said.error)
    states: dict[str, VerdictState] = {"pass": "pass", "fail": "fail", "not_applicable": "abstain"}
    proba = answer_probabilities(said.tokens, "verdict", (PASS, FAIL, "not_applicable"))
    p_pass = p_of(proba, (PASS,), (PASS, FAIL))
    return Verdict(output.position, states[said.answer.verdict], p_pass=p_pass, note=said.answer.explanation)


def p_of(proba: Mapping[str, float] | None, wanted: Sequence[str], among: Sequence[str]) -> float | None:
    """Probability of `wanted` given that the answer is one of `among`; None where nothing is known of them."""
    if proba is None:
        return None
    total = sum(proba[answer] for answer in among)
    return sum(proba[answer] for answer in wanted) / total if total > 0 else None


def error_verdict(output: Output, why: str) -> Verdict:
    """The output could not be judged."""
    return Verdict(output.position, "error", note=why)


class SpecReader:
    """Reads a specification field by field and gathers what is wrong with it."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        self.wrong: list[str] = []

    def text(self, name: str, default: str = "", limit: int = MAX_INSTRUCTIONS) -> str:
        """A text of at most `limit` characters."""
        value = self._spec.get(name, default)
        if not isinstance(value, str) or len(value) > limit:
            self.wrong.append(f"{name}: found {_shown(value)}; expected text of at most {limit:,} characters")
            return default
        return value.strip()

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._spec.get(name, default)
        if not isinstance(value, bool):
            self.wrong.append(f"{name}: found {_shown(value)}; expected true or false")
            return default
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds, both included."""
        value = self._spec.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.wrong.append(f"{name}: found {_shown(value)}; expected a whole number from {low} to {high}")
            return default
        return value

    def one_of(self, name: str, default: str, valid: Sequence[str]) -> str:
        """One of the valid words."""
        value = self._spec.get(name, default)
        if value not in valid:
            self.wrong.append(f"{name}: found {_shown(value)}; {did_you_mean(str(value), valid)}")
            return default
        return str(value)

    def texts(self, name: str, default: Sequence[str], low: int, high: int) -> list[str]:
        """A list of texts that are not empty."""
        value = self._spec.get(name, list(default))
        fits = isinstance(value, list) and low <= len(value) <= high
        if not fits or not all(isinstance(each, str) and each.strip() for each in value):
            self.wrong.append(
                f"{name}: found {_shown(value)}; expected {low} to {high} texts, none of them empty"
            )
            return list(default)
        return [" ".join(each.split())[:2000] for each in value]

    def unknown(self, known: Sequence[str]) -> None:
        """Names that no grader of this kind reads are mistakes."""
        for name in self._spec:
            if name not in known:
                self.wrong.append(
                    f"{name}: not part of this grader's specification; {did_you_mean(name, known)}"
                )

    def refuse(self) -> None:
        """Raise InputError with everything that is wrong, if anything is."""
        if self.wrong:
            raise InputError("\n".join(self.wrong))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
