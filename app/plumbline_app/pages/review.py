"""The Review page: many proposals at a glance, accepted or refused in one step, and what deserves a second look."""

from __future__ import annotations

import time

from panel.viewable import Viewable

from plumbline_app.components.controls import button
from plumbline_app.components.item_detail import item_detail
from plumbline_app.components.job_row import POLL_MS
from plumbline_app.components.layout import fill, line, page_column, place
from plumbline_app.components.review_again import LookAgain
from plumbline_app.components.review_classes import NewClasses
from plumbline_app.components.review_pace import PacePanel
from plumbline_app.components.review_proposals import Proposals
from plumbline_app.components.undo import Steps
from plumbline_app.components.words import heading
from plumbline_app.pages.page import Page, in_turn

LOOK_EVERY_S = 2.0
BELOW = "The model proposes, you decide. A proposal that is accepted counts as the model's judgement, never as yours."


class ReviewPage(Page):
    """Pace, proposals, labels to look at again, candidates for new classes."""

    section = "review"
    heading = "Review"

    def __panel__(self) -> Viewable:
        project, person = self.project, self.session.person
        judge = project.person(person)
        self._next_look = float("inf")
        self._version = 0
        self._detail = place()
        self._steps = Steps(project, self._show)
        self._newer = button("Show the newest proposals", self._show, visible=False)
        self._pace = PacePanel(project, self.session.dark)
        self._proposals = Proposals(project, judge, self._steps, self._open, self.session.slug)
        self._again = LookAgain(project, judge, self._steps, self._open)
        self._classes = NewClasses(
            project, judge, self._steps, self._open, self.session.workspace.jobs, person
        )
        self.every(POLL_MS, self._tick)
        return page_column(
            line(heading("Review", BELOW), self._newer, **{"flex-wrap": "nowrap"}),
            self._steps,
            self._detail,
            self._proposals,
            self._again,
            self._classes,
            self._pace,
        )

    def load(self) -> None:
        """Read the newest model's proposals."""
        self._show()
        self._next_look = time.monotonic()

    @in_turn
    def _show(self) -> None:
        model = self.project.desk.review.model()
        self._version = 0 if model is None else model.version
        self._newer.visible = False
        self._pace.show()
        self._proposals.show()
        self._again.show()
        self._classes.show()

    def _tick(self) -> None:
        self._classes.job_row.poll()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_EVERY_S
            self._look()

    def _look(self) -> None:
        """Announce a newer model; what is being read stays. Show the first one at once.

        The pace is looked at by itself: its labels are written after the model that proposes them.
        """
        model = self.project.desk.review.model()
        if model is None:
            return
        if self._version == 0:
            self._show()
            return
        self._newer.visible = model.version != self._version
        if self._newer.visible or self._pace.changed():
            self._pace.show()

    def _open(self, item: int) -> None:
        shown = item_detail(self.project, item, lambda: fill(self._detail), answering=True)
        fill(self._detail, shown)
