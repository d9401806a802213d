"""An LLM grader with a 1 to 5 rubric that describes each score. Source: Kim et al. 2024 (Prometheus)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from plumbline_backend.domain.grades import RATINGS, Criterion, Output, Verdict
from plumbline_backend.judges.llm.batch import Asks
from plumbline_backend.judges.llm.grader import Around, SpecReader, error_verdict, p_of
from plumbline_backend.judges.llm.probabilities import answer_probabilities
from plumbline_backend.judges.llm.prompts import grading_prompt
from plumbline_backend.judges.llm.wire import Shape

LEVELS = (
    "The criterion is clearly violated throughout.",
    "The criterion is violated in a way that matters to the reader.",
    "The criterion is met in part, with faults that a reader would notice.",
    "The criterion is met, with faults that hardly matter.",
    "The criterion is met completely.",
)


class RubricScore(Shape):
    """A score with its reason first."""

    explanation: str = Field(max_length=4000)
    score: Literal[1, 2, 3, 4, 5]


class RubricGrader:
    """Asks for a score from 1 to 5 by descriptions of each; from `pass_from` on it is a pass."""

    name = "rubric"
    explanation = (
        "A score from 1 to 5 by a description of each, beside a reference answer where there is one."
    )

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> tuple[dict[str, Any], list[str]]:
        """levels: five descriptions, worst first. pass_from: lowest score that passes."""
        read = SpecReader(spec)
        own: dict[str, Any] = {
            "levels": read.texts("levels", LEVELS, 5, 5),
            "pass_from": read.whole("pass_from", criterion.pass_from, 2, 5),
        }
        return own, read.wrong

    async def grade(self, asks: Asks, output: Output, around: Around) -> Verdict:
        """One call."""
        spec = around.spec
        levels = "\n".join(f"Score {number}: {text}" for number, text in enumerate(spec["levels"], 1))
        compare = (
            " Compare it with the reference answer." if spec["show_reference"] and output.reference else ""
        )
        prompt = grading_prompt(
            around.criterion,
            output,
            f"Which score of the rubric describes the output best?{compare}",
            instructions=spec["instructions"],
            examples=around.examples_for(output),
            show_prompt=spec["show_prompt"],
            reference=spec["show_reference"],
            more={"rubric": levels},
        )
        said = await asks.ask(prompt, RubricScore, logprobs=spec["logprobs"])
        if said.answer is None:
            return error_verdict(output, said.error)
        score = said.answer.score
        passed = score >= spec["pass_from"]
        proba = answer_probabilities(said.tokens, "score", RATINGS)
        passing = [rating for rating in RATINGS if int(rating) >= spec["pass_from"]]
        rating = str(score) if around.criterion.kind == "rating" else None
        return Verdict(
            output.position,
            "pass" if passed else "fail",
            answer=rating,
            p_pass=p_of(proba, passing, RATINGS),
            note=f"Score {score} of 5. {said.answer.explanation}",
        )
