"""The list of projects: where a person begins, and what to do when there are none."""

from __future__ import annotations

from functools import partial

from panel.viewable import Viewable

from plumbline_app.components.controls import button
from plumbline_app.components.job_row import POLL_MS, JobRow
from plumbline_app.components.layout import card, fill, page_column, place, side_by_side
from plumbline_app.components.project_cards import GRADING, ProjectCard, project_cards
from plumbline_app.components.words import heading, notice
from plumbline_app.pages.page import Page
from plumbline_backend.criteria.settings import GRADE_PURPOSE
from plumbline_backend.domain.types import Job
from plumbline_backend.grading_import import DEMOS as GRADING_DEMOS
from plumbline_backend.pool.demos import DEMOS


class HomePage(Page):
    """Every project with its progress, the way to import data, and demo projects to try."""

    heading = "Projects"

    def __panel__(self) -> Viewable:
        self._list = place()
        self._demos = place()
        self._job = JobRow(self.session.workspace.jobs, self._made)
        self.every(POLL_MS, self._job.poll)
        bring = notice(
            "Label your own data",
            "CSV, TSV, JSONL, Parquet, NPZ, FITS, or a folder of images. You see ten rows and choose what each column "
            "is before anything is stored.",
            link=("/import", "Import a file"),
        )
        return page_column(
            heading("Projects", "Items, a question, and everything said about them."),
            self._list,
            self._job,
            *([side_by_side(bring, self._demos)] if self.session.access.may_create else []),
        )

    def load(self) -> None:
        """Read how far each project is."""
        rows = self.session.workspace.projects()
        self._gradings = {row.slug for row in rows if row.settings.get("purpose") == GRADE_PURPOSE}
        cards = [self._card(row.slug) for row in reversed(rows)]
        if cards:
            fill(self._list, project_cards(cards))
        else:
            fill(
                self._list,
                notice("No project yet", "Import a file of yours, or try a demo first.", tone="good")
                if self.session.access.may_create
                else notice("No project yet", "Ask an owner of a project for an invitation link."),
            )
        if not self.session.access.may_create:
            return
        missing = [name for name in DEMOS if self.session.workspace.demo(name) is None]
        ungraded = [name for name in GRADING_DEMOS if self.session.workspace.grading_demo(name) is None]
        if missing or ungraded:
            buttons = [button(DEMOS[name].title, partial(self._make, name)) for name in missing]
            buttons += [
                button(GRADING_DEMOS[name][0], partial(self._make_grading, name)) for name in ungraded
            ]
            fill(self._demos, card("Try a demo", "Made on this machine, without any download.", *buttons))
        else:
            fill(self._demos)

    def _card(self, slug: str) -> ProjectCard:
        if slug in self._gradings:
            return self._grading_card(slug)
        project = self.session.workspace.project(slug)
        status = project.status()
        model = "no model yet" if status.model is None else f"model version {status.model.version}"
        question = project.question().text
        return ProjectCard(slug, project.name, question, status.n_items, status.n_answered, model)

    def _grading_card(self, slug: str) -> ProjectCard:
        project = self.session.workspace.grading(slug)
        if not self.session.access.can(slug, "read"):
            return ProjectCard(slug, project.name, "", 0, 0, "you grade blind", GRADING)
        n_graded = len({grade.output for grade in project.grades()})
        n_criteria, n_judges = len(project.criteria()), len(project.judges())
        found = f"criteria: {n_criteria}, judges: {n_judges}"
        return ProjectCard(
            slug, project.name, project.overall().text, project.n_outputs, n_graded, found, GRADING
        )

    def _make_grading(self, name: str) -> None:
        self._job.follow(self.session.workspace.start_grading_demo(name), f"Making {GRADING_DEMOS[name][0]}")

    def _make(self, name: str) -> None:
        self._job.follow(self.session.workspace.start_demo(name), f"Making {DEMOS[name].title}")

    def _made(self, job: Job) -> None:
        if job.state == "done":
            self._job.follow(None)
            self.load()
