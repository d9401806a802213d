"""Joining score rows of other tools to the outputs of a project: people's become grades, the others' verdicts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from plumbline_backend.domain.errors import ImportRefusedError, InputError, Problem
from plumbline_backend.domain.grades import FAIL, PASS, Criterion, Verdict
from plumbline_backend.domain.types import Job, NewJudgement
from plumbline_backend.importers.outputs_scores import ScoreRow, read_scores
from plumbline_backend.importers.source import OnProblem
from plumbline_backend.jobs.executors import Report

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject
    from plumbline_backend.store import Store


class Joined(NamedTuple):
    """What an import of scores did."""

    n_grades: int
    n_verdicts: int
    problems: tuple[Problem, ...]


def import_scores(
    project: GradingProject,
    store: Store,
    path: Path,
    on_problem: OnProblem,
    criterion_id: int | None = None,
) -> Joined:
    """Read and record a file of scores of one criterion (None: the overall question); again, it changes nothing.

    People's scores are grades as of outputs chosen by hand. A score that says neither good nor bad is an error verdict;
    of a person it is a problem. Raises ImportRefusedError for rows that cannot be read and ids that no output has,
    unless on_problem is "skip".
    """
    asked = project.criterion(criterion_id)
    rows, problems = read_scores(path)
    places = {key: position for position, key in enumerate(project.pool.keys(range(project.n_outputs)))}
    usable = []
    for number, row in enumerate(rows, 1):
        if row.key not in places:
            problems.append(Problem(path.name, "the id of an output of this project", number, "id", row.key))
        elif row.by_person and row.passed is None:
            problems.append(Problem(path.name, "good or bad", number, row.name, str(row.score)))
        else:
            usable.append(row)
    if problems and on_problem == "refuse":
        raise ImportRefusedError(problems[:100], max(0, len(problems) - 100))
    if not usable:
        raise InputError(f"{path.name}: no score fits an output of this project")
    batch = f"scores:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    if not asked.overall:
        batch += f":{asked.id}"
    n_grades = _record_grades(project, store, asked, [r for r in usable if r.by_person], places, batch)
    n_verdicts = _record_verdicts(project, asked, [r for r in usable if not r.by_person], places, batch)
    return Joined(n_grades, n_verdicts, tuple(problems))


def start_scores(
    project: GradingProject, path: Path, criterion_id: int | None, on_problem: OnProblem = "refuse"
) -> Job:
    """`import_scores` in the background; the job's result holds n_grades, n_verdicts and problems."""

    def work(report: Report) -> Mapping[str, Any]:
        report(0.0, f"reading {path.name}")
        found = project.import_scores(path, on_problem, criterion_id)
        problems = [asdict(problem) for problem in found.problems[:100]]
        return {"n_grades": found.n_grades, "n_verdicts": found.n_verdicts, "problems": problems}

    return project.start("import_scores", work, {"file": path.name})


def _record_grades(
    project: GradingProject,
    store: Store,
    asked: Criterion,
    rows: list[ScoreRow],
    places: dict[str, int],
    batch: str,
) -> int:
    if rows and asked.kind == "rating":
        raise InputError(
            f"criterion {asked.name!r} is rated; expected one that people call good or bad, as they do here"
        )
    new = [
        NewJudgement(
            item=places[row.key],
            question_id=asked.id,
            question_version=asked.version,
            judge_id=project.grader(row.name).id,
            client_uuid=f"{batch}:{number}",
            answer=PASS if row.passed else FAIL,
            note=row.explanation,
        )
        for number, row in enumerate(rows)
    ]
    return store.ledger.record_many(new, batch=batch) if new else 0


def _record_verdicts(
    project: GradingProject, asked: Criterion, rows: list[ScoreRow], places: dict[str, int], batch: str
) -> int:
    n = 0
    judges = {judge.name: judge for judge in project.judges(asked.id) if judge.kind == "imported"}
    for name in dict.fromkeys(row.name for row in rows):
        judge = judges.get(name) or project.add_judge(asked.id, "imported", name, {"from": "score rows"})
        latest = {places[row.key]: _verdict(row, places[row.key]) for row in rows if row.name == name}
        n += project.bench.save(judge, list(latest.values()), f"{batch}:{judge.id}")
    return n


def _verdict(row: ScoreRow, output: int) -> Verdict:
    score = "" if row.score is None else f"score {row.score:g}{': ' if row.explanation else ''}"
    if row.passed is None:
        return Verdict(output, "error", note=f"{score}{row.explanation}" or "neither good nor bad")
    return Verdict(output, "pass" if row.passed else "fail", note=f"{score}{row.explanation}")
