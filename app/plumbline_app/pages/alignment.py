"""The Alignment page: how well the judges agree with the grades, and on which outputs they do not."""

from __future__ import annotations

import param
from panel.viewable import Viewable

from plumbline_app.components.address import keep_in_address
from plumbline_app.components.alignment_judges import JudgesView
from plumbline_app.components.alignment_set import SetChooser, SetView
from plumbline_app.components.controls import button
from plumbline_app.components.layout import fill, line, page_column, place
from plumbline_app.components.output_table import OutputTable
from plumbline_app.components.systems_view import SystemsView
from plumbline_app.components.words import heading, notice
from plumbline_app.pages.grading_page import GradingPage
from plumbline_app.pages.page import in_turn
from plumbline_backend.judges.report import TARGET_WIDTH

BELOW = "Every figure has an interval that holds under the way the outputs were drawn; unknown stays unknown."


class AlignmentPage(GradingPage):
    """The chosen set, each judge, the smallest set, and the table of outputs by judges.

    What a person reads does not change under their eyes: new grades count when they ask for it.
    """

    section = "alignment"
    heading = "Alignment"

    width = param.Integer(
        default=round(100 * TARGET_WIDTH), bounds=(1, 100), doc="Wanted width of the interval, in points."
    )

    def __panel__(self) -> Viewable:
        keep_in_address(self, ["width"])
        self._said = place()
        self._set = SetView(self.width / 100, self._choose_width)
        self._judges = JudgesView(self.grading, self._draw)
        self._table = OutputTable(self.grading, self.session.slug)
        top = line(
            heading("Alignment", BELOW), button("Measure again", self._draw), **{"flex-wrap": "nowrap"}
        )
        self._systems = SystemsView()
        self._chooser = SetChooser(self.grading, self._draw)
        return page_column(
            top, self._said, self._set, self._judges, self._chooser, self._systems, self._table
        )

    def load(self) -> None:
        """Measure; takes a second or two with many judges."""
        self._draw()

    @in_turn
    def _draw(self) -> None:
        report = self.grading.alignment_report(self.width / 100)
        fill(self._said, *self._next_steps(report.n_graded, len(report.chosen.judges)))
        self._set.show(report)
        self._judges.show(report)
        self._chooser.show(report)
        criteria = {each.id: each for each in [self.grading.overall(), *self.grading.criteria()]}
        self._systems.show(self.grading.compare_systems(), criteria)
        self._table.show()

    def _choose_width(self, width: float) -> None:
        self.width = round(100 * width)
        self._draw()

    def _next_steps(self, n_graded: int, n_judges: int) -> list[Viewable]:
        """What to do while there is nothing to measure."""
        base = f"/p/{self.session.slug}"
        if n_graded == 0:
            words = "Alignment is measured on outputs that you graded as they were drawn for you."
            return [notice("Nothing is graded yet", words, link=(f"{base}/grade", "Go to grading"))]
        if n_judges == 0:
            words = "Give your criteria judges: assertions, LLM graders, or a trained head."
            return [notice("There is no judge yet", words, link=(f"{base}/judges", "Go to the judges"))]
        return []
