"""Requests that make something new, safe to send again: a client gives each a key of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel

from plumbline_backend.api.access import Caller
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.store import DatabaseError
from plumbline_backend.store.requests import MAX_KEY, Requests

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=MAX_KEY,
        description="made up by the client: the same request with the same key is done once and answered alike",
    ),
]


def answered_once(
    requests: Requests,
    caller: Caller,
    key: str | None,
    asked: tuple[object, ...],
    act: Callable[[], BaseModel | dict[str, Any]],
) -> Any:
    """What `act` gives, or what it gave when this key came before. asked: route, place and body, as JSON has them.

    Where the database fails in the middle it is not known whether it was done: then the key stays taken.
    """
    if key is None:
        return act()
    shown = json.dumps(asked, sort_keys=True).encode()
    before = requests.claim(caller.person, key, hashlib.sha256(shown).hexdigest())
    if before is not None:
        return before
    try:
        answer = act()
    except PlumblineError as error:
        if not isinstance(error, DatabaseError):
            requests.release(caller.person, key)
        raise
    kept = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer
    requests.finish(caller.person, key, kept)
    return answer
