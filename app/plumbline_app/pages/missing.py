"""The page for an address that leads to no project, or to a page that the project does not have."""

from __future__ import annotations

from panel.viewable import Viewable

from plumbline_app.components.words import notice
from plumbline_app.pages.page import Page
from plumbline_app.session import Session


class MissingPage(Page):
    """Says what was not found, and leads back to the projects."""

    heading = "Not found"
    themes_live = True

    def __init__(self, session: Session, reason: str, title: str = "There is no such project") -> None:
        super().__init__(session)
        self.reason, self.what = reason, title

    def __panel__(self) -> Viewable:
        return notice(self.what, self.reason, link=("/", "See all projects"))
