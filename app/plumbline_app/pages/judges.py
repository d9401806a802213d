"""The Judges page: criteria, the judges of each, and running them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn
import param
from panel.viewable import Viewable

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.controls import button
from plumbline_app.components.criteria_list import CriteriaList
from plumbline_app.components.criterion_editor import CriterionEditor
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.job_row import ENDED, POLL_MS, JobRow
from plumbline_app.components.judge_editor import KIND_WORDS, JudgeEditor
from plumbline_app.components.judge_run import model_in_words, run_in_words
from plumbline_app.components.layout import card, fill, line, page_column, place, stack
from plumbline_app.components.model_line import ModelLine
from plumbline_app.components.scores_import import ScoresImport, scores_in_words
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.grading_page import GradingPage
from plumbline_app.pages.page import in_turn
from plumbline_backend.domain.errors import NotFoundError, PlumblineError
from plumbline_backend.domain.grades import Criterion, GradingJudge
from plumbline_backend.domain.types import Job
from plumbline_backend.judges import drafting
from plumbline_backend.judges.llm.authoring import AssertionDraft, ProposedCriterion

NEW = -1
"""As the criterion of the address: one that is being written."""
AT_THE_FOOT = {
    "position": "sticky",
    "bottom": "0",
    "z-index": "5",
    "max-height": "45vh",
    "overflow": "auto",
}
"""News in sight wherever the page is scrolled to: what lies under it comes out at the end of the page."""
JUDGE_COLUMNS = [
    grid_column("Judge", "name"),
    grid_column("Kind", "name"),
    grid_column("Passes", "number", "Share of the outputs that it passes, of those that it decided"),
    grid_column("Errors", "number"),
    grid_column("Not run", "number", "Outputs without a verdict on today's wording"),
    grid_column("In use", "name", "The judge that stands for the criterion"),
]


class JudgesPage(GradingPage):
    """Criteria on the left; on the right the open criterion, its judges, and the open judge."""

    section = "judges"
    heading = "Judges"
    extensions = ("codeeditor",)

    criterion = param.Integer(
        default=0, doc="Id of the open criterion; 0: the overall question, -1: a new one."
    )
    judge = param.Integer(default=0, doc="Id of the open judge; 0: none.")

    def __panel__(self) -> Viewable:
        self._jobs = JobRow(self.session.workspace.jobs, self._job_ended)
        self._said = place()
        self._model = ModelLine(self.grading)
        self._list = CriteriaList(self.grading, self.session.person, self._open_criterion, self._propose)
        self._editor = place()
        self._judges = place()
        self._judge = place()
        self._judge_editor: JudgeEditor | None = None
        self._drawn: int | None = None
        keep_in_address(self, ["criterion", "judge"])
        self.every(POLL_MS, self._jobs.poll)
        body = pn.Row(
            self._list,
            stack(self._editor, self._judges, self._judge),
            sizing_mode="stretch_width",
            margin=0,
            styles={
                "display": "grid",
                "grid-template-columns": "minmax(300px, 5fr) minmax(0, 9fr)",
                "gap": "16px",
                "align-items": "start",
            },
        )
        below = "What makes an output good, and who says whether it is."
        return page_column(
            heading("Criteria and judges", below),
            self._model,
            body,
            stack(self._jobs, self._said, styles=AT_THE_FOOT),
        )

    def load(self) -> None:
        """Show what the address names, and take up a run that goes on."""
        self._model.show()
        self._draw()
        running = [j for j in self.session.workspace.jobs.list(self.grading.row.id) if j.state not in ENDED]
        if running:
            self._jobs.follow(running[0], _job_heading(running[0]))

    @in_turn
    def _draw(self) -> None:
        """Everything anew, from the project as it is now; what was typed and not saved is gone."""
        shown = self._shown_criterion()
        self._list.show(0 if shown is None else shown.id)
        if shown is None:
            self._judge_editor = None
            fill(self._judges)
            fill(self._judge)
        else:
            self._draw_judges(shown)
            self._draw_judge(shown)
        self._draw_criterion(shown)  # last: whoever sees its name finds no button of another criterion below

    def _draw_criterion(self, shown: Criterion | None) -> None:
        self._drawn = None if shown is None else shown.id
        fill(self._editor, CriterionEditor(self.grading, self.session.person, shown, self._criterion_changed))

    def _draw_judge(self, shown: Criterion) -> None:
        found = next((j for j in self.grading.judges(shown.id) if j.id == self.judge), None)
        if found is None:
            self._judge_editor = None
            fill(self._judge)
        else:
            self._edit_judge(shown, found, found.kind)

    @in_turn
    def _refresh(self) -> None:
        """What is only read, anew; what somebody is writing stays as it is."""
        shown = self._shown_criterion()
        self._list.show(0 if shown is None else shown.id)
        if shown is not None:
            self._draw_judges(shown)
        if self._judge_editor is not None:
            self._judge_editor.refresh()

    def _shown_criterion(self) -> Criterion | None:
        if self.criterion == NEW:
            return None
        try:
            return self.grading.criterion(self.criterion or None)
        except NotFoundError as error:
            fill(self._said, notice("There is no such criterion", str(error)))
            self.criterion = 0
            return self.grading.overall()

    def _draw_judges(self, criterion: Criterion) -> None:
        judges = self.grading.judges(criterion.id)
        chosen = {judge.id for judge in self.grading.chosen_judges()}
        grid = Grid(
            on_open=lambda row: self._open_judge(judges[row].id),
            caption=f"Judges of {criterion.name}",
            empty="No judge yet: write an assertion, ask a model, or train a head on your grades.",
        )
        grid.show(JUDGE_COLUMNS, self._judge_rows(judges, chosen, criterion))
        grid.selected = next((at for at, judge in enumerate(judges) if judge.id == self.judge), -1)
        fill(
            self._judges,
            card(
                "Judges",
                "Add as many as you like; the best by alignment stands for the criterion.",
                grid,
                line(
                    *[self._adding(kind) for kind in ("assertion", "llm", "head")],
                    button("Bring verdicts of another tool", lambda: self._bring(criterion)),
                ),
                *self._retired(criterion),
            ),
        )

    def _retired(self, criterion: Criterion) -> list[Any]:
        """The judges that were taken out of use, each with a way back."""
        retired = self.grading.bench.retired(criterion.id)
        rows = [
            line(
                sentence(f"{judge.name}, {KIND_WORDS[judge.kind]}"),
                button("Bring it back", lambda judge=judge: self._bring_back(judge.id)),  # type: ignore[misc]
            )
            for judge in retired
        ]
        return [sentence("Retired, with their verdicts kept:"), *rows] if rows else []

    def _bring_back(self, judge_id: int) -> None:
        self.grading.bench.retire(judge_id, retired=False)
        self._open_judge(judge_id)

    def _adding(self, kind: str) -> Viewable:
        return button(f"Add: {KIND_WORDS[kind]}", lambda: self._new_judge(kind))

    def _judge_rows(
        self, judges: list[GradingJudge], chosen: set[int], criterion: Criterion
    ) -> list[list[Any]]:
        rows = []
        table = self.grading.verdict_table(judges)
        for judge in judges:
            counts = table.counts(judge.id)
            decided = counts["pass"] + counts["fail"]
            passes = f"{100 * counts['pass'] / decided:.0f} % of {decided:,}" if decided else None
            n_stale = table.n_stale(judge.id)
            not_run = f"{counts['not run']}" + (f" ({n_stale} stale)" if n_stale else "")
            by = (
                "chosen by hand"
                if criterion.selected == judge.id
                else "chosen"
                if judge.id in chosen
                else None
            )
            rows.append([judge.name, KIND_WORDS[judge.kind], passes, str(counts["error"]), not_run, by])
        return rows

    @in_turn
    def _open_criterion(self, criterion_id: int) -> None:
        fill(self._said)
        self.param.update(criterion=criterion_id or NEW, judge=0)
        self._draw()

    @in_turn
    def _criterion_changed(self, criterion_id: int) -> None:
        """After a change on the page: the same criterion keeps the judge that is open, and what is typed there."""
        if criterion_id != self._drawn:
            self._open_criterion(criterion_id)
            return
        fill(self._said)
        self._refresh()
        self._draw_criterion(self._shown_criterion())

    @in_turn
    def _open_judge(self, judge_id: int) -> None:
        self.judge = judge_id
        shown = self._shown_criterion()
        if shown is None or shown.id != self._drawn:
            self._draw()
            return
        self._judge_editor = None
        self._refresh()
        self._draw_judge(shown)

    @in_turn
    def _new_judge(self, kind: str) -> None:
        shown = self._shown_criterion()
        if shown is None:
            return
        able, told = model_in_words(self.grading)
        if kind == "llm" and not able:
            fill(self._said, notice("An LLM grader needs a model", told, tone="warn"))
            return
        fill(self._said)
        self.judge = 0
        self._edit_judge(shown, None, kind)

    @in_turn
    def _bring(self, criterion: Criterion) -> None:
        fill(self._said)
        self.judge, self._judge_editor = 0, None
        fill(self._judge, ScoresImport(self.grading, criterion, self._uploaded, self._start))

    def _uploaded(self, upload_id: str) -> Path:
        return self.session.workspace.upload_path(upload_id)

    def _edit_judge(self, criterion: Criterion, judge: GradingJudge | None, kind: str) -> None:
        editor = JudgeEditor(
            self.grading,
            criterion,
            judge,
            kind,
            self.session.dark,
            on_save=self._open_judge,
            on_run=self._run,
            draft=self._draft,
            on_stress=self._stress,
        )
        self._judge_editor = editor
        fill(self._judge, editor)

    def _run(self, judge_id: int, again: bool) -> None:
        self._start(lambda: self.grading.run_judge(judge_id, again=again))

    def _stress(self, judge_id: int) -> None:
        self._start(lambda: self.grading.start_stress(judge_id))

    def _propose(self) -> None:
        self._start(lambda: drafting.start_proposals(self.grading))

    def _draft(self) -> None:
        shown = self._shown_criterion()
        if shown is not None:
            self._start(lambda: drafting.start_assertion(self.grading, shown, self.judge))

    def _start(self, start: Any) -> None:
        """Start a job and follow it, or say why it cannot start."""
        try:
            job: Job = start()
        except PlumblineError as error:
            fill(self._said, notice("It cannot run", str(error), tone="warn"))
            return
        fill(self._said)
        self._jobs.follow(job, _job_heading(job))

    def _job_ended(self, job: Job) -> None:
        if job.kind == "import_scores":
            self._brought(job)
            return
        if job.state == "done":
            self._jobs.follow(None)
        if job.state == "failed":
            fill(self._said, notice("It failed", job.message, tone="bad"))
        elif job.state == "done" and job.kind == "propose_criteria":
            found = [ProposedCriterion(**each) for each in (job.result or {})["criteria"]]
            self._list.show_proposals(found)
        elif job.state == "done" and job.kind == "draft_assertion":
            self._drafted(job)
        elif job.state == "done" and job.kind == "stress":
            self._stressed(job)
        if job.kind != "judge":
            return
        self._refresh()
        if told := run_in_words(job):
            fill(
                self._said,
                notice("Judged" if job.state == "done" else job.state.capitalize(), told, tone="good"),
            )

    def _drafted(self, job: Job) -> None:
        """Code goes into the editor it was asked for; while something else is open, a click opens that."""
        criterion_id, judge_id = int(job.spec["criterion"]), int(job.spec["judge"])
        result = job.result or {}
        draft, shown = AssertionDraft(**result["draft"]), result["shown"]
        if self._judge_editor is None or not self._judge_editor.writes(criterion_id, judge_id):

            def open_draft() -> None:
                self._open_criterion(criterion_id)
                if judge_id:
                    self._open_judge(judge_id)
                if self._judge_editor is None:
                    self._new_judge("assertion")
                if self._judge_editor is not None:
                    self._judge_editor.put_code(draft.code, draft.explanation, shown)

            self._ready(
                "The model's draft is ready", f"Code for {job.spec['name']}.", "Open the draft", open_draft
            )
            return
        self._judge_editor.put_code(draft.code, draft.explanation, shown)

    def _stressed(self, job: Job) -> None:
        """What a judge did under stress stands under that judge; while another is open, a click opens it."""
        judge_id = int(job.spec["judge"])
        if self._judge_editor is None or not self._judge_editor.shows(judge_id):

            def open_result() -> None:
                self.criterion = self.grading.bench.get(judge_id).criterion_id
                self._open_judge(judge_id)
                if self._judge_editor is not None:
                    self._judge_editor.put_stress(job.result or {})

            self._ready("The stress tests are done", f"Of {job.spec['name']}.", "Show them", open_result)
            return
        self._judge_editor.put_stress(job.result or {})

    def _ready(self, title: str, told: str, label: str, show: Callable[[], None]) -> None:
        """A result that belongs to something that is not open."""

        def clicked() -> None:
            fill(self._said)
            show()

        fill(self._said, notice(title, told, tone="good"), line(button(label, clicked)))

    def _brought(self, job: Job) -> None:
        self._jobs.follow(None)
        if job.state == "done":
            if self._judge_editor is None:
                fill(self._judge)
            self._refresh()
        fill(self._said, *scores_in_words(job))


def _job_heading(job: Job) -> str:
    words = {
        "judge": f"Judging: {job.spec.get('name', '')}",
        "stress": "Trying the judge on changed outputs",
        "import_scores": f"Joining {job.spec.get('file', 'scores')} to the outputs",
        "propose_criteria": "Asking the model for criteria",
        "draft_assertion": "Asking the model for code",
    }
    return words.get(job.kind, job.kind.replace("_", " ").capitalize())
