"""Stress tests of a judge: outputs changed so that the right answer is known.

Over-stable: an output that passed was spoilt, and the judge still passes it. Over-sensitive: something was changed
that does not matter, and the judge changes its mind. Source of the changes: studies of reading-comprehension and
essay-scoring systems (Kabra et al. 2022).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.grades import GradingJudge, Output, Verdict
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Job
from plumbline_backend.jobs.executors import Report
from plumbline_backend.judges import llm_judge
from plumbline_backend.judges.bench import runner_for
from plumbline_backend.judges.kinds import JudgeRun
from plumbline_backend.judges.llm.batch import Estimate

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

Expected = Literal["fail", "same"]
N_OUTPUTS = 20
OFF_TOPIC = (
    "The harbour was built in three stages. Its northern mole is 1,200 metres long. Granite from the coast was used. "
    "Since the last renovation the lighthouse works without a keeper."
)
FLATTERY = "What a wonderful question, and what a pleasure to answer someone as thoughtful as you!"
FILLER = "This is worth a moment of attention. As always, there is a little more to it, and that is fine."


@dataclass(frozen=True)
class Change:
    """One kind of change. expected: "fail" when the changed output is bad, "same" when nothing has changed that
    should count. A change that leaves an output as it is does not apply to it."""

    name: str
    expected: Expected
    explanation: str
    apply: Callable[[Output, np.random.Generator], str]


class Trial(NamedTuple):
    """An output as one change left it."""

    change: Change
    output: Output


class StressPlan(NamedTuple):
    """What stress tests would take. estimate: of the model's calls; None where the judge asks none."""

    n_trials: int
    estimate: Estimate | None


def start_stress(project: GradingProject, judge_id: int, n_outputs: int = N_OUTPUTS) -> Job:
    """Run the stress tests in the background; the job's result is what `stress` returns."""
    judge = _stressable(project, judge_id)
    summary = {"judge": judge.id, "name": judge.name}
    return project.start("stress", lambda report: stress(project, judge, n_outputs, report), summary)


def plan_stress(project: GradingProject, judge_id: int, n_outputs: int = N_OUTPUTS) -> StressPlan:
    """What `start_stress` would try and ask; nothing is sent. Raises ConflictError where it could not be started."""
    judge = _stressable(project, judge_id)
    changed = [trial.output for trial in trials_of(project, judge, n_outputs)]
    if judge.kind != "llm":
        return StressPlan(len(changed), None)
    criterion = project.criterion(judge.criterion_id)
    return StressPlan(len(changed), llm_judge.estimate(project, criterion, judge.spec, changed))


def stress(project: GradingProject, judge: GradingJudge, n_outputs: int, report: Report) -> Mapping[str, Any]:
    """Per change: how many outputs it was tried on, how often the judge did the expected, and examples of the rest.

    One run over all changes, so that a model is asked within one budget and a cancel takes effect at once. Rates
    carry Wilson intervals; None where nothing could be tried. "llm": what a model's run took.
    """
    trials = trials_of(project, judge, n_outputs)
    before = _decided(project, judge)
    verdicts, told = _judged(project, judge, [trial.output for trial in trials], report)
    after = list(zip(trials, verdicts, strict=True))
    rows = [_row(change, [pair for pair in after if pair[0].change is change], before) for change in CHANGES]
    return {"judge": judge.id, "changes": rows, **told}


def trials_of(project: GradingProject, judge: GradingJudge, n_outputs: int) -> list[Trial]:
    """Changed outputs, the same each time for the same verdicts.

    Outputs are a random sample of those that the judge decided; changes that should spoil an output are only tried
    on those it passes, and a change that leaves an output as it is on none.
    """
    rng = np.random.default_rng(project.seed)
    before = _decided(project, judge)
    trials = []
    for change in CHANGES:
        usable = [o for o, state in sorted(before.items()) if change.expected == "same" or state == "pass"]
        sample = rng.permutation(usable)[:n_outputs].tolist()
        for output in project.outputs(sample):
            response = change.apply(output, rng)
            if response != output.response:
                trials.append(Trial(change, replace(output, response=response)))
    return trials


def _stressable(project: GradingProject, judge_id: int) -> GradingJudge:
    judge = project.bench.get(judge_id)
    if judge.kind in ("imported", "head"):
        why = (
            "has no code to run"
            if judge.kind == "imported"
            else "needs features that a changed output does not have"
        )
        raise ConflictError(f"judge {judge.name!r} cannot be stress-tested: it {why}")
    return judge


