"""The Grade page: one output, large, and the person's verdict. Its work is done by the grade card in the browser."""

from __future__ import annotations

from panel.viewable import Viewable

from plumbline_app.components.grade_card import GradeCard
from plumbline_app.grade_state import criteria_state
from plumbline_app.pages.grading_page import GradingPage


class GradePage(GradingPage):
    """One output at a time, graded by keys, mouse or touch."""

    section = "grade"
    heading = "Grade"
    themes_live = True

    def __panel__(self) -> Viewable:
        return GradeCard(
            slug=self.session.slug, person=self.session.person, criteria=criteria_state(self.grading)
        )
