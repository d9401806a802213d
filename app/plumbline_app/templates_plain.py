"""Pages without Panel: sign in, accept an invitation, refusals. No script runs on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self' data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def plain_page(
    template: str, /, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """A page from its template; every value is shown as text."""
    text = _environment.get_template(f"{template}.html").render(**values)
    return HTMLResponse(text, status, {**HEADERS, **(headers or {})})


def refused_page(status: int, reason: str) -> HTMLResponse:
    """Says why something was not shown, and leads back."""
    return plain_page("refused", status, title="Not for you" if status == 403 else "Not found", reason=reason)
