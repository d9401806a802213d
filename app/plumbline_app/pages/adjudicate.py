"""The Adjudicate page: items that people answered differently, one at a time, and the last word on each."""

from __future__ import annotations

import uuid
from functools import partial

from panel.viewable import Viewable

from plumbline_app.components.controls import button, text_field
from plumbline_app.components.grid import Grid, chip, grid_column
from plumbline_app.components.item_detail import item_detail
from plumbline_app.components.layout import card, fill, line, page_column, place, side_by_side
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.page import Page
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.people.team import Dispute

SAID = (grid_column("Annotator", "text"), grid_column("Answer", "chip"), grid_column("Note", "text"))
AHEAD = 50


class AdjudicatePage(Page):
    """Who said what of a disputed item, under letters instead of names, and the classes to choose from."""

    heading = "Last word"

    def __panel__(self) -> Viewable:
        self._disputes: list[Dispute] = []
        self._said, self._body = place(), place()
        below = (
            "Items that people gave different classes. The last word counts for training; their answers stay."
        )
        return page_column(heading(self.heading, below), self._said, self._body)

    def load(self) -> None:
        """Read what is disputed."""
        self._disputes, n = self.project.desk.team.disputes(AHEAD)
        fill(self._said, sentence(f"{n:,} disputed {'item' if n == 1 else 'items'}."))
        self._show()

    def _show(self) -> None:
        if not self._disputes:
            slug = self.session.slug
            empty = notice(
                "Nothing is disputed",
                "Where two people give an item different classes, it waits here for the last word. Ask each item of "
                "more than one person on the People page.",
                link=(f"/p/{slug}/people", "How work is shared"),
            )
            fill(self._body, empty)
            return
        dispute = self._disputes[0]
        item = item_detail(self.project, dispute.item, self._later, answering=True, with_history=False)
        fill(self._body)
        fill(self._body, side_by_side(item, self._choices(dispute)))

    def _choices(self, dispute: Dispute) -> Viewable:
        question = self.project.question()
        classes = {c.id: c for c in question.classes}
        rows = [[chr(65 + n), chip(classes[said.class_id]), said.note] for n, said in enumerate(dispute.said)]
        answers = Grid(columns=list(SAID), rows=rows, caption="What was said")
        note = text_field("Why (kept with the last word)", sizing_mode="stretch_width")
        given = {said.class_id for said in dispute.said}
        ordered = sorted(question.active, key=lambda c: c.id not in given)
        decide = [
            button(c.name, partial(self._decide, dispute, c.id, note), strong=c.id in given) for c in ordered
        ]
        return card(question.text, "Names are left out, so that the answer counts and not who gave it.", answers, note,
                    line(*decide), line(button("Later", self._later)))  # fmt: skip

    def _decide(self, dispute: Dispute, class_id: str, note: object) -> None:
        words = str(getattr(note, "value", "")).strip()
        try:
            self.project.desk.team.adjudicate(
                dispute.item, class_id, self.session.person, uuid.uuid4().hex, words
            )
        except PlumblineError as error:
            fill(self._said, notice("Not kept", str(error), tone="bad"))
            return
        self._disputes.pop(0)
        if self._disputes:
            self._show()
        else:
            self.load()

    def _later(self) -> None:
        self._disputes.append(self._disputes.pop(0))
        self._show()
