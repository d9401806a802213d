"""One's own account: the password, tokens for scripts, signing out."""

from __future__ import annotations

from collections.abc import Sequence

import panel_material_ui as pmui
from panel.viewable import Viewable

from plumbline_app.components.code import Code
from plumbline_app.components.controls import button, text_field
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.layout import card, fill, line, page_column, place, side_by_side
from plumbline_app.components.sign_out import SignOut
from plumbline_app.components.team_cards import when
from plumbline_app.components.words import heading, notice, sentence
from plumbline_app.pages.page import Page
from plumbline_app.pages.people import ALONE
from plumbline_backend.domain.errors import InputError
from plumbline_backend.people.errors import SignInError
from plumbline_backend.people.service import Caller
from plumbline_backend.store.tokens import ApiToken

TOKENS = (
    grid_column("Name", "text"),
    grid_column("Begins with", "text"),
    grid_column("Made", "text", "In UTC"),
    grid_column("Ends", "text", "In UTC"),
)


class AccountPage(Page):
    """What a person changes about themselves."""

    heading = "Your account"

    def __panel__(self) -> Viewable:
        person = self.session.person
        if self.session.people is None:
            return page_column(heading(self.heading, ""), notice("Single-user mode", ALONE))
        self._old, self._new = (_password(label) for label in ("Old password", "New password"))
        self._said, self._made, self._opened = place(), place(), place()
        password = card(
            "Password", "At least 10 characters. Your other sessions end.", self._old, self._new,
            line(button("Change the password", self._change)), self._said,
        )  # fmt: skip
        self._token = text_field("What the token is for")
        self._shown: Sequence[ApiToken] = ()
        self._grid = Grid(self._open, columns=list(TOKENS), caption="Tokens", empty="No token yet.")
        tokens = card(
            "Tokens for scripts", "A token may do what you may do. Its text is shown once.",
            line(self._token, button("Make a token", self._make)), self._made, self._grid, self._opened,
        )  # fmt: skip
        title = heading(self.heading, f"Signed in as {person}.")
        return page_column(line(title, SignOut(), **{"flex-wrap": "nowrap"}), side_by_side(password, tokens))

    def load(self) -> None:
        """Read the tokens."""
        if self.session.people is not None:
            self._draw()

    def _draw(self) -> None:
        assert self.session.people is not None
        self._shown = self.session.people.tokens_of(self.session.person)
        rows = [[t.name, f"{t.start}…", when(t.created_at), when(t.expires_at)] for t in self._shown]
        self._grid.show(TOKENS, rows)
        fill(self._opened)

    def _change(self) -> None:
        people, by = self.session.people, Caller(self.session.person)
        assert people is not None
        try:
            people.change_password(self.session.access, self._old.value, self._new.value, by)
        except (InputError, SignInError) as error:
            fill(self._said, notice("Not changed", str(error), tone="bad"))
            return
        finally:
            self._old.value = self._new.value = ""
        fill(self._said, notice("Changed", "The new password counts from now on.", tone="good"))

    def _make(self) -> None:
        assert self.session.people is not None
        name = self._token.value.strip()
        if not name:
            fill(self._made, notice("Not made", "Say what the token is for, to know it later.", tone="bad"))
            return
        secret = self.session.people.make_token(self.session.person, name, Caller(self.session.person))
        fill(self._made, sentence("Shown this once:"), Code(text=secret, label="Token"))
        self._token.value = ""
        self._draw()

    def _open(self, index: int) -> None:
        token = self._shown[index]
        fill(self._opened, line(button(f"End the token {token.name!r}", lambda: self._end(token))))

    def _end(self, token: ApiToken) -> None:
        assert self.session.people is not None
        self.session.people.end_token(self.session.person, token.id, Caller(self.session.person))
        self._draw()


def _password(label: str) -> pmui.PasswordInput:
    return pmui.PasswordInput(label=label, variant="outlined", size="small", margin=0, max_length=200)
