"""Background work of a model for the person: proposals of criteria, and drafts of assertions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from plumbline_backend.domain.grades import Criterion, Grade
from plumbline_backend.domain.types import Job
from plumbline_backend.jobs.executors import Report
from plumbline_backend.judges.llm.authoring import MAX_SHOWN, Existing, draft_assertion, propose_criteria
from plumbline_backend.judges.llm.prompts import Example
from plumbline_backend.judges.llm_judge import llm_for, told

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject


def start_proposals(project: GradingProject) -> Job:
    """Ask for criteria; the job's result holds them under "criteria". Raises InputError without a model."""
    llm = llm_for(project)
    llm.endpoint.key()

    def work(report: Report) -> Mapping[str, Any]:
        graded = _examples(project, project.grades())
        rng = np.random.default_rng(project.seed)
        sample = rng.choice(project.n_outputs, size=min(MAX_SHOWN, project.n_outputs), replace=False)
        existing = [Existing(each.name, each.text) for each in project.criteria(include_inactive=True)]
        found = propose_criteria(llm, project.outputs(sorted(sample.tolist())), graded, existing, report)
        return {"criteria": [each.model_dump() for each in found], "llm": told(llm)}

    return project.start("propose_criteria", work)


def start_assertion(project: GradingProject, criterion: Criterion, judge_id: int = 0) -> Job:
    """Ask for code; the job's result holds it under "draft", and under "shown" the graded outputs that the model saw.
    It was not run. Raises InputError without a model.

    judge_id: of the assertion that it may replace, 0: none yet; kept with the job, for whoever waits for the code.
    """
    llm = llm_for(project)
    llm.endpoint.key()

    def work(report: Report) -> Mapping[str, Any]:
        graded = _examples(project, project.grades(criterion.id) or project.grades())
        draft = draft_assertion(llm, criterion, graded, report)
        shown = [example.output.position for example in graded]
        return {"draft": draft.model_dump(), "shown": shown, "llm": told(llm)}

    asked = {"criterion": criterion.id, "judge": judge_id, "name": criterion.name}
    return project.start("draft_assertion", work, asked)


def _examples(project: GradingProject, grades: list[Grade]) -> list[Example]:
    """Graded outputs for a prompt: bad ones with notes first, since those say what is wrong."""
    usable = [grade for grade in grades if grade.passed is not None and not grade.stale]
    usable.sort(key=lambda grade: (bool(grade.passed), not grade.note, grade.output))
    chosen = usable[:MAX_SHOWN]
    outputs = project.outputs([grade.output for grade in chosen])
    return [
        Example(output, bool(grade.passed), grade.note) for output, grade in zip(outputs, chosen, strict=True)
    ]
