"""The Data health page: labels that are likely wrong, contradict each other, or say the same thing twice."""

from __future__ import annotations

from panel.viewable import Viewable

from plumbline_app.components.controls import button
from plumbline_app.components.grid import Grid, chip, grid_column, interval_cell
from plumbline_app.components.health_features import FeaturesCard
from plumbline_app.components.health_issues import Look, LookList
from plumbline_app.components.health_twins import TwinGroups
from plumbline_app.components.item_detail import item_detail
from plumbline_app.components.job_row import POLL_MS, JobRow
from plumbline_app.components.layout import card, fill, line, page_column, place
from plumbline_app.components.model_tables import when
from plumbline_app.components.tiles import sure
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.page import Page
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.types import Job
from plumbline_backend.health.health import Checked, Conflict, Issue

BELOW = "Look again where it pays most. What you answer here supersedes your earlier answer; both stay in the ledger."
ERRORS_BELOW = (
    "Labels that a model which never saw them contradicts (confident learning), or that a model fights while it learns "
    "(area under the margin). Items of the random stream are left out: mending only those that a model doubts would "
    "flatter every model measured on them."
)


class HealthPage(Page):
    """Likely errors, conflicts, duplicates, balance of one project."""

    section = "health"
    heading = "Data health"

    def __panel__(self) -> Viewable:
        project = self.project
        judge = project.person(self.session.person)
        self._detail, self._wrong = place(), place()
        self._check = button("Check now", self._start, strong=True)
        self._when = sentence("")
        self._job_row = JobRow(self.session.workspace.jobs, self._ended)

        def looks(title: str, below: str, empty: str) -> LookList:
            return LookList(project, judge, self._open, self._refused, title, below, empty)

        self._errors = looks("Likely label errors", ERRORS_BELOW, "Nothing checked yet: press Check now.")
        self._conflicts = looks(
            "People disagree", "Items that people answer differently.", "No item has two different answers."
        )
        self._changed = looks(
            "Changed minds",
            "Items to which one person has given different classes, the newest change first.",
            "Nobody has given one item two classes.",
        )
        self._twins = TwinGroups(project, self._open)
        self._balance = Grid(caption="Classes", empty="This project has no classes yet.")
        self._features = FeaturesCard(project, self.session.workspace)
        self.every(POLL_MS, self._tick)
        return page_column(
            line(heading("Data health", BELOW), self._check, **{"flex-wrap": "nowrap"}),
            self._job_row,
            self._wrong,
            self._when,
            self._detail,
            self._errors,
            self._conflicts,
            self._changed,
            self._twins,
            card(
                "Class balance",
                "Labels that are trained on, and the share of each class in the pool as the random stream tells it.",
                self._balance,
            ),
            self._features,
        )

    def _tick(self) -> None:
        self._job_row.poll()
        self._features.poll()

    def load(self) -> None:
        """Show the last check and what needs none."""
        running = self.project.desk.health.running()
        if running is not None:
            self._job_row.follow(running, "Checking the labels")
        self._show()
        self._features.load()

    def _start(self) -> None:
        if self.project.desk.health.running() is None:
            self._job_row.follow(self.project.desk.health.start(), "Checking the labels")

    def _ended(self, job: Job) -> None:
        if job.state == "failed":
            fill(self._wrong, notice("The check failed", job.message, tone="bad"))
            return
        fill(self._wrong)
        if job.state == "done":
            self._job_row.follow(None)
            self._show()

    def _show(self) -> None:
        health = self.project.desk.health
        checked = health.last()
        if checked is not None:
            self._show_check(checked)
        conflicts, changed = health.conflicts(), health.changed_minds()
        self._conflicts.show([self._conflict(c) for c in conflicts], _how_many(conflicts, "items"))
        self._changed.show([self._conflict(c) for c in changed], _how_many(changed, "items"))
        columns = [
            grid_column("Class", "chip"),
            grid_column("Labels", "number", "outside the random stream"),
            grid_column(
                "Share of the pool", "interval", "on random-stream answers, with Wilson's 95 % interval"
            ),
            grid_column("Random-stream answers", "number"),
        ]
        rows = [
            [chip(row.label_class), f"{row.n_labels:,}", interval_cell(row.share), f"{row.share.n:,}"]
            for row in health.balance()
        ]
        self._balance.show(columns, rows)

    def _show_check(self, checked: Checked) -> None:
        at = checked.job.finished_at
        self._when.object = sentence("" if at is None else f"Checked {when(at)}.").object
        words = (
            f"{checked.n_found:,} of {checked.n_checked:,} labels are doubtful; {len(checked.issues):,} not looked at "
            f"since."
        )
        self._errors.show([self._issue(issue) for issue in checked.issues], checked.why_not or words)
        self._twins.show(checked)

    def _issue(self, issue: Issue) -> Look:
        names = {c.id: c.name for c in self.project.question().classes}
        why = f"rather {names[issue.suggested]}, {sure(issue.proba)}; {' and '.join(issue.by)}; EL2N {issue.el2n:.2f}"
        return Look(issue.item, issue.given, why)

    def _conflict(self, conflict: Conflict) -> Look:
        names = {c.id: c.name for c in self.project.question().classes}
        said = ", ".join(f"{who}: {names[class_id]}" for who, class_id in conflict.answers)
        choice = self.project.loop.answers.choice(conflict.item, self.project.question())
        return Look(conflict.item, choice, said)

    def _open(self, item: int) -> None:
        shown = item_detail(self.project, item, lambda: fill(self._detail), answering=True)
        fill(self._detail, shown)

    def _refused(self, error: PlumblineError) -> None:
        fill(self._wrong, notice("Not done", str(error), tone="bad"))


def _how_many(found: list[Conflict], what: str) -> str:
    return f"{len(found):,} {what}." if found else ""
