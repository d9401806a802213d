"""What one browser tab looks at: workspace, project, person, theme. Nothing of it is global."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from plumbline_backend.domain.people import EVERYTHING, Access

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject
    from plumbline_backend.people.service import PeopleService
    from plumbline_backend.project import Project
    from plumbline_backend.workspace import Workspace

PERSON_COOKIE = "plumbline_person"
PERSON_HEADER = "x-plumbline-person"
TICKET_HEADER = "x-plumbline-ticket"
"""Set by `access.Gate` alone: names the session that a page was opened by."""
THEME_COOKIE = "plumbline_theme"
DEFAULT_PERSON = "me"
MAX_PERSON_LENGTH = 60


@dataclass(frozen=True)
class Session:
    """One open page. `project` is set on pages of a labelling project, `grading` on those of a grading project."""

    workspace: Workspace
    project: Project | None
    person: str
    dark: bool
    grading: GradingProject | None = None
    access: Access = EVERYTHING
    people: PeopleService | None = None
    """None in single-user mode."""

    @property
    def slug(self) -> str:
        """The project's name in URLs; empty on the list of projects."""
        shown = self.project or self.grading
        return "" if shown is None else shown.slug

    @property
    def name(self) -> str:
        """The project's name as people wrote it; empty on the list of projects."""
        shown = self.project or self.grading
        return "" if shown is None else shown.name


def person_of(cookies: Mapping[str, str]) -> str:
    """Who is answering, from the cookie; `me` when there is none or it is not a name that can be shown."""
    name = unquote(cookies.get(PERSON_COOKIE, "")).strip()
    return name if name and len(name) <= MAX_PERSON_LENGTH and name.isprintable() else DEFAULT_PERSON


def person_of_request(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str:
    """Who a request answers for: the person its page was opened by, even when another tab has switched since."""
    named = headers.get(PERSON_HEADER)
    return person_of(cookies) if named is None else person_of({PERSON_COOKIE: named})


def person_cookie(name: str) -> str:
    """A name as the cookie holds it: percent-encoded, so that any alphabet survives."""
    return quote(name, safe="")


def is_dark(cookies: Mapping[str, str]) -> bool:
    """Whether the person chose the dark theme."""
    return cookies.get(THEME_COOKIE) == "dark"
