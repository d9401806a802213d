"""Request bodies, read strictly: bounded in size and depth, and nothing in them changes silently."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from plumbline_backend.domain.errors import InputError, shorten

MAX_BODY_BYTES = 8 << 20
"""One body of JSON: a thousand judgements with long notes. What is larger is streamed as a file."""
MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


class StrictRequest(Request):
    """A request whose JSON body is refused where Python's own reader would guess."""

    async def body(self) -> bytes:
        """The whole body. Raises HTTPException (413) beyond `MAX_BODY_BYTES`."""
        if not hasattr(self, "_body"):
            parts, size = [], 0
            async for part in self.stream():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise HTTPException(
                        413, f"body: more than {MAX_BODY_BYTES >> 20} MiB; expected at most that much"
                    )
                parts.append(part)
            self._body = b"".join(parts)
        return self._body

    async def json(self) -> Any:
        """The body as JSON. Raises HTTPException (422) in words."""
        try:
            return strict_json(await self.body())
        except InputError as error:
            raise HTTPException(422, f"body: {error}") from error


class StrictRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a `StrictRequest`."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def strict_json(data: bytes) -> Any:
    """JSON without NaN, repeated names, integers beyond 64 bits, lone surrogates, or more than 64 levels.

    Raises InputError that says what was found.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}; expected JSON in UTF-8") from error
    try:
        value = json.loads(
            text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant, parse_int=_bounded
        )
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise InputError(_TOO_DEEP) from error
    _check(value, 0)
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{shorten(twice)!r} occurs twice in one object; expected each name once")
    return found


def _refuse_constant(found: str) -> Any:
    raise InputError(f"found {found}, which is not JSON; expected null for what is unknown")


def _bounded(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > MAX_INTEGER:
        raise InputError(f"integer {shorten(digits)} is beyond 64 bits; write such a number as text")
    return int(digits)


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InputError(_TOO_DEEP)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"a text has half a surrogate pair at position {error.start}; expected whole characters"
            ) from error
    elif isinstance(value, dict):
        for name, entry in value.items():
            _check(name, depth + 1)
            _check(entry, depth + 1)
    elif isinstance(value, list):
        for entry in value:
            _check(entry, depth + 1)
