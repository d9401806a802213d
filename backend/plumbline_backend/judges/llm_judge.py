"""LLM graders as a kind of judge: their specification, a run over outputs, and what it will cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.grades import Criterion, Output, Verdict
from plumbline_backend.judges.kinds import JudgeRun, Report
from plumbline_backend.judges.llm.batch import Asks, Estimate, Llm
from plumbline_backend.judges.llm.cache import AnswerCache
from plumbline_backend.judges.llm.client import Prompt
from plumbline_backend.judges.llm.endpoint import Endpoint, endpoint_from
from plumbline_backend.judges.llm.grader import MAX_EXAMPLES, Around, Grader, SpecReader
from plumbline_backend.judges.llm.prompts import Example
from plumbline_backend.judges.llm.wire import Answer, Said
from plumbline_backend.judges.pairwise import task_key
from plumbline_backend.registry import LLM_GRADERS

SAVE_EVERY = 20
"""Verdicts written at once: a cancel or a crash loses at most so many rows, and none of what was paid for."""
COMMON = ("grader", "model", "instructions", "examples", "show_prompt", "show_reference", "logprobs")


class LlmJudge:
    """Asks a language model. Its specification names the grader and that grader's own options."""

    kind = "llm"
    explanation = (
        "A language model judges by your criterion: binary, rubric, checklist, pairwise or committee."
    )

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> Mapping[str, Any]:
        """The specification with its defaults. Raises InputError naming all that is wrong."""
        read = SpecReader(spec)
        grader = grader_named(read.one_of("grader", "binary", LLM_GRADERS.names()))
        checked: dict[str, Any] = {
            "grader": grader.name,
            "model": read.text("model", limit=200),
            "instructions": read.text("instructions"),
            "examples": _checked_examples(spec.get("examples", []), read),
            "show_prompt": read.flag("show_prompt", True),
            "show_reference": read.flag("show_reference", True),
            "logprobs": read.flag("logprobs", True),
        }
        own, wrong = grader.check(spec, criterion)
        read.wrong += wrong
        read.unknown([*COMMON, *own])
        read.refuse()
        return {**checked, **own}

    def run(self, run: JudgeRun) -> Mapping[str, Any]:
        """Ask about every output, saving verdicts as they come; the job keeps what it took.

        Where the budget was spent or the endpoint failed nothing is saved: the next run asks those outputs.
        """
        waiting: list[Verdict] = []

        def keep(verdict: Verdict) -> None:
            waiting.append(verdict)
            if len(waiting) >= SAVE_EVERY:
                run.save(waiting[:])
                waiting.clear()

        try:
            _, took = ask(run.project, run.criterion, run.judge.spec, run.outputs, run.report, keep)
        finally:
            if waiting:
                run.save(waiting)
        return took


def ask(
    project: Any,
    criterion: Criterion,
    spec: Mapping[str, Any],
    outputs: Sequence[Output],
    report: Report,
    on_verdict: Callable[[Verdict], None] | None = None,
) -> tuple[list[Verdict], Mapping[str, Any]]:
    """Verdicts on the outputs, in their order, within one budget, and what that took; nothing is saved here.

    An output that nobody answered for is an error in the list, and `on_verdict` does not hear of it.
    """
    llm = llm_for(project, spec)
    grader, around = _prepared(project, criterion, spec)

    async def grade(asks: Asks, output: Output) -> tuple[Verdict, bool]:
        heard = _Heard(asks)
        verdict = await grader.grade(heard, output, around)
        return verdict, verdict.state == "error" and heard.unanswered

    def keep(_: Output, found: tuple[Verdict, bool]) -> None:
        if on_verdict is not None and not found[1]:
            on_verdict(found[0])

    said = llm.run(outputs, grade, report, keep)
    n_unanswered = sum(unanswered for _, unanswered in said)
    return [verdict for verdict, _ in said], {"llm": {**told(llm), "unanswered": n_unanswered}}


