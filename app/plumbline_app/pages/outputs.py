"""The way from a file of LLM outputs to a grading project."""

from __future__ import annotations

from panel.viewable import Viewable

from plumbline_app.components.job_row import POLL_MS
from plumbline_app.components.layout import page_column
from plumbline_app.components.outputs_wizard import OutputsWizard
from plumbline_app.components.words import heading
from plumbline_app.pages.page import Page


class OutputsImportPage(Page):
    """Choose a file of outputs, say what its columns are, import."""

    heading = "Import outputs"

    def __panel__(self) -> Viewable:
        self._wizard = OutputsWizard(self.session.workspace)
        self.every(POLL_MS, self._wizard.poll)
        below = "Answers of a language model become a project to grade. Nothing is stored before you have seen it."
        return page_column(heading("Import outputs", below), self._wizard)

    def load(self) -> None:
        """Go back to the step that the address names."""
        self._wizard.restore()
