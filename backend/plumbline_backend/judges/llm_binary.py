"""The plainest LLM grader: one question, pass or fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plumbline_backend.domain.grades import Criterion, Output, Verdict
from plumbline_backend.judges.llm.batch import Asks
from plumbline_backend.judges.llm.grader import BINARY_TASK, Around, BinaryVerdict, verdict_of_binary
from plumbline_backend.judges.llm.prompts import grading_prompt


class BinaryGrader:
    """Asks whether the output satisfies the criterion, with the reason before the answer."""

    name = "binary"
    explanation = "One question per output: does it satisfy the criterion, pass or fail?"

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> tuple[dict[str, Any], list[str]]:
        """It has no options of its own."""
        del spec, criterion
        return {}, []

    async def grade(self, asks: Asks, output: Output, around: Around) -> Verdict:
        """One call."""
        spec = around.spec
        prompt = grading_prompt(
            around.criterion,
            output,
            BINARY_TASK,
            instructions=spec["instructions"],
            examples=around.examples_for(output),
            show_prompt=spec["show_prompt"],
            reference=spec["show_reference"],
        )
        return verdict_of_binary(output, await asks.ask(prompt, BinaryVerdict, logprobs=spec["logprobs"]))
