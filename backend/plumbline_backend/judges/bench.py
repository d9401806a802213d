"""The judges of a grading project: adding, editing, running them, and the table of what they said."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.criteria.regrade import by_version
from plumbline_backend.criteria.settings import ProjectSettings
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.grades import FAIL, PASS, Criterion, GradingJudge, Verdict
from plumbline_backend.domain.types import Job, Judge, NewJudgement, State
from plumbline_backend.jobs.executors import Report
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.judges.kinds import JudgeKindRunner, JudgeRun
from plumbline_backend.judges.reference import n_in_sight
from plumbline_backend.judges.verdicts import VerdictTable, codes_of, open_codes, valid_since, verdict_of
from plumbline_backend.registry import GRADING_JUDGES
from plumbline_backend.store import Store

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

MAX_NOTE = 2_000
"""Characters of an explanation that are kept."""


class JudgeBench:
    """Judges and verdicts of one project."""

    def __init__(self, project: GradingProject, store: Store, jobs: Jobs, settings: ProjectSettings) -> None:
        self._project = project
        self._store = store
        self._jobs = jobs
        self._settings = settings

    def all(self, criterion_id: int | None = None, every_version: bool = False) -> list[GradingJudge]:
        """The judges in use, oldest first; with `every_version` also what was edited or retired, and the judges of
        criteria that were dropped or merged."""
        settings = self._settings.read()
        retired = set(settings["retired"])
        gone = {
            int(key) for key, kept in settings["criteria"].items() if kept.get("status", "active") != "active"
        }
        rows = [
            row for row in self._store.judges.for_project(self._project.row.id) if "criterion" in row.spec
        ]
        newest = {(row.kind, row.name): row.id for row in rows}
        used = set(newest.values()) - retired
        found = [_judge(row, row.id in used and row.spec["criterion"] not in gone) for row in rows]
        return [
            judge
            for judge in found
            if (every_version or judge.active) and criterion_id in (None, judge.criterion_id)
        ]

    def get(self, judge_id: int) -> GradingJudge:
        """A judge in any version. Raises NotFoundError."""
        for judge in self.all(every_version=True):
            if judge.id == judge_id:
                return judge
        raise NotFoundError(f"judge {judge_id} does not exist in this project")

    def add(
        self, criterion: Criterion, kind: str, name: str, spec: Mapping[str, Any], cost: float = 0.0
    ) -> GradingJudge:
        """A new judge at version 1. Raises InputError from the kind's check, ConflictError on a taken name."""
        clean = " ".join(name.split())
        if kind not in GRADING_JUDGES.names():
            raise InputError(
                f"judge kind: found {kind!r}; expected one of {', '.join(GRADING_JUDGES.names())}"
            )
        if not clean or len(clean) > 200:
            raise InputError(f"judge name: found {name!r}; expected 1 to 200 characters")
        if not 0 <= cost < float("inf"):
            raise InputError(f"judge cost: found {cost}; expected 0 or more")
        self._refuse_taken(kind, clean)
        checked = runner_for(kind).check(spec, criterion)
        return self._store_version(criterion.id, kind, clean, 1, checked, cost)

    def edit(self, judge_id: int, spec: Mapping[str, Any], cost: float | None = None) -> GradingJudge:
        """A new version with this specification; its verdicts start empty. Unchanged gives the judge back."""
        old = self.get(judge_id)
        criterion = self._project.criterion(old.criterion_id)
        checked = runner_for(old.kind).check(spec, criterion)
        if dict(checked) == dict(old.spec) and cost in (None, old.cost) and old.active:
            return old
        versions = [
            j.version for j in self.all(every_version=True) if (j.kind, j.name) == (old.kind, old.name)
        ]
        return self._store_version(
            old.criterion_id,
            old.kind,
            old.name,
            max(versions) + 1,
            checked,
            old.cost if cost is None else cost,
        )

    def retired(self, criterion_id: int) -> list[GradingJudge]:
        """The newest versions of the criterion's judges that were taken out of use, oldest first."""
        out = set(self._settings.read()["retired"])
        newest = {(j.kind, j.name): j for j in self.all(every_version=True) if j.criterion_id == criterion_id}
        return sorted((judge for judge in newest.values() if judge.id in out), key=lambda judge: judge.id)

    def retire(self, judge_id: int, retired: bool = True) -> None:
        """Take a judge out of use, or bring it back; its verdicts stay."""
        judge = self.get(judge_id)
        seen = n_in_sight(self._project, judge.criterion_id)

        def change(settings: dict[str, Any]) -> None:
            without = [each for each in settings["retired"] if each != judge.id]
            settings["retired"] = [*without, judge.id] if retired else without

        self._settings.change(change)
        self._project.book.chosen_among(judge.criterion_id, seen)

    def run(self, judge_id: int, outputs: Sequence[int] | None = None, again: bool = False) -> Job:
        """Judge outputs in the background; without `again` only those that have no verdict on today's wording yet."""
        judge = self.get(judge_id)
        runner_for(judge.kind)
        chosen = range(self._project.n_outputs) if outputs is None else sorted(set(outputs))

        def work(report: Report) -> Mapping[str, Any]:
            return self._run(judge, chosen, again, report)

        return self._jobs.start(
            "judge",
            self._project.row.id,
            work,
            on_result=lambda *_: None,
            lane=f"judge-{self._project.slug}-{judge.id}",
            summary={"judge": judge.id, "name": judge.name},
        )

    def save(
        self,
        judge: GradingJudge,
        verdicts: Sequence[Verdict],
        batch: str,
        criterion: Criterion | None = None,
    ) -> int:
        """Write verdicts durably; returns how many. criterion: as the judge was asked it; None: as it is now."""
        asked = self._project.criterion(judge.criterion_id) if criterion is None else criterion
        rows = [
            NewJudgement(
                item=verdict.output,
                question_id=asked.id,
                question_version=asked.version,
                judge_id=judge.id,
                client_uuid=f"{batch}:{verdict.output}",
                state=_state(verdict),
                answer=_answer(verdict),
                proba=None if verdict.p_pass is None else (verdict.p_pass, 1 - verdict.p_pass),
                note=verdict.note.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MAX_NOTE],
                seconds=verdict.seconds,
            )
            for verdict in verdicts
        ]
        return self._store.ledger.record_many(rows, batch=batch)

    def table(self, judges: Sequence[GradingJudge] | None = None) -> VerdictTable:
        """What each judge says of each output."""
        chosen = tuple(self.all() if judges is None else judges)
        codes = np.empty((self._project.n_outputs, len(chosen)), dtype=np.int8)
        for column, judge in enumerate(chosen):
            criterion = self._project.criterion(judge.criterion_id)
            rows = self._store.ledger.current(criterion.id, judge_id=judge.id)
            codes[:, column] = codes_of(rows, len(codes), criterion, valid_since(judge.kind, criterion))
        return VerdictTable(chosen, codes)

    def codes_at(self, judge: GradingJudge, version: int) -> NDArray[np.int8]:
        """(n_outputs,) what the judge said of the criterion in this version; an assertion says the same of all."""
        criterion = self._project.criterion(judge.criterion_id)
        if version >= valid_since(judge.kind, criterion):
            return self.table([judge]).codes[:, 0]
        history = self._store.ledger.history(criterion.id, judge_id=judge.id, limit=None)
        rows = by_version(history).get(version, [])
        return codes_of(rows, self._project.n_outputs, criterion)

    def verdicts(self, judge_id: int, output: int | None = None) -> list[Verdict]:
        """A judge's verdicts with their explanations, by output."""
        judge = self.get(judge_id)
        criterion = self._project.criterion(judge.criterion_id)
        items = None if output is None else [output]
        rows = self._store.ledger.current(criterion.id, items=items, judge_id=judge.id)
        since = valid_since(judge.kind, criterion)
        return [verdict_of(row, criterion, since) for row in rows]

    def _run(
        self, judge: GradingJudge, chosen: Sequence[int], again: bool, report: Report
    ) -> Mapping[str, Any]:
        batch = f"run:{judge.id}:{uuid.uuid4().hex[:12]}"
        unanswered = open_codes(self.table([judge]).codes[:, 0])
        wanted = [output for output in chosen if again or unanswered[output]]
        criterion = self._project.criterion(judge.criterion_id)
        run = JudgeRun(
            judge=judge,
            criterion=criterion,
            outputs=self._project.outputs(wanted),
            grades=self._project.grades(criterion.id),
            save=lambda verdicts: self.save(judge, verdicts, batch, criterion),
            report=report,
            project=self._project,
        )
        told = runner_for(judge.kind).run(run) if wanted else {}
        return {
            **told,
            "judge": judge.id,
            "n_judged": len(wanted),
            "counts": self.table([judge]).counts(judge.id),
        }

    def _refuse_taken(self, kind: str, name: str) -> None:
        """Raises ConflictError where a judge has the name, saying where it is."""
        same = [judge for judge in self.all(every_version=True) if (judge.kind, judge.name) == (kind, name)]
        if not same:
            return
        old, criterion = same[-1], self._project.criterion(same[-1].criterion_id)
        if criterion.status != "active":
            where = f"exists already, of criterion {criterion.name!r}, which is {criterion.status}; bring that back"
        elif old.active:
            where = f"exists already, for criterion {criterion.name!r}; edit it"
        else:
            where = f"is retired, of criterion {criterion.name!r}; bring it back"
        raise ConflictError(f"judge {name!r} {where}, or choose another name")

    def _store_version(
        self, criterion_id: int, kind: Any, name: str, version: int, spec: Mapping[str, Any], cost: float
    ) -> GradingJudge:
        kept = {"criterion": criterion_id, "cost": float(cost), "spec": dict(spec)}
        return _judge(self._store.judges.ensure(self._project.row.id, kind, name, version, kept), True)


def runner_for(kind: str) -> JudgeKindRunner:
    """The kind's runner. Raises InputError for a kind that cannot be run."""
    runner: JudgeKindRunner = GRADING_JUDGES.get(kind)()
    return runner


def _judge(row: Judge, active: bool) -> GradingJudge:
    return GradingJudge(
        id=row.id,
        criterion_id=row.spec["criterion"],
        kind=row.kind,
        name=row.name,
        version=row.version,
        spec=row.spec["spec"],
        cost=row.spec["cost"],
        active=active,
    )


def _state(verdict: Verdict) -> State:
    """How a verdict lies in the ledger: an error is "flagged", an abstention "skipped"."""
    states: dict[str, State] = {"error": "flagged", "abstain": "skipped"}
    return states.get(verdict.state, "answered")


def _answer(verdict: Verdict) -> str | None:
    if verdict.state in ("error", "abstain"):
        return None
    if verdict.answer is not None:
        return verdict.answer
    return PASS if verdict.state == "pass" else FAIL
