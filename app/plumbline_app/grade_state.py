"""The state of grading as JSON: output, criteria, progress, and a person's last grades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plumbline_backend.domain.grades import FAIL, PASS, RATINGS, Criterion, Grade, GradeAsk, Output
from plumbline_backend.domain.types import Judge

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

FIRST_LOOK = 20
"""Outputs that people want to see before they fix criteria (Shankar et al. 2024)."""
TEXT_LIMIT = 100_000
EXCERPT_LIMIT = 48
HISTORY_SHOWN = 24


def criteria_state(project: GradingProject) -> dict[str, Any]:
    """The overall question and the criteria in use."""
    return {
        "overall": _criterion(project.overall()),
        "criteria": [_criterion(each) for each in project.criteria()],
    }


def output_state(output: Output) -> dict[str, Any]:
    """Everything the browser needs to paint one output; texts are cut where they would stop a tab."""
    return {
        "output": output.position,
        "key": output.key,
        "system": output.system,
        "response": text_part(output.response),
        "prompt": text_part(output.prompt),
        "reference": text_part(output.reference),
        "variables": [{"name": name, **text_part(value)} for name, value in output.variables.items()],
        "excerpt": excerpt(output),
    }


def ask_state(project: GradingProject, ask: GradeAsk | None) -> dict[str, Any] | None:
    """The next output with how it was drawn; None when there is none."""
    if ask is None:
        return None
    return {**output_state(project.output(ask.output)), "query_id": ask.query_id, "reason": ask.reason}


def text_part(text: str) -> dict[str, Any]:
    """A text, cut at the limit with its true length told. NUL and lone surrogates become visible signs."""
    shown = text[:TEXT_LIMIT].encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")
    return {"text": shown, "length": len(text), "cut": len(text) > TEXT_LIMIT}


def excerpt(output: Output) -> str:
    """The output in the size of a stamp."""
    words = " ".join(output.response[: 4 * EXCERPT_LIMIT].split())[:EXCERPT_LIMIT]
    return words.encode("utf-8", "replace").decode() or "(empty)"


def status_state(project: GradingProject, grader: Judge) -> dict[str, Any]:
    """What the side panel shows: counts are of outputs with an overall grade in force."""
    grades = project.grades()
    answered = [grade for grade in grades if grade.passed is not None and not grade.stale]
    mine = {grade.output for grade in answered if grade.grader == grader.name}
    per_criterion = {}
    for criterion in project.criteria():
        own = [g for g in project.grades(criterion.id) if g.passed is not None]
        fresh = [g for g in own if not g.stale]
        per_criterion[str(criterion.id)] = {
            "n_pass": sum(bool(g.passed) for g in fresh),
            "n_fail": sum(not g.passed for g in fresh),
            "n_stale": len({g.output for g in own if g.stale}),
            "n_regrade": len(project.regrade_queue(grader, criterion.id)),
        }
    return {
        "n_outputs": project.n_outputs,
        "n_graded": len({grade.output for grade in answered}),
        "n_mine": len(mine),
        "n_good": len({grade.output for grade in answered if grade.passed}),
        "n_bad": len({grade.output for grade in answered if not grade.passed}),
        "n_unsure": len({grade.output for grade in grades if grade.state == "unsure"}),
        "n_skipped": len({grade.output for grade in grades if grade.state == "skipped"}),
        "n_notes": sum(bool(grade.note) for grade in grades),
        "n_regrade": len(project.regrade_queue(grader)),
        "first_look": FIRST_LOOK,
        "per_criterion": per_criterion,
        "n_judges": len(project.judges()),
    }


def history_state(project: GradingProject, grader: Judge) -> list[dict[str, Any]]:
    """The person's overall grades in force, newest first, with their thumbs."""
    own = project.grades(grader=grader.name)
    newest = sorted(own, key=lambda grade: -grade.judgement_id)[:HISTORY_SHOWN]
    thumbs = thumbs_of(project, grader, {grade.output for grade in newest})
    outputs = project.outputs([grade.output for grade in newest])
    return [
        {
            "output": grade.output,
            "state": grade.state,
            "answer": grade.answer,
            "note": grade.note,
            "thumbs": thumbs.get(grade.output, {}),
            "excerpt": excerpt(output),
        }
        for grade, output in zip(newest, outputs, strict=True)
    ]


def thumbs_of(project: GradingProject, grader: Judge, outputs: set[int]) -> dict[int, dict[str, str]]:
    """The person's answers to criteria by output and criterion id, stale ones left out."""
    found: dict[int, dict[str, str]] = {}
    for criterion in project.criteria():
        for grade in project.grades(criterion.id, grader=grader.name):
            if grade.output in outputs and grade.answer is not None and not grade.stale:
                found.setdefault(grade.output, {})[str(criterion.id)] = grade.answer
    return found


def verdict_states(project: GradingProject, output: int) -> list[dict[str, Any]]:
    """What every judge says of one output."""
    criteria = {each.id: each.name for each in [project.overall(), *project.criteria()]}
    found = []
    for judge in project.judges():
        for verdict in project.verdicts(judge.id, output):
            found.append(
                {
                    "judge": judge.name,
                    "criterion": criteria.get(judge.criterion_id, ""),
                    "state": verdict.state,
                    "note": f"{'By an older wording. ' if verdict.stale else ''}{verdict.note[:600]}",
                }
            )
    return found


def grade_state(grade: Grade) -> dict[str, Any]:
    """One grade, as its undo tells it."""
    return {
        "output": grade.output,
        "criterion": grade.criterion_id,
        "answer": grade.answer,
        "state": grade.state,
    }


def _criterion(criterion: Criterion) -> dict[str, Any]:
    return {
        "id": criterion.id,
        "name": criterion.name,
        "text": criterion.text,
        "guidelines": criterion.guidelines,
        "version": criterion.version,
        "answers": list(RATINGS) if criterion.kind == "rating" else [PASS, FAIL],
    }
