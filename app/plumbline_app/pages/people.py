"""The People pages: of a project (roles, progress, sharing, comments) and of the workspace (accounts)."""

from __future__ import annotations

from collections.abc import Sequence

from panel.viewable import Viewable

from plumbline_app.components.code import Code
from plumbline_app.components.controls import button, checkbox
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card, fill, line, page_column, place, side_by_side
from plumbline_app.components.people_cards import Inviting, refusing, role_choice
from plumbline_app.components.team_cards import PROGRESS, Comments, Sharing, progress_cells, when
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.grading_page import SECTIONS as GRADING_SECTIONS
from plumbline_app.pages.page import Page
from plumbline_app.session import Session
from plumbline_backend.domain.people import Member, Person, Role
from plumbline_backend.people.service import Caller, PeopleService
from plumbline_backend.store.progress import PersonProgress

ALONE = (
    "This server has no login: it answers on this machine alone, and whoever sits at it may do everything. To work "
    "as a team, start it with `plumbline serve --host 0.0.0.0` (best behind a proxy with TLS) or with "
    "PLUMBLINE_REQUIRE_LOGIN=true; the first start prints the owner's password."
)
MEMBERS = (grid_column("Name", "text"), grid_column("Role", "text"), *PROGRESS)
ACCOUNTS = (
    grid_column("Name", "text"),
    grid_column("May", "text", "In the workspace; roles in projects are given there"),
    grid_column("Since", "text", "In UTC"),
    grid_column("State", "text"),
)


class ProjectPeoplePage(Page):
    """Who takes part in one project, as what, how far each is, and how work is shared."""

    heading = "People"
    any_kind = True

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        if session.grading is not None:
            self.sections = GRADING_SECTIONS  # type: ignore[misc]
        self._members: Sequence[Member] = ()
        self._lines: Sequence[PersonProgress] = ()

    def __panel__(self) -> Viewable:
        self._grid = Grid(self._open, columns=list(MEMBERS), caption="People", empty="Nobody takes part yet.")
        self._opened, self._said = place(), place()
        parts: list[Viewable] = [heading("People", "Who takes part in this project, and how work is shared.")]
        if self.session.people is None:
            parts.append(notice("Single-user mode", ALONE))
        parts += [self._said, card("Taking part", "Open a row to change it.", self._grid, self._opened)]
        self._inviting = self._sharing = self._comments = None
        if self.session.people is not None:
            public_url = self.session.workspace.settings["public_url"]
            self._inviting = Inviting(
                self.session.people, self.session.slug, self.caller, public_url, self._draw_members
            )
            parts.append(self._inviting)
        if self.session.project is not None:
            team = self.project.desk.team
            self._sharing = Sharing(team, self.session.slug, self._shared)
            self._comments = Comments(team, self.session.person)
            parts.append(side_by_side(self._sharing.__panel__(), self._comments.__panel__()))
        log = notice(
            "Audit log", "Who did what, and when.", link=(f"/p/{self.session.slug}/audit", "Read the log")
        )
        return page_column(*parts, log)

    def load(self) -> None:
        """Read who takes part and how far each is."""
        self._draw_members()
        for each in (self._inviting, self._sharing, self._comments):
            if each is not None:
                each.show()

    @property
    def caller(self) -> Caller:
        """Who acts on this page."""
        return Caller(self.session.person)

    def _draw_members(self) -> None:
        people, slug = self.session.people, self.session.slug
        self._members = [] if people is None else people.members(slug)
        progress = [] if self.session.project is None else self.project.desk.team.progress()
        by_name = {each.name: each for each in progress}
        names = {member.person.name for member in self._members}
        rows = [[m.person.name, m.role, *progress_cells(by_name.get(m.person.name))] for m in self._members]
        rows += [[name, "–", *progress_cells(each)] for name, each in by_name.items() if name not in names]
        self._grid.show(MEMBERS, rows)
        fill(self._opened)

    def _open(self, index: int) -> None:
        if index >= len(self._members) or self.session.people is None:
            fill(self._opened, sentence("Answered here, and takes no part as an account now."))
            return
        member, people = self._members[index], self.session.people
        role = role_choice(f"What {member.person.name} is", member.role)
        change = button("Change", lambda: self._set_role(people, member, role.value))
        out = button("Take out of the project", lambda: self._remove(people, member))
        fill(self._opened, line(role, change, out))

    def _set_role(self, people: PeopleService, member: Member, role: Role) -> None:
        refusing(
            self._said, lambda: people.set_role(self.session.slug, member.person.name, role, self.caller)
        )
        self._draw_members()

    def _remove(self, people: PeopleService, member: Member) -> None:
        def remove() -> None:
            returned = people.remove_member(self.session.slug, member.person.name, self.caller)
            words = f"{member.person.name} takes no part any more. {returned:,} items in hand went back to the others."
            fill(self._said, notice("Taken out", words, tone="good"))

        refusing(self._said, remove)
        self._draw_members()

    def _shared(self, name: str, value: object) -> None:
        if self.session.people is not None:
            self.session.people.note(
                self.caller, "sharing changed", name, project=self.session.slug, value=value
            )


