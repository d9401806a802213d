"""Running a judge: what it will cost, how far it is, and what it said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.grades import GradingJudge
from plumbline_backend.domain.types import Job
from plumbline_backend.judges import llm_judge
from plumbline_backend.judges.llm.batch import Estimate
from plumbline_backend.judges.llm.endpoint import NO_MODEL, endpoint_from

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

WORDS = {
    "pass": "pass",
    "fail": "fail",
    "error": "in error",
    "abstain": "not applicable",
    "not run": "not run yet",
}


def model_in_words(project: GradingProject) -> tuple[bool, str]:
    """Whether a model can be asked, and which, or how to set one up."""
    try:
        endpoint = endpoint_from(project.settings)
        endpoint.key()
    except InputError as error:
        return False, str(error) if str(error) != NO_MODEL else f"{NO_MODEL[0].upper()}{NO_MODEL[1:]}."
    if endpoint.is_scripted:
        return (
            True,
            "The scripted model answers, by surface rules: it is no language model, and only for trials.",
        )
    usd, tokens = llm_judge.budget_of(project, endpoint)
    known = [] if usd is None else [f"${usd:,.2f}"]
    known += [] if tokens is None else [f"{tokens:,} tokens"]
    limits = " and ".join(known)
    prices = "" if endpoint.prices_known else " Its prices are not known, so costs are counted in tokens."
    return True, f"{endpoint.model} answers, within {limits or 'no limit'} a run.{prices}"


def estimate_in_words(project: GradingProject, judge: GradingJudge, again: bool) -> str:
    """What a run would take; nothing is asked for kinds that cost nothing."""
    wanted = project.unjudged(judge, again)
    if not wanted:
        return "Every output has a verdict of this version."
    n_stale = project.verdict_table([judge]).n_stale(judge.id)
    outputs = f"{len(wanted):,} outputs" + (f", {n_stale:,} of them for the new wording" if n_stale else "")
    if judge.kind != "llm":
        return f"{outputs}, on this machine."
    found = llm_judge.estimate(
        project, project.criterion(judge.criterion_id), judge.spec, project.outputs(wanted)
    )
    return f"{outputs}: {cost_in_words(found)}"


def verdicts_in_words(project: GradingProject, judge: GradingJudge) -> str:
    """How many outputs have which verdict; errors are counted aloud."""
    table = project.verdict_table([judge])
    counts, n_stale = table.counts(judge.id), table.n_stale(judge.id)
    parts = [f"{counts[name]:,} {words}" for name, words in WORDS.items() if counts[name]]
    told = f"Of {project.n_outputs:,} outputs: {', '.join(parts)}."
    if n_stale:
        told += (
            f" {n_stale:,} were judged by an older wording of the criterion: those verdicts no longer count."
        )
    return told


def stress_in_words(project: GradingProject, judge: GradingJudge) -> str:
    """What stress tests would take; nothing is asked. Raises ConflictError where they cannot be run."""
    plan = project.plan_stress(judge.id)
    tried = f"{plan.n_trials:,} changed outputs"
    return (
        f"{tried}, on this machine." if plan.estimate is None else f"{tried}: {cost_in_words(plan.estimate)}"
    )


def run_in_words(job: Job) -> str:
    """What an ended run did and cost, from its job."""
    return result_in_words(job.result or {})


def result_in_words(result: Mapping[str, Any]) -> str:
    """What a run of a model did and cost, from the job's result; empty where no model was asked."""
    told: dict[str, Any] = dict(result.get("llm") or {})
    if not told:
        return ""
    parts = [f"{told['calls']:,} calls", f"{told['cached']:,} answers from the cache"]
    if told["retries"]:
        parts.append(f"{told['retries']:,} retries")
    if told["repaired"]:
        parts.append(f"{told['repaired']:,} answers repaired")
    if told["unread"]:
        parts.append(f"{told['unread']:,} without a readable answer")
    tokens = told["prompt_tokens"] + told["completion_tokens"]
    parts.append(f"{tokens:,} tokens" + ("" if told["cost_usd"] is None else f", ${told['cost_usd']:,.4f}"))
    if told.get("unanswered"):
        parts.append(f"{told['unanswered']:,} outputs not answered: run it again to ask those")
    notes = "".join(f"\n{note[0].upper()}{note[1:]}." for note in told["notes"])
    return f"The run: {', '.join(parts)}.{notes}"


def cost_in_words(found: Estimate) -> str:
    """Calls, tokens and USD of an estimate."""
    cached = f", {found.cached:,} already answered" if found.cached else ""
    tokens = f"about {found.likely.total:,} tokens, at most {found.most.total:,}"
    if found.likely_usd is None or found.most_usd is None:
        return f"{found.calls:,} calls{cached}; {tokens}. The cost is unknown: prices are not set."
    if found.most_usd == 0:
        return f"{found.calls:,} calls{cached}; {tokens}; free."
    return f"{found.calls:,} calls{cached}; {tokens}; about ${found.likely_usd:,.3f}, at most ${found.most_usd:,.3f}."