class _Heard:
    """Passes questions on, and remembers whether one was not answered at all."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self.unanswered = False

    async def ask(
        self, prompt: Prompt, shape: type[Answer], *, repeat: int = 0, logprobs: bool = False
    ) -> Said[Answer]:
        """One question to the model."""
        said = await self._asks.ask(prompt, shape, repeat=repeat, logprobs=logprobs)
        self.unanswered |= said.unanswered
        return said


def estimate(
    project: Any, criterion: Criterion, spec: Mapping[str, Any], outputs: Sequence[Output]
) -> Estimate:
    """What judging these outputs would take and cost; nothing is sent. Raises InputError without a model."""
    grader, around = _prepared(project, criterion, spec)
    return llm_for(project, spec).estimate(outputs, lambda asks, output: grader.grade(asks, output, around))


def llm_for(project: Any, spec: Mapping[str, Any] | None = None) -> Llm:
    """The model that the settings describe, within the project's budget for one run. Raises InputError."""
    endpoint = endpoint_from(project.settings).with_model((spec or {}).get("model", ""))
    usd, tokens = budget_of(project, endpoint)
    return Llm(endpoint, AnswerCache(cache_folder(project)), limit_usd=usd, limit_tokens=tokens)


def budget_of(project: Any, endpoint: Endpoint) -> tuple[float | None, int | None]:
    """USD and tokens that one run may use: the project's own limits, else those of the settings.

    Where prices are not known the settings' limit in USD says nothing and the one in tokens holds alone; a limit in
    USD that was set for the project is refused by the run instead.
    """
    own = project.kept.read().get("llm_budget")
    if own is not None:
        return own["usd"], own["tokens"]
    usd = float(project.settings["llm_budget_usd"])
    return (usd if endpoint.prices_known else None), int(project.settings["llm_budget_tokens"])


def budget_tokens(project: Any) -> int | None:
    """The limit in tokens alone: the project's own, else that of the settings."""
    own = project.kept.read().get("llm_budget")
    return own["tokens"] if own is not None else int(project.settings["llm_budget_tokens"])


def set_budget(project: Any, usd: float | None, tokens: int | None) -> None:
    """Limit every later run of the project. None: no limit of that kind. Raises InputError below 0."""
    for name, value in (("usd", usd), ("tokens", tokens)):
        if value is not None and not 0 <= value < float("inf"):
            raise InputError(f"budget {name}: found {value}; expected 0 or more, or nothing for no limit")
    project.kept.change(lambda kept: kept.update(llm_budget={"usd": usd, "tokens": tokens}))


def cache_folder(project: Any) -> Path:
    """Where the workspace keeps readable answers of models."""
    return Path(project.pool_folder).parent.parent / "cache" / "llm"


def grader_named(name: str) -> Grader:
    """The grader of this name. Raises InputError with the nearest."""
    grader: Grader = LLM_GRADERS.get(name)()
    return grader


def told(llm: Llm) -> dict[str, Any]:
    """What a run did, as JSON for its job."""
    tally = llm.tally
    return {
        "asked": tally.asked,
        "cached": tally.cached,
        "calls": tally.calls,
        "retries": tally.retries,
        "repaired": tally.repaired,
        "unread": tally.unread,
        "prompt_tokens": tally.usage.prompt_tokens,
        "completion_tokens": tally.usage.completion_tokens,
        "cost_usd": llm.budget.spent_usd,
        "notes": list(tally.notes),
        "model": llm.endpoint.model,
    }


def _prepared(project: Any, criterion: Criterion, spec: Mapping[str, Any]) -> tuple[Grader, Around]:
    shown = project.outputs([example["output"] for example in spec["examples"]])
    examples = [
        Example(output, example["passed"], example["note"])
        for output, example in zip(shown, spec["examples"], strict=True)
    ]
    others = None
    if spec["grader"] == "pairwise" and spec["against"] == "system":
        others = {(each.system, task_key(each)): each for each in project.outputs()}
    return grader_named(spec["grader"]), Around(criterion, spec, examples, others)


def _checked_examples(value: Any, read: SpecReader) -> list[dict[str, Any]]:
    expected = f"at most {MAX_EXAMPLES} of {{output, passed, note}}"
    if not isinstance(value, list) or len(value) > MAX_EXAMPLES:
        read.wrong.append(f"examples: found {value!r:.80}; expected {expected}")
        return []
    found = []
    for each in value:
        fits = (
            isinstance(each, Mapping)
            and isinstance(each.get("output"), int)
            and isinstance(each.get("passed"), bool)
        )
        if not fits or not isinstance(each.get("note", ""), str):
            read.wrong.append(f"examples: found {each!r:.80}; expected {expected}")
            continue
        found.append(
            {"output": each["output"], "passed": each["passed"], "note": each.get("note", "")[:2000]}
        )
    return found
