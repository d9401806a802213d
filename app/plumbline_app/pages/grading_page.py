"""The base of the pages of a grading project."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from plumbline_app.pages.page import Page

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

SECTIONS = (
    ("grade", "Grade"),
    ("judges", "Judges"),
    ("alignment", "Alignment"),
    ("calibration", "Calibration"),
    ("validators", "Export"),
)


class GradingPage(Page):
    """A page over the outputs, criteria, grades and judges of one grading project."""

    sections: ClassVar[tuple[tuple[str, str], ...]] = SECTIONS

    @property
    def grading(self) -> GradingProject:
        """The project of the page."""
        if self.session.grading is None:
            raise LookupError(f"the page {self.heading!r} belongs to no grading project")
        return self.session.grading
