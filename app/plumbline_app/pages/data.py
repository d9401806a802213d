"""The Data pages: importing a file as a project, and looking at a project's pool."""

from __future__ import annotations

from panel.viewable import Viewable

from plumbline_app.components.features_panel import features_card
from plumbline_app.components.figures import facts, html_pane
from plumbline_app.components.import_wizard import ImportWizard
from plumbline_app.components.job_row import POLL_MS
from plumbline_app.components.layout import card, fill, page_column, place, side_by_side
from plumbline_app.components.pool_table import PoolTable
from plumbline_app.components.words import heading, notice
from plumbline_app.pages.page import Page

IMPORT_ADDRESS = "/import"


class ImportPage(Page):
    """The way from a file to a project."""

    heading = "Import"

    def __panel__(self) -> Viewable:
        self._wizard = ImportWizard(self.session.workspace)
        self.every(POLL_MS, self._wizard.poll)
        return page_column(
            heading("Import", "A file becomes a project. Nothing is committed before you have seen it."),
            self._wizard,
            notice(
                "Outputs of a language model?",
                "They are graded, and validators are aligned with the grades.",
                link=("/import/outputs", "Import outputs"),
            ),
        )

    def load(self) -> None:
        """Go back to the step that the address names."""
        self._wizard.restore()


class DataPage(Page):
    """The pool of one project: items, features, and where they came from."""

    section = "data"
    heading = "Data"

    def __panel__(self) -> Viewable:
        self._table = PoolTable(self.project)
        self._features = place()
        pool = self.project.pool
        below = f"{pool.n_items:,} items, {len(pool.columns):,} columns. Press a row to see the item."
        return page_column(
            heading("Data", below),
            card("", "", self._table),
            side_by_side(self._features, self._origin()),
        )

    def load(self) -> None:
        """Read the first page and the features."""
        self._table.show()
        fill(self._features, features_card(self.project.pool))

    def _origin(self) -> Viewable:
        manifest = self.project.pool.manifest
        rows = [(str(name), str(value)) for name, value in manifest.source.items() if name != "columns"]
        if manifest.n_skipped:
            rows.append(("rows left out", f"{manifest.n_skipped:,}"))
        rows.append(("data hash (SHA-256)", manifest.data_hash))
        notes = [("note", note) for note in manifest.notes]
        return card("Where it came from", "", html_pane(facts([*rows, *notes])))
