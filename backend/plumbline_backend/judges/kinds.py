"""What a kind of judge is: it checks a specification and makes work that brings verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from plumbline_backend.domain.grades import Criterion, Grade, GradingJudge, Output, Verdict

Report = Callable[[float, str], None]
"""Progress in [0, 1] and a message. It raises to stop the work when its cancel was asked for."""


@dataclass(frozen=True)
class JudgeRun:
    """One run of a judge over outputs.

    `save` writes verdicts durably: call it in portions where a run is long, so that a cancel keeps what is there.
    `grades` are those of the judge's criterion (of the overall question where the judge is of that): only what
    learns from grades, or shows some as examples, looks at them.
    """

    judge: GradingJudge
    criterion: Criterion
    outputs: Sequence[Output]
    grades: Sequence[Grade]
    save: Callable[[Sequence[Verdict]], object]
    report: Report
    project: Any
    """The GradingProject: for kinds that need its pool or its settings."""


class JudgeKindRunner(Protocol):
    """One kind of judge. An entry of `registry.GRADING_JUDGES`."""

    kind: str
    explanation: str
    """One sentence for the person who chooses it."""

    def check(self, spec: Mapping[str, Any], criterion: Criterion) -> Mapping[str, Any]:
        """The specification with its defaults. Raises InputError naming all that is wrong."""
        ...

    def run(self, run: JudgeRun) -> Mapping[str, Any]:
        """Judge every output of the run and save the verdicts; returns what to keep with the job.

        It runs in a thread of the server, so it does nothing heavy itself: code of others runs in the sandbox,
        training in a worker.
        """
        ...
