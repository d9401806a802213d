"""How a grading project comes to be: a file of outputs (or the demo) becomes a pool, questions, grades and verdicts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plumbline_backend.criteria.book import OVERALL_TEXT, classes_of
from plumbline_backend.criteria.settings import GRADE_PURPOSE
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.grades import FAIL, PASS, Criterion, Verdict
from plumbline_backend.domain.types import Job, NewJudgement
from plumbline_backend.grading import GradingProject
from plumbline_backend.import_places import UNFINISHED
from plumbline_backend.importers.outputs import FoundOutput, accepted, n_alike, write_outputs
from plumbline_backend.importers.outputs_formats import read_outputs
from plumbline_backend.ingest import being_built
from plumbline_backend.jobs.executors import Work
from plumbline_backend.pool.features import fit_features
from plumbline_backend.pool.pool import Pool

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace

CAME_ALONG = "grades_and_verdicts.json"
"""Beside the pool: what the file said of its outputs, until it is in the ledger."""
DEMOS = {"replies": ("Replies to customers", "support_replies")}
"""Grading demos: title and folder. Their outputs were written for this purpose; see the source note in it."""
DATA = Path(__file__).parent / "data"


def import_outputs(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """The worker's task: read, check, write the pool and its features.

    spec: file, folder, format (None: guessed), mapping (of columns, or None), on_problem. Returns what the rows of
    the project are made from.
    """
    path, folder = Path(spec["file"]), Path(spec["folder"])
    report(0.0, f"reading {path.name}")
    found = read_outputs(path, spec["format"], spec["mapping"])
    outputs = accepted(path.name, found, spec["on_problem"])
    with being_built(folder):
        write_outputs(path.name, outputs, folder, {"file": path.name, "format": found.format}, None)
        came_along = {
            "grades": [row for at, output in enumerate(outputs) for row in _grades(at, output)],
            "verdicts": [row for at, output in enumerate(outputs) for row in _verdicts(at, output)],
        }
        (folder / CAME_ALONG).write_text(json.dumps(came_along), encoding="utf-8")
        report(0.5, "features for trained heads")
        fit_features(Pool.open(folder))
    return {
        "slug": spec["slug"],
        "n_items": len(outputs),
        "n_skipped": len(found.outputs) + len({p.row for p in found.problems}) - len(outputs),
        "n_alike": n_alike(outputs),
        "problems": [str(problem) for problem in found.problems[:100]],
        "notes": list(found.notes),
        "template": found.template or _template_beside(path),
    }


def _template_beside(path: Path) -> str:
    """The prompt with its variables, where it lies beside the outputs as prompt.txt."""
    beside = path.with_name("prompt.txt")
    return beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""


def start(
    workspace: Workspace,
    path: Path,
    name: str,
    format_name: str | None,
    mapping: Mapping[str, Any] | None,
    on_problem: str,
    demo: str | None = None,
    by: str | None = None,
) -> Job:
    """Import in the background; the job's result holds slug, n_items, n_skipped, n_alike, notes."""
    if not name.strip():
        raise InputError(f"project name: found {name!r}; expected at least one character")
    with workspace.places.reserved(name) as place:
        spec = {
            "slug": place.slug,
            "file": str(path.resolve()),
            "folder": str(place.building),
            "format": format_name,
            "mapping": None if mapping is None else dict(mapping),
            "on_problem": on_problem,
        }
        return workspace.jobs.start(
            "import",
            None,
            Work("import_outputs", spec),
            on_result=lambda job, result: place.hand_over(
                lambda: create(workspace, name.strip(), result, demo, by), lambda: workspace.jobs.is_ours(job)
            ),
            on_no_result=place.give_up,
            lane=f"import-{place.slug}",
            summary={"slug": place.slug, "name": name.strip(), "purpose": GRADE_PURPOSE},
        )


def demo_file(name: str) -> tuple[str, Path]:
    """Title and file of a grading demo. Raises InputError with the nearest name."""
    if name not in DEMOS:
        raise InputError(f"grading demo {name!r} does not exist; {did_you_mean(name, DEMOS)}")
    title, folder = DEMOS[name]
    return title, DATA / folder / "outputs.jsonl"


