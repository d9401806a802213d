"""Who calls the API, and whether they may: one check in front of every route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from plumbline_backend.domain import people
from plumbline_backend.store.tokens import Tokens

Need = Literal["read", "label", "edit", "own"]
"""What a call does: look, answer, change the project, or make and delete projects."""
bearer = HTTPBearer(
    auto_error=False, description="An API token: `Authorization: Bearer plumb_...`", scheme_name="token"
)


class Caller(NamedTuple):
    """Who a call is made for. `by_token`: a script, not a page."""

    person: str
    by_token: bool
    access: people.Access = people.EVERYTHING


class Access(Protocol):
    """Decides who calls and what they may do."""

    def caller(self, request: Request, secret: str | None) -> Caller:
        """Who calls. Raises HTTPException (401) when that cannot be told."""

    def require(self, caller: Caller, slug: str | None, need: Need) -> None:
        """Raises HTTPException (403, or 404 for a project that the caller must not know of)."""


class TokenAccess:
    """A token speaks for its person; a call without one is answered as the pages are.

    person_of: the person of a request without a token, as the pages tell it.
    """

    def __init__(self, tokens: Tokens, person_of: Callable[[Request], str]) -> None:
        self._tokens = tokens
        self._person_of = person_of

    def caller(self, request: Request, secret: str | None) -> Caller:
        """The token's person, else the page's. Raises HTTPException (401) for a token that is not valid."""
        if secret is None:
            return Caller(self._person_of(request), by_token=False)
        token = self._tokens.find(secret)
        if token is None:
            raise HTTPException(
                401,
                "the token is unknown, revoked or past its end; make a new one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return Caller(token.person, by_token=True)

    def require(self, caller: Caller, slug: str | None, need: Need) -> None:
        """Everybody who may open the pages may do everything, as on the pages."""


def needs(access: Access, need: Need) -> Any:
    """A dependency that lets in who may do this, and gives the route its `Caller`."""

    def check(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Caller:
        caller = access.caller(request, None if given is None else given.credentials)
        access.require(caller, request.path_params.get("slug"), need)
        return caller

    return Depends(check)
