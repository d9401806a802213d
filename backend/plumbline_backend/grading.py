"""One grading project as pages, scripts and the command line see it: outputs, criteria, grades, judges, reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.criteria import library, regrade
from plumbline_backend.criteria.book import CriteriaBook
from plumbline_backend.criteria.design import SamplingDesign
from plumbline_backend.criteria.gradebook import GradeBook, grade_of, truth_of
from plumbline_backend.criteria.settings import ProjectSettings
from plumbline_backend.domain.alignment import UNGRADED, Estimate
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.grades import (
    Criterion,
    Grade,
    GradeAsk,
    GradingJudge,
    Output,
    Verdict,
)
from plumbline_backend.domain.types import Job, Judge, ProjectRow, State
from plumbline_backend.exporters.judges import export_judges
from plumbline_backend.importers.source import OnProblem
from plumbline_backend.jobs.executors import Report, Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.judges import adopted
from plumbline_backend.judges.bench import JudgeBench
from plumbline_backend.judges.choose import SetChoice, choose_set
from plumbline_backend.judges.reference import Evidence, n_in_sight, reference_grades
from plumbline_backend.judges.report import (
    TARGET_WIDTH,
    AlignmentReport,
    alignment_report,
    candidates_of,
    choice_of,
)
from plumbline_backend.judges.scores import Joined, import_scores
from plumbline_backend.judges.stress import StressPlan, plan_stress, start_stress
from plumbline_backend.judges.systems import SystemsReport, compare_systems
from plumbline_backend.judges.transfer import transferred_pass_rate
from plumbline_backend.judges.verdicts import VerdictTable, open_codes
from plumbline_backend.pool.pool import Pool
from plumbline_backend.settings import Settings
from plumbline_backend.store import Store
from plumbline_backend.store.draws import Draw
from plumbline_backend.trust.graders import GraderTrust


class GradingProject:
    """A grading project of an open workspace. Safe to use from several threads."""

    def __init__(self, store: Store, jobs: Jobs, row: ProjectRow, folder: Path, settings: Settings) -> None:
        self._store = store
        self._jobs = jobs
        self.settings = settings
        self.row = row
        self.slug = row.slug
        self.pool_folder = folder / "pool" / row.slug
        self.models_folder = folder / "models" / row.slug
        self.exports_folder = folder / "exports" / row.slug
        self.pool = Pool.open(self.pool_folder)
        self.kept = ProjectSettings(store, row.slug, row.id)
        self.book = CriteriaBook(store, row.id, self.kept)
        self._grades = GradeBook(store, row.id, row.n_items, self.book)
        self.design = SamplingDesign(
            store, row.id, row.n_items, self.book.overall_id, int(self.kept.read()["seed"])
        )
        self.bench = JudgeBench(self, store, jobs, self.kept)
        self.trust = GraderTrust(self, jobs)

    @property
    def name(self) -> str:
        """The project's name as people wrote it."""
        return self._store.projects.get(self.slug).name

    @property
    def n_outputs(self) -> int:
        """How many outputs there are; positions run from 0 to n_outputs - 1."""
        return self.row.n_items

    @property
    def seed(self) -> int:
        """Seed of the draws and of every simulated figure."""
        return int(self.kept.read()["seed"])

    # Outputs

    def output(self, position: int) -> Output:
        """One output. Raises InputError outside 0 .. n_outputs - 1."""
        return self.outputs([position])[0]

    def outputs(self, positions: Sequence[int] | None = None) -> list[Output]:
        """Outputs by position, in the given order; all without positions."""
        chosen = range(self.n_outputs) if positions is None else positions
        wrong = [p for p in chosen if not 0 <= p < self.n_outputs]
        if wrong:
            raise InputError(f"output: found {wrong[0]}; expected 0 to {self.n_outputs - 1}")
        return [_output(item.position, item.key, item.fields) for item in self.pool.items(list(chosen))]

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """The systems (models, prompts) that the outputs come from, most outputs first; empty when not told."""
        return tuple(name for name in self.pool.value_counts("system") if name)

    # Criteria

    def overall(self) -> Criterion:
        """The question that every output is asked: good or bad."""
        return self.book.overall()

    def criteria(self, include_inactive: bool = False) -> list[Criterion]:
        """The criteria, oldest first, without the overall question. May be empty: grading needs none."""
        return self.book.all(include_inactive)

    def criterion(self, criterion_id: int | None) -> Criterion:
        """A criterion; None or the overall question's id gives that. Raises NotFoundError."""
        return self.overall() if criterion_id is None else self.book.get(criterion_id)

    def add_criterion(self, name: str, text: str, *, by: str, **options: Any) -> Criterion:
        """A new criterion. Options: guidelines, kind ("pass_fail" or "rating"), pass_from, ffr_limit, source."""
        return self.book.add(name, text, by=by, **options)

    def add_from_library(
        self, key: str, *, by: str, parameters: Mapping[str, Any] | None = None
    ) -> tuple[Criterion, GradingJudge | None]:
        """A criterion of the library with its assertion, if it has one. Raises InputError, ConflictError."""
        found = library.filled(key, parameters)
        made = self.add_criterion(
            found.name, found.text, by=by, guidelines=found.guidelines, source=f"library:{key}"
        )
        if found.code is None:
            return made, None
        name = found.name if not self._judge_named(found.name) else f"{found.name} ({made.id})"
        return made, self.add_judge(made.id, "assertion", name, {"code": found.code})

    def edit_criterion(self, criterion_id: int, *, by: str, **changes: Any) -> Criterion:
        """Change name, text, guidelines, pass_from or ffr_limit. New wording makes older grades stale unless
        `same_meaning=True` says that it only puts the same thing better."""
        return self.book.edit(criterion_id, by=by, **changes)

    # Grading

    def grader(self, name: str) -> Judge:
        """The judge for a person of this name, made on first use."""
        clean = name.strip()
        if not clean or len(clean) > 100 or not clean.isprintable():
            raise InputError(f"grader: found {name!r}; expected 1 to 100 printable characters")
        return self._store.judges.ensure(self.row.id, "person", clean)

    def next_output(self, grader: Judge) -> GradeAsk | None:
        """The next output for this grader, the same one until its overall grade is in; None when all are drawn."""
        chosen = [judge.id for judge in self.chosen_judges()]
        return self.design.next(grader, self.verdict_table().only(chosen).as_set(), chosen)

    def grade(
        self,
        *,
        output: int,
        grader: Judge,
        client_uuid: str,
        criterion: int | None = None,
        answer: str | None = None,
        state: State = "answered",
        note: str = "",
        seconds: float | None = None,
        query_id: int | None = None,
    ) -> Grade:
        """Write one grade: of the overall question, which closes the ask, or of a criterion.

        answer: "pass" or "fail", or "1" to "5" for a rating; only with state "answered" (others: "skipped",
        "unsure", "flagged"). query_id: of the ask, None when the output was chosen by hand (then it is not
        used for estimates). The same client_uuid again changes nothing. Raises InputError.
        """
        asked = self.criterion(criterion)
        draws = self._draws()
        draw = None if query_id is None else draws.get(query_id)
        if query_id is not None and (draw is None or draw.item != output):
            raise InputError(f"query_id: {query_id} did not ask for output {output}; expected the ask's own")
        row = self._grades.record(asked, output, grader, client_uuid, answer, state, note, seconds, draw)
        self.design.close(grader, asked.id, output)
        return grade_of(row, asked, grader.name, draws)

    def undo(self, grader: Judge, client_uuid: str) -> Grade | None:
        """Take back the grader's newest grade and ask for that output again; None when there is none."""
        row = self._grades.undo(grader, client_uuid)
        if row is None:
            return None
        asked = self.criterion(row.question_id)
        if row.query_id is not None and self._draws()[row.query_id].question_id == asked.id:
            self.design.reopen(row.query_id)
        return grade_of(row, asked, grader.name, self._draws())

    def grades(
        self, criterion: int | None = None, output: int | None = None, grader: str | None = None
    ) -> list[Grade]:
        """What people say today of the overall question (None) or of a criterion, by output."""
        return self._grades.of(self.criterion(criterion), self._draws(), output, grader)

    def truth(self, criterion: int | None = None, *, designed: bool = False) -> NDArray[np.int8]:
        """(n_outputs,) GOOD, BAD or UNGRADED by most graders, stale grades left out.

        designed: only outputs that came up by the sampling design or with the file, which estimates may use.
        """
        truth = truth_of(self.grades(criterion), self.n_outputs)
        if designed:
            truth = np.where(self.designed(), truth, UNGRADED).astype(np.int8)
        return truth

    def truth_by_version(self, criterion_id: int) -> dict[int, NDArray[np.int8]]:
        """The designed grades of a criterion by the version under which they were given, oldest version first; what
        was graded again under a later version is in both."""
        found, designed = {}, self.designed()
        for version, grades in self._grades.by_version(self.criterion(criterion_id), self._draws()).items():
            truth = truth_of([replace(grade, stale=False) for grade in grades], self.n_outputs)
            found[version] = np.where(designed, truth, UNGRADED).astype(np.int8)
        return found

    def designed(self) -> NDArray[np.bool_]:
        """(n_outputs,) whether the output was drawn by the sampling design, or its grade came with the file."""
        out = np.zeros(self.n_outputs, dtype=bool)
        out[
            [d.item for d in self._draws().values() if d.partition_id is not None and d.closed_at is not None]
        ] = True
        out[np.array(self.kept.read().get("graded_at_import", []), dtype=np.int64)] = True
        return out

    # Grading the same output again

    def regrade_queue(self, grader: Judge, criterion: int | None = None) -> list[int]:
        """Outputs to grade again, blind: first those whose grade went stale, in the order of the draws, then a random
        order of the others that were not graded twice yet."""
        asked = self.criterion(criterion)
        mine, done = self.grades(asked.id, grader=grader.name), self._regraded(asked, grader)
        return regrade.queue(mine, done, self.seed, self.design.drawn())

    def next_regrade(self, grader: Judge, criterion: int | None = None) -> GradeAsk | None:
        """The next output to grade again; show no earlier grade with it. None when there is none."""
        queue = self.regrade_queue(grader, criterion)
        return self.design.regrade(grader, self.criterion(criterion).id, queue[0]) if queue else None

    def regraded_pairs(self, criterion: int | None = None) -> list[tuple[int, int]]:
        """(earlier, later) answers of blind re-grades under one version, 1 for good: for self-agreement."""
        asked = self.criterion(criterion)
        return regrade.pairs(self._store.ledger.history(asked.id, limit=None), asked)

    def _regraded(self, asked: Criterion, grader: Judge) -> set[int]:
        rows = self._store.ledger.history(asked.id, judge_id=grader.id, limit=None)
        return {
            row.item for row in rows if row.stratum == "regrade" and row.question_version >= asked.valid_from
        }

    # Judges

    def judges(self, criterion: int | None = None, every_version: bool = False) -> list[GradingJudge]:
        """The judges in use, of one criterion or of all."""
        return self.bench.all(criterion, every_version)

    def add_judge(
        self, criterion: int | None, kind: str, name: str, spec: Mapping[str, Any], cost: float = 0.0
    ) -> GradingJudge:
        """A new judge of a criterion (None: of the overall question). Raises InputError from the kind's check."""
        return self.bench.add(self.criterion(criterion), kind, name, spec, cost)

    def edit_judge(self, judge_id: int, spec: Mapping[str, Any], cost: float | None = None) -> GradingJudge:
        """A new version of the judge; run it to get its verdicts."""
        return self.bench.edit(judge_id, spec, cost)

    def run_judge(self, judge_id: int, outputs: Sequence[int] | None = None, again: bool = False) -> Job:
        """Judge outputs in the background: those without a verdict on today's wording, or all of them `again`."""
        return self.bench.run(judge_id, outputs, again)

    def unjudged(self, judge: GradingJudge, again: bool = False) -> list[int]:
        """The outputs that a run would judge: those without a verdict on today's wording, or all of
        them `again`."""
        unanswered = open_codes(self.verdict_table([judge]).codes[:, 0])
        return [at for at in range(self.n_outputs) if again or unanswered[at]]

    def in_worker(self, work: Work, report: Report) -> Mapping[str, Any]:
        """Have a worker do the heavy part of a job of this project that is running."""
        return self._jobs.in_worker(f"judge-worker-{self.slug}", work, report)

    def start(
        self, kind: str, work: Callable[[Report], Mapping[str, Any]], summary: Mapping[str, Any] | None = None
    ) -> Job:
        """Run `work` in a thread of the server, one of a kind after the other; its result is kept with the job."""
        lane = f"{kind}-{self.slug}"
        return self._jobs.start(kind, self.row.id, work, lambda *_: None, lane, summary)

    def wait(self, job: Job, timeout_s: float = 600.0) -> Job:
        """Block until the job has ended. Raises JobFailedError when it failed."""
        return self._jobs.wait(job.id, timeout_s)

    def verdict_table(self, judges: Sequence[GradingJudge] | None = None) -> VerdictTable:
        """All outputs by all judges in use (or by those given)."""
        return self.bench.table(judges)

    def verdicts(self, judge_id: int, output: int | None = None) -> list[Verdict]:
        """A judge's verdicts with explanations."""
        return self.bench.verdicts(judge_id, output)

    def select_judge(self, criterion_id: int, judge_id: int | None) -> Criterion:
        """Use this judge for the criterion; None: the best one is chosen. Raises InputError for another's judge."""
        if judge_id is not None and judge_id not in [j.id for j in self.judges(criterion_id)]:
            raise InputError(
                f"judge {judge_id} is not in use for criterion {criterion_id}; expected one that is"
            )
        adopted.drop(self)
        seen = 0 if judge_id is None else n_in_sight(self, criterion_id)
        return self.book.select(criterion_id, judge_id, seen)

    def chosen_judges(self) -> list[GradingJudge]:
        """The set that was adopted, else the judge that stands for each criterion (and for the overall question):
        chosen by a person, else best."""
        if (together := adopted.adopted(self)) is not None:
            return list(together.judges)
        table = self.verdict_table()
        chosen = []
        for criterion in [self.overall(), *self.criteria()]:
            judges = [judge for judge in table.judges if judge.criterion_id == criterion.id]
            judge_id, _ = choice_of(criterion, judges, table, partial(self._reference, criterion))
            chosen += [judge for judge in judges if judge.id == judge_id]
        return chosen

    def alignment_report(self, target_width: float = TARGET_WIDTH) -> AlignmentReport:
        """Every judge and the chosen set, measured on the grades, with intervals under the sampling design."""
        return alignment_report(self, target_width)

    def choose_set(self, min_coverage: float = 0.8, max_ffr: float = 0.2) -> SetChoice:
        """The fewest judges that fail enough bad and few enough good graded outputs, or why there is no such set."""
        table = self.verdict_table()
        return choose_set(
            candidates_of(list(table.judges), table), self.truth(designed=True), min_coverage, max_ffr
        )

    def adopt_set(self, min_coverage: float = 0.8, max_ffr: float = 0.2) -> SetChoice:
        """Use the smallest set instead of one judge for each criterion. Raises ConflictError where there is none."""
        return adopted.adopt(self, min_coverage, max_ffr)

    def drop_set(self) -> None:
        """Use one judge for each criterion again."""
        adopted.drop(self)

    def export(self, what: str, path: str | Path) -> Path:
        """Write "pytest" (a folder), "promptfoo" (YAML), "json" or "grades" (CSV, or JSON Lines by the name's end)."""
        return export_judges(self, what, Path(path))

    def compare_systems(self) -> SystemsReport:
        """Pass rates of the systems that the outputs come from, side by side, and one order over the criteria."""
        return compare_systems(self)

    def pass_rate_by(self, judge_id: int, graded: GradingProject) -> Estimate:
        """The pass rate of these outputs, corrected for the errors that the judge made in a graded project."""
        return transferred_pass_rate(self, judge_id, graded)

    def start_stress(self, judge_id: int, n_outputs: int = 20) -> Job:
        """Try a judge on changed outputs whose right answer is known; the job's result holds what it did."""
        return start_stress(self, judge_id, n_outputs)

    def plan_stress(self, judge_id: int, n_outputs: int = 20) -> StressPlan:
        """How many changed outputs that would try, and what it would cost; nothing is asked."""
        return plan_stress(self, judge_id, n_outputs)

    def import_scores(
        self, path: str | Path, on_problem: OnProblem = "refuse", criterion: int | None = None
    ) -> Joined:
        """Join score rows of LangSmith, Phoenix or Langfuse to the outputs by their ids, as said of one criterion."""
        return import_scores(self, self._store, Path(path), on_problem, criterion)

    def _reference(self, criterion: Criterion) -> Evidence:
        return Evidence(reference_grades(self, criterion).truth, self.design.strata())

    def _judge_named(self, name: str) -> bool:
        return any(judge.name == name for judge in self.judges(every_version=True))

    def _draws(self) -> dict[int, Draw]:
        return {draw.query_id: draw for draw in self.design.draws()}


def _output(position: int, key: str, fields: Mapping[str, Any]) -> Output:
    return Output(
        position=position,
        key=key,
        response=fields["response"] or "",
        prompt=fields.get("prompt") or "",
        variables=json.loads(fields.get("variables") or "{}"),
        system=fields.get("system") or "",
        reference=fields.get("reference") or "",
        metadata=json.loads(fields.get("metadata") or "{}"),
    )
