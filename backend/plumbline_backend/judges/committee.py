"""An LLM grader of several reviewers who see each other's reasons once. Source: Zhang et al. 2023 (WideDeep)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from plumbline_backend.domain.grades import Criterion, Output, Verdict
from plumbline_backend.judges.llm.batch import Asks
from plumbline_backend.judges.llm.grader import (
    BINARY_TASK,
    Around,
    BinaryVerdict,
    SpecReader,
    error_verdict,
    verdict_of_binary,
)
from plumbline_backend.judges.llm.prompts import grading_prompt
from plumbline_backend.judges.llm.wire import Said

ROLES = (
    "You check facts: is everything in the output supported by what was given?",
    "You are the reader that the output is for: does it serve you as it is?",
    "You look for the one fault that would make this output unusable.",
)
MAX_ROLES = 7


class CommitteeGrader:
    """Reviewers with a role each; where they differ, each sees the others' reasons once; then the majority."""

    name = "committee"
    explanation = "Several reviewers, one round of discussion where they differ, and the majority decides."

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> tuple[dict[str, Any], list[str]]:
        """roles: what each reviewer looks at. discussion: whether those who differ see each other's reasons."""
        del criterion
        read = SpecReader(spec)
        own: dict[str, Any] = {
            "roles": read.texts("roles", ROLES, 2, MAX_ROLES),
            "discussion": read.flag("discussion", True),
        }
        return own, read.wrong

    async def grade(self, asks: Asks, output: Output, around: Around) -> Verdict:
        """One call per role; with a discussion another one each."""
        roles: list[str] = around.spec["roles"]
        first = await self._round(asks, output, around, [{} for _ in roles])
        opinions = {said.answer.verdict for said in first if said.answer is not None}
        if len(opinions) == 1 or not around.spec["discussion"]:
            return majority(output, first)
        heard = [{"other-reviewers": _reasons(first, leave_out=index)} for index in range(len(roles))]
        return majority(output, await self._round(asks, output, around, heard))

    async def _round(
        self, asks: Asks, output: Output, around: Around, heard: Sequence[Mapping[str, str]]
    ) -> list[Said[BinaryVerdict]]:
        spec = around.spec
        prompts = [
            grading_prompt(
                around.criterion,
                output,
                f"Your part in the committee: {role} {BINARY_TASK}"
                + (
                    " Weigh the other reviewers' reasons; keep your view where they do not convince."
                    if more
                    else ""
                ),
                instructions=spec["instructions"],
                examples=around.examples_for(output),
                show_prompt=spec["show_prompt"],
                reference=spec["show_reference"],
                more=more,
            )
            for role, more in zip(spec["roles"], heard, strict=True)
        ]
        asked = (asks.ask(prompt, BinaryVerdict, logprobs=spec["logprobs"]) for prompt in prompts)
        return list(await asyncio.gather(*asked))


def majority(output: Output, said: Sequence[Said[BinaryVerdict]]) -> Verdict:
    """What most reviewers say. An error unless more than half could be read; a tie abstains."""
    votes = [verdict_of_binary(output, each) for each in said]
    readable = [vote for vote in votes if vote.state != "error"]
    if 2 * len(readable) <= len(votes):
        return error_verdict(
            output, f"{len(readable)} of {len(votes)} reviewers gave a readable answer: {votes[0].note}"
        )
    n_pass = sum(vote.state == "pass" for vote in readable)
    n_fail = sum(vote.state == "fail" for vote in readable)
    tally = f"{n_pass} pass, {n_fail} fail of {len(votes)} reviewers."
    note = " ".join([tally, *(f"[{vote.state}] {vote.note}" for vote in readable)])
    if n_pass + n_fail == 0 or n_pass == n_fail:
        return Verdict(output.position, "abstain", note=note)
    sure = [
        1.0 * (v.state == "pass") if v.p_pass is None else v.p_pass for v in readable if v.state != "abstain"
    ]
    return Verdict(
        output.position, "pass" if n_pass > n_fail else "fail", p_pass=sum(sure) / len(sure), note=note
    )


def _reasons(said: Sequence[Said[BinaryVerdict]], leave_out: int) -> str:
    return "\n".join(
        f"Reviewer {index + 1}: {each.answer.verdict}. {each.answer.explanation}"
        for index, each in enumerate(said)
        if index != leave_out and each.answer is not None
    )
