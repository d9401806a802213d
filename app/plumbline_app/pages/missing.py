"""The page for an address that leads to no project."""

from __future__ import annotations

from panel.viewable import Viewable

from plumbline_app.components.words import notice
from plumbline_app.pages.page import Page
from plumbline_app.session import Session


class MissingPage(Page):
    """Says what was not found, and leads back to the projects."""

    heading = "Not found"
    themes_live = True

    def __init__(self, session: Session, reason: str) -> None:
        super().__init__(session)
        self.reason = reason

    def __panel__(self) -> Viewable:
        return notice("There is no such project", self.reason, link=("/", "See all projects"))
