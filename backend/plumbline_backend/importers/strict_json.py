"""JSON from outside, read strictly: every member once, no NaN, no lone surrogates, numbers as they are written."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Literal(str):
    """A JSON number, as written."""


class Flaw(NamedTuple):
    """What is wrong with a JSON text: the member it is in, words that complete "expected ...", and what was found."""

    column: str | None
    expected: str
    value: str | None


class NotJsonError(ValueError):
    """Something JSON does not allow, in words that complete "expected ..."."""


def parse_value(text: str) -> Any:
    """Any JSON value; numbers as `Literal`. Raises NotJsonError for what is not allowed, with the place."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJsonError(f"a JSON document ({error.msg} at character {error.pos + 1})") from error
    except RecursionError as error:
        raise NotJsonError(TOO_DEEP) from error
    if _is_deep(text, value):
        raise NotJsonError(TOO_DEEP)
    return value


def parse_object(text: str) -> tuple[dict[str, Any], Flaw | None]:
    """(members, what is wrong) of a line that holds one object."""
    try:
        value = _DECODER.decode(text)
    except NotJsonError as error:
        return {}, Flaw(None, str(error), text)
    except json.JSONDecodeError as error:
        return {}, Flaw(None, f"a JSON object ({error.msg} at character {error.pos + 1})", text)
    except RecursionError:
        return {}, Flaw(None, TOO_DEEP, text)
    if not isinstance(value, dict):
        return {}, Flaw(None, "a JSON object", text)
    if _is_deep(text, value):
        return {}, Flaw(None, TOO_DEEP, text)
    if not text.isascii() or "\\u" in text:
        for name, cell in value.items():
            if has_surrogate(f"{name}{shown(cell)}"):
                where = name.encode("utf-8", "backslashreplace").decode()
                return {}, Flaw(where, NO_SURROGATES, text)
    return value, None


MAX_LEVELS = 300
"""Of nesting: what reads a value goes down it in two calls a level, and Python allows a thousand."""
TOO_DEEP = "values nested at most some hundred levels deep"
NO_SURROGATES = "text without lone surrogates, which UTF-8 has no form for"


def has_surrogate(text: str) -> bool:
    """Whether a text holds half a surrogate pair, which no file and no database can keep."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def shown(value: Any) -> str | None:
    """A member as text: strings as they are, numbers with their digits, nested values as JSON."""
    if value is None or type(value) is str:
        return value
    return _dump(value)


def plain(value: Any) -> Any:
    """The value with numbers for literals; a number that Python would not give back alike stays the text it was."""
    if isinstance(value, Literal):
        return _number(value)
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(member) for member in value]
    return value


MAX_DIGITS = 4300
"""Digits of the longest integer that Python reads, `sys.int_info.default_max_str_digits`."""


def _is_deep(text: str, value: Any) -> bool:
    """Whether a value has more than MAX_LEVELS levels; it is gone through only where its brackets allow for it."""
    if text.count("[") + text.count("{") <= MAX_LEVELS:
        return False
    level = [value]
    for _ in range(MAX_LEVELS):
        level = [
            member
            for each in level
            if isinstance(each, dict | list)
            for member in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, dict | list) for each in level)


def _number(literal: Literal) -> int | float | str:
    if literal.lstrip("-").isdigit():
        return int(literal) if len(literal) <= MAX_DIGITS and literal != "-0" else str(literal)
    number = float(literal)
    return number if repr(number) == literal else str(literal)


def _dump(value: Any) -> str:
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, dict):
        inside = (
            f"{json.dumps(name, ensure_ascii=False)}: {_dump(member)}" for name, member in value.items()
        )
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_dump(member) for member in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _no_constant(name: str) -> Any:
    raise NotJsonError(f"a number or null; JSON has no {name}")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotJsonError(f"every member once; {twice!r} appears {names.count(twice)} times")
    return made


_DECODER = json.JSONDecoder(
    parse_int=Literal,
    parse_float=Literal,
    parse_constant=_no_constant,
    object_pairs_hook=_no_duplicates,
)
