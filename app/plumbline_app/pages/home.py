"""The list of projects: where a person begins, and what to do when there are none."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable

from plumbline_app.components.words import heading
from plumbline_app.pages.page import Page


class HomePage(Page):
    """Every project with its progress, demo projects to try, and the way to import data."""

    heading = "Projects"

    def __panel__(self) -> Viewable:
        return pn.Column(heading("Projects"), sizing_mode="stretch_width")