def demo_slug(workspace: Workspace, name: str) -> str | None:
    """The slug of the oldest demo of this name that is complete, if there is one. Raises InputError."""
    demo_file(name)
    rows = (r for r in workspace.projects() if r.settings.get("demo") == name and "overall" in r.settings)
    return next((row.slug for row in rows), None)


def create(
    workspace: Workspace, name: str, result: Mapping[str, Any], demo: str | None, by: str | None = None
) -> None:
    """Write the project's rows once its pool is complete on disk, then the grades and verdicts of the file."""
    file = workspace.folder / "pool" / result["slug"] / CAME_ALONG
    came_along = json.loads(file.read_text(encoding="utf-8"))
    settings = {
        "purpose": GRADE_PURPOSE,
        "seed": workspace.settings["seed"],
        "template": result["template"],
        "n_skipped": result["n_skipped"],
        "n_alike": result["n_alike"],
        "demo": demo,
        "criteria": {},
        "retired": [],
        "graded_at_import": sorted({row[0] for row in came_along["grades"]}),
        UNFINISHED: True,
    }
    store = workspace.store
    row = store.projects.create(result["slug"], name, result["n_items"], settings, by)
    question = store.questions.create(
        row.id, OVERALL_TEXT, "pass_fail", "", classes_of("pass_fail"), by="import"
    )
    store.projects.update_settings(row.id, {**settings, "overall": question.id})
    project = GradingProject(store, workspace.jobs, row, workspace.folder, workspace.settings)
    criteria = _criteria(
        project, [row[3] for row in came_along["grades"]], [row[5] for row in came_along["verdicts"]]
    )
    _record_grades(project, workspace, came_along["grades"], criteria)
    _record_verdicts(project, came_along["verdicts"], criteria)
    file.unlink()


def _criteria(project: GradingProject, *named: list[str | None]) -> dict[str | None, Criterion]:
    """The criteria that the file names, made; None is the overall question."""
    found: dict[str | None, Criterion] = {None: project.overall()}
    for name in dict.fromkeys(name for names in named for name in names):
        if name is not None:
            text = f"Is the output good in respect of {name!r}?"
            found[name] = project.add_criterion(name, text, by="import", source="import")
    return found


def _record_grades(
    project: GradingProject,
    workspace: Workspace,
    grades: list[list[Any]],
    criteria: Mapping[str | None, Criterion],
) -> None:
    rows = []
    for number, (output, grader, passed, criterion, note) in enumerate(grades):
        asked = criteria[criterion]
        rows.append(
            NewJudgement(
                item=output,
                question_id=asked.id,
                question_version=asked.version,
                judge_id=project.grader(grader).id,
                client_uuid=f"import:{number}",
                answer=PASS if passed else FAIL,
                note=note,
                stratum="random",
            )
        )
    if rows:
        workspace.store.ledger.record_many(rows, batch="import grades")


def _record_verdicts(
    project: GradingProject, verdicts: list[list[Any]], criteria: Mapping[str | None, Criterion]
) -> None:
    by_judge: dict[tuple[str, str | None], list[Verdict]] = {}
    for output, judge, state, score, explanation, criterion in verdicts:
        note = explanation if score is None else f"score {score:g}{': ' if explanation else ''}{explanation}"
        by_judge.setdefault((judge, criterion), []).append(Verdict(output, state, note=note))
    for (name, criterion), found in by_judge.items():
        judge = project.add_judge(criteria[criterion].id, "imported", name, {"from": "the file"})
        project.bench.save(judge, found, batch=f"import:{judge.id}")


def _grades(position: int, output: FoundOutput) -> list[list[Any]]:
    return [[position, g.grader, g.passed, g.criterion, g.note] for g in output.grades]


def _verdicts(position: int, output: FoundOutput) -> list[list[Any]]:
    return [[position, v.judge, v.state, v.score, v.explanation, v.criterion] for v in output.verdicts]