class PeoplePage(Page):
    """Every account of the workspace."""

    heading = "Accounts"

    def __panel__(self) -> Viewable:
        self._people: Sequence[Person] = ()
        title = heading(
            "Accounts", "Who can sign in here. What they are in a project is set on its People page."
        )
        if self.session.people is None:
            return page_column(title, notice("Single-user mode", ALONE))
        self._grid = Grid(self._open, columns=list(ACCOUNTS), caption="Accounts", rows_height=480)
        self._opened, self._said = place(), place()
        public_url = self.session.workspace.settings["public_url"]
        self._inviting = Inviting(self.session.people, None, self.caller, public_url, self._draw)
        accounts = card("Accounts", "Open a row to change it.", self._grid, self._opened)
        log = notice("Audit log", "Who did what in the workspace, and when.", link=("/audit", "Read the log"))
        return page_column(title, self._said, accounts, self._inviting, log)

    def load(self) -> None:
        """Read the accounts."""
        if self.session.people is not None:
            self._draw()
            self._inviting.show()

    @property
    def caller(self) -> Caller:
        """Who acts on this page."""
        return Caller(self.session.person)

    def _draw(self) -> None:
        assert self.session.people is not None
        self._people = self.session.people.people()
        rows = [
            [p.name, rights(p), when(p.created_at), "closed" if p.disabled_at else "open"]
            for p in self._people
        ]
        self._grid.show(ACCOUNTS, rows)
        fill(self._opened)

    def _open(self, index: int) -> None:
        person = self._people[index]
        owns = checkbox("Owns the workspace", person.is_owner)
        creates = checkbox("May make projects", person.may_create)
        change = button("Change", lambda: self._set_rights(person, owns.value, creates.value))
        reset = button("New password", lambda: self._reset(person))
        closed = person.disabled_at is not None
        close = button(
            "Open the account" if closed else "Close the account", lambda: self._close(person, closed)
        )
        fill(self._opened, line(owns, creates, change, reset, close))

    def _set_rights(self, person: Person, owns: bool, creates: bool) -> None:
        people = self.session.people
        assert people is not None
        refusing(
            self._said, lambda: people.set_rights(person.name, self.caller, is_owner=owns, may_create=creates)
        )
        self._draw()

    def _reset(self, person: Person) -> None:
        assert self.session.people is not None
        password = self.session.people.reset_password(person.name, self.caller)
        words = f"The new password of {person.name}, shown this once. Their sessions have ended."
        fill(self._said, sentence(words), Code(text=password, label="Password"))

    def _close(self, person: Person, closed: bool) -> None:
        people = self.session.people
        assert people is not None

        def act() -> None:
            if closed:
                return people.open_account(person.name, self.caller)
            returned = people.close_account(person.name, self.caller)
            words = f"{person.name} can do nothing here any more. {returned:,} items in hand went back to the others."
            return fill(self._said, notice("Closed", words, tone="good"))

        refusing(self._said, act)
        self._draw()


def rights(person: Person) -> str:
    """What an account may do in the workspace, in words."""
    return "everything" if person.is_owner else "make projects" if person.may_create else "what projects give"
