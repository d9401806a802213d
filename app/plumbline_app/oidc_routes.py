"""Routes of signing in by OpenID Connect."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from plumbline_app.login import caller, local_path, set_session
from plumbline_app.templates_plain import plain_page
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.people.errors import SignInError
from plumbline_backend.people.oidc import WITHIN_S, Client, Identity, Oidc
from plumbline_backend.people.service import PeopleService
from plumbline_backend.settings import Settings

COOKIE = "plumbline_oidc"


def oidc_of(settings: Settings, people: PeopleService) -> Oidc | None:
    """The issuer of the settings, None where there is none. Raises InputError for settings that do not fit."""
    if not settings["oidc_issuer"]:
        return None
    if not settings["public_url"]:
        raise InputError(
            "public_url: found nothing; expected the address that the issuer sends people back to"
        )
    back = settings["public_url"].rstrip("/") + "/oidc/callback"
    client = Client(settings["oidc_issuer"], settings["oidc_client_id"], back, settings["oidc_secret_env"])
    return Oidc(client, people.page_key)


def oidc_routes(people: PeopleService, oidc: Oidc, public_url: str) -> APIRouter:
    """The way out to the issuer and the way back."""
    router = APIRouter(include_in_schema=False)
    is_secure = public_url.startswith("https://")

    @router.get("/oidc/start")
    def start(next: str = "/", invite: str = "") -> Response:  # noqa: A002 - the word in the address
        """To the issuer."""
        try:
            address, sealed = oidc.start(local_path(next), invite)
        except SignInError as error:
            return _refused(str(error))
        answer = RedirectResponse(address, status_code=303)
        answer.set_cookie(
            COOKIE, sealed, max_age=WITHIN_S, path="/oidc", httponly=True, samesite="lax", secure=is_secure
        )
        return answer

    @router.get("/oidc/callback")
    def back(request: Request) -> Response:
        """Back from the issuer."""
        try:
            identity = oidc.finish(request.cookies.get(COOKIE, ""), dict(request.query_params))
            cookie = _come_in(people, identity, request)
        except (SignInError, NotFoundError, ConflictError, InputError) as error:
            return _refused(str(error))
        answer = RedirectResponse(identity.wanted, status_code=303)
        answer.delete_cookie(COOKIE, path="/oidc")
        set_session(answer, people, cookie, is_secure)
        return answer

    return router


def _come_in(people: PeopleService, identity: Identity, request: Request) -> str:
    by, who = caller(request, identity.name), (identity.issuer, identity.subject)
    if identity.invitation:
        return people.accept_with_identity(identity.invitation, identity.name, who, by)
    return people.sign_in_identity(who, by)


def _refused(reason: str) -> Response:
    return plain_page("refused", 403, title="Not signed in", reason=reason)