def _decided(project: GradingProject, judge: GradingJudge) -> dict[int, str]:
    """What the judge said of the outputs as they are. Raises ConflictError when that is nothing."""
    before: dict[int, str] = {
        v.output: v.state for v in project.verdicts(judge.id) if v.state in ("pass", "fail") and not v.stale
    }
    if not before:
        raise ConflictError(f"judge {judge.name!r} has no verdicts yet; run it first")
    return before


def _judged(
    project: GradingProject, judge: GradingJudge, outputs: Sequence[Output], report: Report
) -> tuple[list[Verdict], Mapping[str, Any]]:
    """The judge's verdicts on changed outputs, in their order, and what a model's run took; nothing is stored."""
    criterion = project.criterion(judge.criterion_id)
    if judge.kind == "llm":
        return llm_judge.ask(project, criterion, judge.spec, outputs, report)
    said: list[Verdict] = []
    run = JudgeRun(
        judge=judge,
        criterion=criterion,
        outputs=outputs,
        grades=project.grades(criterion.id),
        save=said.extend,
        report=report,
        project=project,
    )
    if outputs:
        runner_for(judge.kind).run(run)
    return said, {}


def _row(change: Change, tried: Sequence[tuple[Trial, Verdict]], before: Mapping[int, str]) -> dict[str, Any]:
    decided = [(trial.output, said.state) for trial, said in tried if said.state in ("pass", "fail")]
    wrong = [
        output
        for output, state in decided
        if state != ("fail" if change.expected == "fail" else before[output.position])
    ]
    rate = wilson(len(decided) - len(wrong), len(decided))
    return {
        "name": change.name,
        "expected": change.expected,
        "explanation": change.explanation,
        "weakness": "over-stable" if change.expected == "fail" else "over-sensitive",
        "n": len(decided),
        "n_errors": len(tried) - len(decided),
        "as_expected": None if not decided else {"value": rate.value, "low": rate.low, "high": rate.high},
        "examples": [{"output": o.position, "changed": o.response[:500]} for o in wrong[:3]],
    }


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def _shuffled(output: Output, rng: np.random.Generator) -> str:
    parts = _sentences(output.response)
    return " ".join(parts[i] for i in rng.permutation(len(parts)))


def _repeated(output: Output, rng: np.random.Generator) -> str:
    del rng
    return "\n\n".join([output.response] * 3)


def _off_topic(output: Output, rng: np.random.Generator) -> str:
    del output, rng
    return OFF_TOPIC


def _negated(output: Output, rng: np.random.Generator) -> str:
    """The first plain verb turned into its opposite; the same text where there is none."""
    del rng
    swaps = {"cannot": "can", "not ": "", "can": "cannot", "is": "is not", "are": "are not", "will": "will not",
             "takes": "does not take", "yes": "no"}  # fmt: skip
    for word, opposite in swaps.items():
        changed = re.sub(
            rf"\b{re.escape(word.strip())}\b ?", f"{opposite} ".lstrip(), output.response, count=1
        )
        if changed != output.response:
            return changed
    return output.response


def _emptied(output: Output, rng: np.random.Generator) -> str:
    del output, rng
    return ""


def _flattered(output: Output, rng: np.random.Generator) -> str:
    del rng
    return f"{FLATTERY} {output.response}"


def _lengthened(output: Output, rng: np.random.Generator) -> str:
    del rng
    return f"{output.response}\n\n{FILLER}"


def _respaced(output: Output, rng: np.random.Generator) -> str:
    del rng
    return output.response.replace("\n\n", "\n").replace(". ", ".  ") + "\n"


CHANGES = (
    Change("shuffled sentences", "fail", "The sentences stand in a random order.", _shuffled),
    Change("repeated text", "fail", "The whole output stands there three times.", _repeated),
    Change("off-topic text", "fail", "A text about a harbour instead of an answer.", _off_topic),
    Change("negated answer", "fail", "The first plain statement is turned into its opposite.", _negated),
    Change("empty output", "fail", "Nothing at all.", _emptied),
    Change("added flattery", "same", "A compliment in front should not move a judge.", _flattered),
    Change("added length", "same", "Two sentences without content at the end.", _lengthened),
    Change("other white space", "same", "Blank lines and double spaces.", _respaced),
)
"""A judge of one criterion need not notice every change: one of length rightly ignores a negation. Read the table with
the criterion in mind."""
