"""The base of every page: what it shows, for whom, and how it ends with its tab."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.session import Session

if TYPE_CHECKING:
    from plumbline_backend.project import Project


class Page(Viewer):
    """One page of one browser tab. Subclasses name themselves and build their body in `__panel__`.

    The constructor and `__panel__` run on the server's event loop while every other tab waits: they only lay out.
    What reads much belongs in `load`, which runs in a thread once the page is on the screen.
    """

    section: ClassVar[str] = ""
    """Its place in the navigation and in the URL, or "" for the projects."""
    sections: ClassVar[tuple[tuple[str, str], ...]] = ()
    """The navigation of its kind of project as (section, label); empty: that of labelling projects."""
    any_kind: ClassVar[bool] = False
    """Whether the page is one of labelling projects and of grading projects alike."""
    heading: ClassVar[str] = "Projects"
    themes_live: ClassVar[bool] = False
    """Whether the page follows a change of theme by itself; otherwise it is loaded again."""

    extensions: ClassVar[tuple[str, ...]] = ()
    """Panel extensions that its widgets need, such as "tabulator"; the other pages do not load them."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.drawing = threading.RLock()

    @property
    def project(self) -> Project:
        """The project of the page; only pages under /p/{project}/ may ask."""
        if self.session.project is None:
            raise LookupError(f"the page {self.heading!r} belongs to no project")
        return self.session.project

    @property
    def title(self) -> str:
        """What the browser's tab says."""
        return " · ".join(part for part in (self.heading, self.session.name, "Plumbline") if part)

    def __panel__(self) -> Viewable:
        raise NotImplementedError(f"{type(self).__name__} has no body")

    def load(self) -> None:
        """Fill in what takes time. Called in a thread once the page is shown; the default has nothing to do."""

    def close(self) -> None:
        """Let go of what the page holds. Called when its tab is gone; the default holds nothing."""

    def every(self, period_ms: int, callback: Callable[[], None]) -> None:
        """Call `callback` in a thread every `period_ms` until the tab is gone. Call it from `__panel__`."""
        pn.state.add_periodic_callback(callback, period=period_ms)


def in_turn(method: Callable[..., None]) -> Callable[..., None]:
    """A method of a page that draws while no other such method does: `load`, jobs and clicks come in threads."""

    @wraps(method)
    def run(page: Page, *args: Any, **options: Any) -> None:
        with page.drawing:
            method(page, *args, **options)

    return run
