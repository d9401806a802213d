"""What may enter the database as text or JSON. Both databases must be able to give it back unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from plumbline_backend.domain.errors import InputError, shorten

MAX_DEPTH = 64
"""Levels of nesting in a JSON value: Python's own encoder fails somewhere near 1,000."""
MAX_INTEGER = 2**63 - 1


def text_problem(field: str, value: object, *, limit: int, required: bool = False) -> str | None:
    """What is wrong with a text, in words that name `field`, or None. `limit` is in characters."""
    if not isinstance(value, str):
        return f"{field} is a {type(value).__name__}; expected text"
    if required and not value.strip():
        return f"{field} is empty; expected text"
    if len(value) > limit:
        return f"{field} has {len(value):,} characters; expected at most {limit:,}"
    at = value.find("\0")
    if at >= 0:
        return f"{field} has a NUL character at position {at}; expected text without NUL"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        found = f"U+{ord(value[error.start]):04X}"
        return f"{field} has a lone surrogate ({found}) at position {error.start}; expected whole characters"
    return None


def text_value(field: str, value: object, *, limit: int, required: bool = False) -> str:
    """The text itself. Raises InputError naming `field` when it cannot be stored."""
    problem = text_problem(field, value, limit=limit, required=required)
    if problem is not None:
        raise InputError(problem)
    assert isinstance(value, str)
    return value


def integer_problem(field: str, value: object, *, low: int = 0, high: int = MAX_INTEGER) -> str | None:
    """What is wrong with an integer, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        return f"{field} is {shorten(repr(value))}; expected an integer"
    if not low <= value <= high:
        return f"{field} is {value}; expected an integer from {low} to {high}"
    return None


def refuse(problems: Iterable[str | None]) -> None:
    """Raises one InputError that lists every problem that is not None."""
    found = [problem for problem in problems if problem is not None]
    if found:
        raise InputError("; ".join(found))


def json_value(field: str, value: Any) -> Any:
    """`value` as plain dicts, lists, text and numbers: tuples become lists, numpy scalars Python's.

    NaN and infinities stay. Raises InputError naming the path of what cannot be stored as JSON.
    """
    return _plain(field, value, 0)


def json_object(field: str, value: object) -> dict[str, Any]:
    """A JSON object. Raises InputError naming `field` for anything else."""
    if not isinstance(value, Mapping):
        raise InputError(f"{field} is a {type(value).__name__}; expected names and values")
    plain: dict[str, Any] = json_value(field, value)
    return plain


def readable(value: Any) -> Any:
    """JSON whose texts can be stored: NUL and lone surrogates as escapes. For what only tells what went wrong: a
    refusal that quotes such a character must not be lost for it."""
    if isinstance(value, str):
        return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {readable(key): readable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [readable(entry) for entry in value]
    return value


def _plain(path: str, value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise InputError(f"{shorten(path)} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise InputError(f"{shorten(path)} is beyond 64 bits; write such a number as text")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return text_value(path, value, limit=2**31)
    if isinstance(value, Mapping):
        return {_key(path, key): _plain(f"{path}.{key}", entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{path}[{index}]", entry, depth + 1) for index, entry in enumerate(value)]
    raise InputError(f"{shorten(path)} is a {type(value).__name__}; expected a JSON value")


def _key(path: str, key: object) -> str:
    return text_value(f"a name in {path}", key, limit=10_000)
