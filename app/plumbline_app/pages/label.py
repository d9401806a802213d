"""The Label page: one item, large, and the person's answers. Its work is done by the label card in the browser."""

from __future__ import annotations

from panel.viewable import Viewable

from plumbline_app.components.label_card import LabelCard
from plumbline_app.label_state import question_state
from plumbline_app.pages.page import Page


class LabelPage(Page):
    """One item at a time, answered by keys, mouse or touch."""

    section = "label"
    heading = "Label"
    themes_live = True

    def __panel__(self) -> Viewable:
        question = question_state(self.project.question())
        return LabelCard(slug=self.session.slug, person=self.session.person, question=question)
