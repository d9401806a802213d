"""Signing in and out, accepting invitations, and changing one's password: plain forms, without script."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from plumbline_app.session import is_dark
from plumbline_app.templates_plain import plain_page
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.people import Access, Invitation
from plumbline_backend.people.errors import SignInError, TooManyAttemptsError
from plumbline_backend.people.passwords import MIN_LENGTH
from plumbline_backend.people.service import SESSION_S, Caller, PeopleService

MAX_FORM = 16_384


def login_routes(people: PeopleService, public_url: str = "", oidc_name: str = "") -> APIRouter:
    """The routes of a server with a login. public_url: the address that people use, if the server must be told."""
    router = APIRouter(include_in_schema=False)
    is_secure = public_url.startswith("https://")

    @router.get("/login")
    def login(request: Request, next: str = "/") -> Response:  # noqa: A002 - the word in the address
        """The form."""
        return _login_page(request, local_path(next), oidc_name)

    @router.post("/login")
    async def sign_in(request: Request) -> Response:
        """Sign in and go where the person wanted to go."""
        _own_origin(request)
        form = await read_form(request)
        name, wanted = form.get("name", ""), local_path(form.get("next", "/"))
        try:
            cookie = await run_in_threadpool(
                people.sign_in, name, form.get("password", ""), caller(request, name)
            )
        except SignInError as error:
            return _login_page(request, wanted, oidc_name, name, error)
        return _signed_in(request, people, cookie, wanted, is_secure)

    @router.post("/logout")
    def sign_out(request: Request) -> Response:
        """End the session here and on the server."""
        _own_origin(request)
        cookie = request.cookies.get(people.cookies.name)
        if cookie is not None:
            people.sign_out(cookie, caller(request, _name(request, people)))
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(people.cookies.name, path="/")
        return answer

    _invitation_routes(router, people, is_secure, oidc_name)
    return router


def _invitation_routes(router: APIRouter, people: PeopleService, is_secure: bool, oidc_name: str) -> None:
    @router.get("/invite/{secret}")
    def invited(request: Request, secret: str) -> Response:
        """What the invitation is to, and the way in."""
        try:
            return _invitation_page(request, people, secret, oidc_name)
        except NotFoundError as error:
            return plain_page("refused", 404, title="Not valid", reason=str(error))

    @router.post("/invite/{secret}")
    async def accept(request: Request, secret: str) -> Response:
        """Make the account, or let the signed-in person in."""
        form = await read_form(request)
        _own_origin(request)
        return await run_in_threadpool(_accept, request, people, secret, form, is_secure, oidc_name)


def _accept(
    request: Request, people: PeopleService, secret: str, form: dict[str, str], is_secure: bool, oidc: str
) -> Response:
    name = form.get("name", "")
    try:
        invitation = people.invitation(secret)
        wanted = "/" if invitation.slug is None else f"/p/{invitation.slug}"
        if form.get("how") == "signed-in":
            access = _signed_in_access(request, people)
            if access is None:
                return RedirectResponse("/login", status_code=303)
            people.accept_as(secret, access, caller(request, access.person.name if access.person else ""))
            return RedirectResponse(wanted, status_code=303)
        cookie = people.accept_as_new(secret, name, form.get("password", ""), caller(request, name))
    except NotFoundError as error:
        return plain_page("refused", 404, title="Not valid", reason=str(error))
    except (InputError, ConflictError) as error:
        return _invitation_page(request, people, secret, oidc, name, str(error))
    return _signed_in(request, people, cookie, wanted, is_secure)


def local_path(wanted: str) -> str:
    """The path on this server that a form leads to; "/" for anything that could lead elsewhere."""
    parts = urlsplit(wanted) if wanted.isprintable() and "\\" not in wanted else None
    is_local = parts is not None and not parts.scheme and not parts.netloc and wanted.startswith("/")
    return wanted if is_local and not wanted.startswith("//") else "/"


def caller(request: Request, name: str) -> Caller:
    """Who does something, and from where, for the audit log and the limits."""
    address = "" if request.client is None else request.client.host
    return Caller(name, address, request.headers.get("user-agent", ""))


async def read_form(request: Request) -> dict[str, str]:
    """A small form's fields. Raises HTTPException (413) for one that is not small."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise HTTPException(413, f"form: more than {MAX_FORM:,} bytes; expected at most that many")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise HTTPException(422, f"form: {error}; expected fields as a browser sends them") from error


def _own_origin(request: Request) -> None:
    """These routes are open to all, so they look for themselves what `Gate` looks at elsewhere."""
    if request.headers.get("origin") is None:
        raise HTTPException(403, "a form needs an Origin header")


def _login_page(
    request: Request, wanted: str, oidc: str, name: str = "", problem: SignInError | None = None
) -> Response:
    status, headers = 200 if problem is None else 401, {}
    if isinstance(problem, TooManyAttemptsError):
        status, headers = 429, {"Retry-After": str(int(problem.wait_s) + 1)}
    words = "" if problem is None else f"{str(problem)[:1].upper()}{str(problem)[1:]}."
    return plain_page(
        "login", status, headers, title="Sign in", dark=is_dark(request.cookies), next=wanted, name=name[:60],
        problem=words, oidc=oidc,
    )  # fmt: skip


def _invitation_page(
    request: Request, people: PeopleService, secret: str, oidc: str, name: str = "", problem: str = ""
) -> Response:
    invitation, access = people.invitation(secret), _signed_in_access(request, people)
    person = "" if access is None or access.person is None else access.person.name
    status = 422 if problem else 200
    return plain_page(
        "invite", status, title="Invitation", dark=is_dark(request.cookies), secret=secret, person=person,
        inviter=invitation.created_by, what=_invited_to(invitation), name=name[:60], problem=problem, oidc=oidc,
        min_length=MIN_LENGTH,
    )  # fmt: skip


def _invited_to(invitation: Invitation) -> str:
    if invitation.slug is None:
        return "this workspace" + (", where you may make projects" if invitation.may_create else "")
    return f"the project {invitation.slug!r} as {invitation.role}"


def _signed_in_access(request: Request, people: PeopleService) -> Access | None:
    return people.access(request.cookies.get(people.cookies.name))


def _name(request: Request, people: PeopleService) -> str:
    access = _signed_in_access(request, people)
    return "" if access is None or access.person is None else access.person.name


def _signed_in(
    request: Request, people: PeopleService, cookie: str, wanted: str, is_secure: bool
) -> Response:
    answer = RedirectResponse(wanted, status_code=303)
    set_session(answer, people, cookie, is_secure or request.url.scheme == "https")
    return answer


def set_session(answer: Response, people: PeopleService, cookie: str, is_secure: bool) -> None:
    """Put a session's cookie on an answer: no script reads it, other sites' forms do not send it."""
    answer.set_cookie(
        people.cookies.name,
        cookie,
        max_age=int(SESSION_S),
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="lax",
    )
