"""Refusals as answers: {"error": words} with the status that fits, whatever was wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from plumbline_backend.domain.errors import (
    ConflictError,
    InputError,
    JobFailedError,
    NotFoundError,
    PlumblineError,
    shorten,
)
from plumbline_backend.people.errors import ForbiddenError
from plumbline_backend.store import DatabaseError

STATUS: tuple[tuple[type[PlumblineError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (InputError, 422),
    (JobFailedError, 409),
    (ForbiddenError, 403),
    (DatabaseError, 503),
)
MAX_SHOWN = 10


def install_error_answers(app: FastAPI) -> None:
    """Make every refusal of the application an answer in words."""

    @app.exception_handler(PlumblineError)
    def refuse(_: Request, error: PlumblineError) -> JSONResponse:
        """An error in words, with the status that fits its kind."""
        status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
        return answer(str(error), status)

    @app.exception_handler(RequestValidationError)
    def refuse_request(_: Request, error: RequestValidationError) -> JSONResponse:
        """What is wrong with a request, field by field."""
        return answer(_words(error.errors()), 422)

    @app.exception_handler(HTTPException)
    def refuse_plainly(_: Request, error: HTTPException) -> JSONResponse:
        """A refusal that names its own status."""
        return answer(str(error.detail), error.status_code, dict(error.headers or {}))


def answer(words: str, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer itself. Half surrogate pairs, which UTF-8 cannot carry, are written as escapes."""
    shown = words.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"error": shown}, status_code=status, headers=headers)


def _words(found: Sequence[Any]) -> str:
    lines = [_line(each) for each in found[:MAX_SHOWN]]
    if len(found) > MAX_SHOWN:
        lines.append(f"... and {len(found) - MAX_SHOWN} more")
    return "\n".join(lines)


def _line(found: Any) -> str:
    where = ".".join(str(part) for part in found["loc"])
    value = found.get("input")
    shown = "" if value is None or isinstance(value, dict | list) else f": found {shorten(repr(value))}"
    return f"{where}{shown}; {found['msg'].lower()}"
