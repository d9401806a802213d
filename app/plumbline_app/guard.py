"""What stands before every request and websocket: where it may come from, and the headers that answers carry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from secrets import token_urlsafe
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SESSION_ID = re.compile(rb"(^|&)(bokeh[-_]session[-_]id|bokeh[-_]protocol[-_]version)=", re.IGNORECASE)
"""With it, a link would put a visitor into a document whose id somebody else knows."""
_COMPONENT = re.compile(r"/components/(plumbline_app|panel|panel_material_ui)(\.\w+)*/.+")
"""Panel imports the module that such an address names: only those that have components of a page."""
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval' blob:; script-src-attr 'none'; "
    "style-src 'self' 'unsafe-inline' blob:; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self'"
)
"""Only scripts that this server sends in a file, or marks in the page with a number made for that one answer, are
run; no attribute is a script, and nothing may be fetched from, or sent to, another host. Panel builds functions from
text and imports its modules from blobs, and components style themselves: those two cannot be held stricter."""
nonce: ContextVar[str] = ContextVar("nonce", default="")
"""The number of the answer that is being made, for the page's own scripts."""


class Guard:
    """Refuses foreign hosts and origins, for pages and websockets alike, and sets the security headers.

    hosts: names under which the server may be addressed, without port; None allows any. Keeping to loopback names
    stops pages elsewhere from reaching the server through a name of theirs that resolves to 127.0.0.1.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None = LOOPBACK) -> None:
        self.app = app
        self.hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        reason = self.refusal(scope)
        if not reason:
            nonce.set(token_urlsafe(16))
            return await self.app(
                scope, receive, _with_headers(scope, send, _POLICY.format(nonce=nonce.get()))
            )
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 4403, "reason": reason})
        await send(
            {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]}
        )
        return await send({"type": "http.response.body", "body": reason.encode()})

    def refusal(self, scope: Scope) -> str:
        """Why the request is not let in; empty when it is."""
        if _SESSION_ID.search(scope["query_string"]):
            return "the address names a session; a page's session is made here and nowhere else"
        if scope["path"].startswith("/components/") and not _COMPONENT.fullmatch(scope["path"]):
            return "the address names no component of a page"
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        name = urlsplit(f"//{host}").hostname or ""
        if self.hosts is not None and name not in self.hosts:
            return f"Host is {host!r}; expected one of {', '.join(sorted(self.hosts))}"
        origin = headers.get("origin")
        if scope["type"] == "websocket" and origin is None:
            return "a websocket needs an Origin header"
        if scope["type"] == "websocket" or scope["method"] in _CHANGING:
            if origin is not None and urlsplit(origin).netloc.lower() != host:
                return f"Origin {origin!r} is not this server ({host!r})"
            if origin is None and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return "the request comes from another site"
        return ""


def _with_headers(scope: Scope, send: Send, policy: str) -> Send:
    versioned = (
        scope["type"] == "http"
        and scope["path"].startswith(("/static/", "/assets/"))
        and b"v=" in scope["query_string"]
    )

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", policy)
            if versioned:
                headers["Cache-Control"] = "public, max-age=31536000, immutable"
        await send(message)

    return send_with_headers
