"""Refusals that are about who asks."""

from __future__ import annotations

from plumbline_backend.domain.errors import PlumblineError


class ForbiddenError(PlumblineError):
    """The person may not do this here."""


class SignInError(PlumblineError):
    """Name or password are wrong. Which of them is not said."""


class TooManyAttemptsError(SignInError):
    """Sign-in was refused too often. `wait_s`: seconds until another attempt is looked at."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"too many attempts; try again in {wait_s:.0f} seconds")
