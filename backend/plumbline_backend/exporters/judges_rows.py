"""Outputs, grades and verdicts as rows: one JSON document of everything, and the grades as CSV or JSON Lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from plumbline_backend.domain.alignment import Alignment, Estimate
from plumbline_backend.domain.grades import Criterion, Grade, GradingJudge, Output

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

GRADE_COLUMNS = (
    "output", "criterion", "criterion_id", "criterion_version", "stale", "grader", "state", "answer", "passed", "note",
    "seconds", "at", "stratum", "probability",
)  # fmt: skip


def grade_rows(project: GradingProject) -> list[dict[str, Any]]:
    """Every grade that stands today, with criterion version, grader, time, stratum and sampling probability."""
    keys = {output.position: output.key for output in project.outputs()}
    criteria = [project.overall(), *project.criteria(include_inactive=True)]
    return [
        _grade(grade, criterion, keys) for criterion in criteria for grade in project.grades(criterion.id)
    ]


def project_document(project: GradingProject) -> dict[str, Any]:
    """The project as one JSON value: criteria, judges with their alignment, outputs with grades and verdicts."""
    report = project.alignment_report()
    table = project.verdict_table()
    measured = {each.judge.id: each for part in (report.overall, *report.criteria) for each in part.judges}
    chosen = set(report.chosen.judges)
    return {
        "project": project.name,
        "template": project.kept.read().get("template", ""),
        "criteria": [_criterion(c) for c in [project.overall(), *project.criteria(include_inactive=True)]],
        "judges": [
            {
                **_judge(judge),
                "chosen": judge.id in chosen,
                "against": measured[judge.id].against,
                "alignment": figures(measured[judge.id].alignment),
                "counts": table.counts(judge.id),
            }
            for judge in table.judges
        ],
        "chosen_set": {
            "judges": list(report.chosen.judges),
            "method": report.chosen.method,
            **figures(report.chosen.alignment),
        },
        "outputs": [
            {
                **output_row(output),
                "verdicts": {str(j.id): table.state(output.position, j.id) for j in table.judges},
            }
            for output in project.outputs()
        ],
        "grades": grade_rows(project),
    }


def output_row(output: Output) -> dict[str, Any]:
    """An output as the exported tests read it."""
    return {
        "id": output.key,
        "output": output.response,
        "prompt": output.prompt,
        "vars": dict(output.variables),
        "reference": output.reference,
        "system": output.system,
        **({"metadata": dict(output.metadata)} if output.metadata else {}),
    }


def figures(alignment: Alignment) -> dict[str, Any]:
    """The figures with their intervals; unknown is null."""
    names = ("coverage", "ffr", "alignment", "pass_rate", "tpr", "tnr", "mcc", "kappa")
    return {name: _estimate(getattr(alignment, name)) for name in names}


def in_words(alignment: Alignment) -> str:
    """A sentence on how well a judge agrees, for a comment."""
    parts = []
    for name, found in (("coverage", alignment.coverage), ("false failures", alignment.ffr)):
        if found.value is None:
            parts.append(f"{name} unknown (n = {found.n})")
        else:
            parts.append(f"{name} {found.value:.0%} [{found.low:.0%}, {found.high:.0%}] (n = {found.n})")
    return ", ".join(parts)


def _grade(grade: Grade, criterion: Criterion, keys: dict[int, str]) -> dict[str, Any]:
    values: Sequence[Any] = (
        keys[grade.output], criterion.name, criterion.id, grade.criterion_version, grade.stale, grade.grader,
        grade.state, grade.answer, grade.passed, grade.note, grade.seconds,
        None if grade.at is None else grade.at.isoformat(), grade.stratum, grade.probability,
    )  # fmt: skip
    return dict(zip(GRADE_COLUMNS, values, strict=True))


def _criterion(criterion: Criterion) -> dict[str, Any]:
    return {
        "id": criterion.id,
        "name": criterion.name,
        "text": criterion.text,
        "guidelines": criterion.guidelines,
        "kind": criterion.kind,
        "version": criterion.version,
        "status": criterion.status,
        "ffr_limit": criterion.ffr_limit,
        "source": criterion.source,
        "overall": criterion.overall,
    }


def _judge(judge: GradingJudge) -> dict[str, Any]:
    return {
        "id": judge.id,
        "criterion": judge.criterion_id,
        "kind": judge.kind,
        "name": judge.name,
        "version": judge.version,
        "spec": dict(judge.spec),
    }


def _estimate(found: Estimate) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
