"""Accounts, roles and invitations as cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import panel as pn
from panel.viewable import Viewable, Viewer

from plumbline_app.components.code import Code
from plumbline_app.components.controls import button, checkbox, choice
from plumbline_app.components.grid import Grid, GridColumn, grid_column
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.team_cards import when
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.people import Invitation, Role
from plumbline_backend.people.service import Caller, PeopleService

ROLE_WORDS: dict[str, Role] = {
    "Annotator: is asked and answers": "annotator",
    "Editor: also classes, training, review, last word": "editor",
    "Owner: also people and settings": "owner",
    "Reader: looks, changes nothing": "reader",
}
INVITATIONS: tuple[GridColumn, ...] = (
    grid_column("To", "text"),
    grid_column("By", "text"),
    grid_column("Ends", "text", "In UTC"),
    grid_column("State", "text", "Open the row of one that waits to withdraw it"),
)


def role_choice(label: str, role: Role = "annotator") -> Viewable:
    """One of the roles, with what it may do."""
    return choice(label, ROLE_WORDS, role, width=360)


def link_to(path: str, public_url: str) -> str:
    """The address that others use for a path: the public one, else the one in this browser."""
    here = pn.state.location
    base = public_url.rstrip("/") or (f"{here.protocol}//{here.hostname}:{here.port}" if here else "")
    return base.rstrip(":") + path


class Inviting(Viewer):
    """Makes links, each for one person and a week, and lists those that were made."""

    def __init__(
        self,
        people: PeopleService,
        slug: str | None,
        by: Caller,
        public_url: str,
        on_change: Callable[[], None],
    ) -> None:
        super().__init__()
        self._people, self._slug, self._by, self._public_url = people, slug, by, public_url
        self._on_change = on_change
        self._role = role_choice("What they will be")
        self._creates = checkbox("They may make projects", True)
        self._link = place()
        self._shown: Sequence[Invitation] = ()
        self._grid = Grid(
            self._open,
            columns=list(INVITATIONS),
            caption="Invitations",
            rows_height=280,
            empty="No invitation yet.",
        )
        self._opened = place()

    def __panel__(self) -> Viewable:
        what = self._role if self._slug is not None else self._creates
        make = button("Make a link", self._make, strong=True)
        below = "A link makes one account, or lets one person with an account in. It ends after a week."
        return card("Invite", below, line(what, make), self._link, self._grid, self._opened)

    def show(self) -> None:
        """Read the list again."""
        self._shown = self._people.invitations(self._slug)
        rows = [
            [each.role or "workspace", each.created_by, when(each.expires_at), state(each)]
            for each in self._shown
        ]
        self._grid.show(INVITATIONS, rows)
        fill(self._opened)

    def _make(self) -> None:
        role = self._role.value if self._slug is not None else None
        creates = self._slug is None and self._creates.value
        secret = self._people.invite(self._slug, role, self._by, may_create=creates)
        link = link_to(f"/invite/{secret}", self._public_url)
        fill(
            self._link,
            sentence("Send this to one person. It is shown this once."),
            Code(text=link, label="Link"),
        )
        self.show()
        self._on_change()

    def _open(self, index: int) -> None:
        invitation = self._shown[index]
        if state(invitation) == "waits":
            fill(self._opened, line(button("Withdraw this invitation", lambda: self._withdraw(invitation))))
        else:
            fill(self._opened)

    def _withdraw(self, invitation: Invitation) -> None:
        self._people.withdraw_invitation(invitation.id, self._slug, self._by)
        self.show()
        self._on_change()


def state(invitation: Invitation) -> str:
    """Whether the invitation waits, was used or was withdrawn."""
    if invitation.used_by is not None:
        return f"used by {invitation.used_by}"
    return "withdrawn" if invitation.revoked else "waits"


def refusing(where: pn.Column, action: Callable[[], None]) -> None:
    """Do it; say why when it is refused."""
    try:
        action()
    except PlumblineError as error:
        fill(where, notice("Not done", str(error), tone="bad"))
