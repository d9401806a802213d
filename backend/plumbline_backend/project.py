"""One project as pages, scripts and the command line see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from plumbline_backend import classifier_export, exports, report, stated
from plumbline_backend.counting import Counting
from plumbline_backend.desk import Desk
from plumbline_backend.domain import schema
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import (
    STATES,
    Ask,
    Job,
    Judge,
    JudgeKind,
    Judgement,
    ModelVersion,
    NewJudgement,
    Positions,
    ProjectRow,
    Question,
    QuestionChange,
    State,
    Stratum,
)
from plumbline_backend.ingest import load_stream_order
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.kinds.base import Kind, KindReport
from plumbline_backend.loop import Folders, Loop
from plumbline_backend.pool.pool import Pool
from plumbline_backend.project_heads import ProjectHeads
from plumbline_backend.ranking import check_strategy, plugins_beside
from plumbline_backend.reference import Reference
from plumbline_backend.report import LearningCurve
from plumbline_backend.settings import Settings
from plumbline_backend.standing import LabelledState, LoopStatus
from plumbline_backend.store import Store

MAX_NOTE_LENGTH = 10_000


class Project:
    """A project of an open workspace. Safe to use from several threads."""

    def __init__(self, store: Store, jobs: Jobs, row: ProjectRow, folder: Path, settings: Settings) -> None:
        self._store = store
        self._jobs = jobs
        self._settings = settings
        self.row = row
        self.slug = row.slug
        self.folders = Folders(folder / "pool" / row.slug, folder / "models" / row.slug)
        self.exports_folder = folder / "exports" / row.slug
        self.pool = Pool.open(self.folders.pool)
        (question,) = store.questions.for_project(row.id)
        self._question_id = question.id
        self.stream_order = load_stream_order(self.folders.pool)
        self.loop = Loop(store, jobs, row, question.id, self.folders, settings, self.stream_order)
        self._counting = Counting(self.loop.answers)
        self.reference = Reference()
        self.heads = ProjectHeads(self)
        self.desk = Desk(self, store, jobs)

    @property
    def kind(self) -> Kind:
        """What is particular to the kind of the project's question."""
        return self.loop.kind

    @property
    def name(self) -> str:
        """The project's name as people wrote it."""
        return self._store.projects.get(self.slug).name

    def question(self) -> Question:
        """The question in its newest version."""
        return self._store.questions.get(self._question_id)

    def person(self, name: str) -> Judge:
        """The judge for a person of this name, made on first use."""
        clean = name.strip()
        if not clean or len(clean) > 100 or not clean.isprintable():
            raise InputError(f"person: found {name!r}; expected 1 to 100 printable characters")
        return self._store.judges.ensure(self.row.id, "person", clean)

    def outside_judge(self, name: str, kind: JudgeKind = "llm") -> Judge:
        """A judge that is no person, such as an LLM grader, whose answers with probabilities are recorded here.

        It is measured against people and never learnt from. Raises InputError for a kind that lives elsewhere.
        """
        stated.check_kinds(kind, self.kind)
        clean = " ".join(name.split())
        if not clean or len(clean) > 100 or not clean.isprintable():
            raise InputError(f"judge: found {name!r}; expected 1 to 100 printable characters")
        return self._store.judges.ensure(self.row.id, kind, clean)

    # Judgements

    def record(
        self,
        *,
        item: int,
        judge: Judge,
        client_uuid: str,
        answer: str | None = None,
        state: State = "answered",
        note: str = "",
        seconds: float | None = None,
        query_id: int | None = None,
        stratum: Stratum = "browse",
        proba: Mapping[str, float] | None = None,
    ) -> Judgement:
        """Write one judgement; when this returns it is on disk. The same `client_uuid` again changes nothing.

        proba: the probability of each class by id that the judge states; its answer is then the likeliest unless one
        is given. Raises InputError for an item, class, state, note or probabilities that are not valid.
        """
        question = self.question()
        row = None if proba is None else stated.as_row(question, proba)
        if proba is not None and answer is None and state == "answered":
            answer = stated.answer_of(question, proba)
        self._check(item, answer, state, note, seconds, client_uuid)
        if answer is not None:
            answer = self.loop.kind.form.checked(question, answer)
        return self.loop.record(
            NewJudgement(
                item=item,
                question_id=question.id,
                question_version=question.version,
                judge_id=judge.id,
                client_uuid=client_uuid,
                state=state,
                answer=answer,
                proba=row,
                note=note,
                seconds=seconds,
                query_id=query_id,
                stratum=stratum,
            )
        )

    def undo(self, judge: Judge, client_uuid: str, judgement_id: int | None = None) -> Judgement | None:
        """Take back the judge's newest judgement, or the named one. Returns it, or None when there is none."""
        return self.loop.undo(judge, client_uuid, judgement_id)

    def history(
        self, judge: Judge | None = None, item: int | None = None, limit: int = 50
    ) -> list[Judgement]:
        """Rows of the ledger, newest first, with those that were superseded or revoked."""
        return self._store.ledger.history(
            self._question_id, item=item, judge_id=None if judge is None else judge.id, limit=limit
        )

    def current(self, item: int, judge: Judge) -> Judgement | None:
        """What the judge says of the item today."""
        found = self._store.ledger.current(self._question_id, items=[item], judge_id=judge.id)
        return found[0] if found else None

    def labelled_state(self, positions: Sequence[int]) -> list[LabelledState]:
        """For each position what people say today; by majority where they differ. `class_id` is the answer."""
        self.loop.answers.refresh()
        question = self.question()
        names = {judge.id: judge.name for judge in self._store.judges.for_project(self.row.id)}
        return [
            LabelledState(
                position,
                self.loop.answers.state(position),
                self.loop.answers.choice(position, question),
                tuple(names[judge_id] for judge_id in sorted(self.loop.answers.of(position))),
            )
            for position in positions
        ]

    def positions_with(
        self, state: State | Literal["none"] | None = None, class_id: str | None = None
    ) -> Positions | None:
        """Items in a state that people gave ("none": in no state) and carrying a class; None when neither is asked."""
        if state is None and class_id is None:
            return None
        answers, question = self.loop.answers, self.question()
        answers.refresh()
        if state != "none":
            return answers.items_with(question, state, class_id)
        stated = np.zeros(self.row.n_items, dtype=bool)
        for each in STATES:
            stated[answers.items_with(question, each, None)] = True
        if class_id is None:
            return np.flatnonzero(~stated)
        carrying = answers.items_with(question, None, class_id)
        return carrying[~stated[carrying]]

    # The loop

    def next_items(self, judge: Judge, holder: str, n: int = 10) -> list[Ask]:
        """The next `n` items for this browser tab, leased to it. Fewer when the pool runs out."""
        return self.loop.next_items(judge, holder, n)

    def release(self, holder: str, items: Sequence[int] | None = None) -> None:
        """Give back what `holder` was promised: all of it, or these items."""
        self._store.leases.release(self._question_id, holder, items)

    def fit(self) -> Job | None:
        """Train now if there is anything new to learn; returns the job that trains, if any."""
        return self.loop.fit_if_due() or self.loop.training()

    def wait(self, job: Job, timeout_s: float = 600.0) -> Job:
        """Block until the job has ended. Raises JobFailedError when it failed."""
        return self._jobs.wait(job.id, timeout_s)

    def status(self) -> LoopStatus:
        """Model and training as of now; counts too, or of a moment ago where there are very many answers."""
        training = self.loop.training()  # waits for a fit that is just being started, which writes
        with self._store.database.moment():
            return self._status(training)

    def _status(self, training: Job | None) -> LoopStatus:
        question = self.question()
        counts = self._counting.now(question)
        model = self.loop.newest_model()
        behind = 0 if model is None else self._store.ledger.n_since(question.id, model.ledger_id)
        fits = [job for job in self._jobs.list(self.row.id, 5) if job.kind == "fit"]
        failed = fits[0] if fits and fits[0].state == "failed" else None
        return LoopStatus(
            n_items=self.row.n_items,
            n_answered=counts.by_state["answered"],
            n_by_state={state: counts.by_state[state] for state in STATES},
            n_by_class=dict(counts.by_class),
            n_train=counts.n_train,
            n_stream=counts.n_stream,
            n_reserve=len(self.stream_order),
            stream_share=self.loop.stream_share,
            strategy=self.loop.strategy,
            model=model,
            n_behind=behind,
            training=training,
            failed=failed,
            waiting="" if model is not None else self.loop.waiting(),
        )

    def set_strategy(self, name: str) -> None:
        """Ask by this strategy from the next ranking on. Raises InputError with the nearest valid name."""
        check_strategy(name, plugins_beside(self.folders.models), self.pool)
        self.set_settings(strategy=name)
        self.loop.fit_soon()

    def settings(self) -> Mapping[str, Any]:
        """The project's own settings, such as strategy, reserve and what pages remember."""
        return self._store.projects.get(self.slug).settings

    def set_settings(self, **changes: Any) -> None:
        """Change settings and keep the rest. The reserve is drawn once, so its settings cannot change."""
        fixed = sorted({"stream_share", "seed"} & set(changes))
        if fixed:
            raise InputError(
                f"settings: {', '.join(fixed)} cannot change after the reserve is drawn at import"
            )
        self._store.projects.change_settings(self.row.id, changes)

    # Models

    def run_job(self, kind: str, work: Work, timeout_s: float) -> Mapping[str, Any]:
        """Run `work` in a worker of its own lane and wait for its result. Raises JobFailedError or TimeoutError."""
        return self._jobs.wait(self.start_job(kind, work).id, timeout_s).result or {}

    def start_job(self, kind: str, work: Work) -> Job:
        """Run `work` in a worker of its own lane; the job's row keeps its result."""
        lane = f"{kind}-{self.row.id % 2}"
        return self._jobs.start(kind, self.row.id, work, on_result=lambda *_: None, lane=lane)

    def jobs(self, kind: str) -> list[Job]:
        """The project's newest jobs of one kind, newest first."""
        return [job for job in self._jobs.list(self.row.id, 200) if job.kind == kind]

    def models(self) -> list[ModelVersion]:
        """Every model version, oldest first."""
        return self._store.models.list(self._question_id)[::-1]

    def predict(self, positions: Sequence[int]) -> report.Prediction | None:
        """Calibrated probabilities of the newest model for these items, or None while there is none."""
        model = self.loop.newest_model()
        return None if model is None else report.predict(self, model, positions)

    def report(self, model_id: int | None = None) -> report.ModelReport | None:
        """How good a model is, measured on the random stream; the newest model unless another is named."""
        return report.model_report(self, model_id)

    def kind_report(self, model_id: int) -> KindReport | None:
        """A model in the measures of the question's kind, beside or in place of `report`; None for a choice."""
        return report.kind_report(self, self._store.models.get(model_id))

    def learning_curve(self, with_reference: bool = True) -> LearningCurve:
        """Accuracy of every version on the same random-stream items, beside a random-sampling reference."""
        return report.learning_curve(self, with_reference)

    # The question

    def add_class(
        self, name: str, color: str | None = None, key: str | None = None, description: str = "", *, by: str
    ) -> Question:
        """Add a class. Raises InputError on a taken name or key."""
        return self._edit(lambda q: schema.add_class(q, name, color, key, description), by)

    def edit_class(self, class_id: str, *, by: str, **changes: str) -> Question:
        """Change name, color, key or description of a class; answers keep pointing at it."""
        return self._edit(lambda q: schema.edit_class(q, class_id, **changes), by)

    def merge_class(self, source_id: str, target_id: str, *, by: str) -> Question:
        """Read every answer `source` as `target` from now on."""
        return self._edit(lambda q: schema.merge_class(q, source_id, target_id), by)

    def reorder_classes(self, class_ids: Sequence[str], *, by: str) -> Question:
        """Show the classes in this order."""
        return self._edit(lambda q: schema.reorder_classes(q, class_ids), by)

    def set_guidelines(self, text: str, *, by: str) -> Question:
        """Replace the guidelines shown beside the item."""
        return self._edit(lambda q: schema.set_text(q, "guidelines", text), by)

    def set_question_text(self, text: str, *, by: str) -> Question:
        """Replace the question's wording."""
        return self._edit(lambda q: schema.set_text(q, "text", text), by)

    def question_history(self) -> list[QuestionChange]:
        """Every edit of the question, newest first."""
        return self._store.questions.history(self._question_id)

    def _edit(self, edit: Callable[[Question], schema.Edited], by: str) -> Question:
        before = self.question()
        question, change = edit(before)
        if question == before:
            return before  # a field that was left as it was: no version, nothing for the history
        saved = self._store.questions.save(question, change, by)
        self.loop.fit_soon()
        return saved

    # Exports

    def export_labels(self, path: str | Path, format: str = "csv", **options: Any) -> Path:  # noqa: A002
        """Write the labels as csv, parquet or jsonl. Options: history (all rows); csv: spreadsheet_safe."""
        exports.write_labels(self, self._store, Path(path), format, **options)
        return Path(path)

    def export_classifier(self, folder: str | Path) -> Path:
        """Write the newest model as a folder that runs without Plumbline. Raises ConflictError without a model."""
        return classifier_export.write(self, Path(folder))

    def start_export(self, what: Literal["labels", "classifier"], **options: Any) -> Job:
        """Export in the background into the workspace; the job's result holds the file's name."""
        return exports.start(self, self._store, self._jobs, what, options)

    def exports(self) -> list[exports.ExportFile]:
        """Finished exports that can be downloaded, newest first."""
        return exports.listed(self.exports_folder)

    def export_path(self, name: str) -> Path:
        """Where a finished export lies. Raises NotFoundError."""
        return exports.find(self.exports_folder, name)

    @property
    def seed(self) -> int:
        """Seed of the project's reserve and rankings."""
        return self.loop.seed

    @property
    def l2(self) -> float | None:
        """Penalty of the linear head; None: chosen by the features' spread."""
        return float(self._settings["head_l2"]) or None

    @property
    def calibrate_from(self) -> int:
        """Random-stream answers needed before a temperature is fitted."""
        return int(self._settings["calibrate_from"])

    def _check(
        self, item: int, answer: str | None, state: State, note: str, seconds: float | None, client_uuid: str
    ) -> None:
        wrong = []
        if not 0 <= item < self.row.n_items:
            wrong.append(f"item: found {item}; expected 0 to {self.row.n_items - 1}")
        if state not in STATES:
            wrong.append(f"state: found {state!r}; expected one of {', '.join(STATES)}")
        if (state == "answered") != (answer is not None):
            wrong.append(
                f"answer: found {answer!r} with state {state!r}; expected a class exactly when answered"
            )
        if len(note) > MAX_NOTE_LENGTH:
            wrong.append(f"note: found {len(note)} characters; expected at most {MAX_NOTE_LENGTH}")
        if seconds is not None and not 0 <= seconds < 1e6:
            wrong.append(f"seconds: found {seconds}; expected 0 to 1,000,000")
        if not 1 <= len(client_uuid) <= 100:
            wrong.append(f"client_uuid: found {len(client_uuid)} characters; expected 1 to 100")
        if wrong:
            raise InputError("\n".join(wrong))
