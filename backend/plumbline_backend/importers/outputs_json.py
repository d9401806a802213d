"""Values of foreign JSON as the importers of outputs need them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.grades import VerdictState
from plumbline_backend.importers.strict_json import (
    NO_SURROGATES,
    NotJsonError,
    has_surrogate,
    parse_value,
    shown,
)

PASS_WORDS = frozenset(
    {"pass", "passed", "good", "yes", "true", "correct", "c", "1", "ok", "thumbs_up", "factual"}
)
FAIL_WORDS = frozenset(
    {"fail", "failed", "bad", "no", "false", "incorrect", "i", "0", "thumbs_down", "hallucinated"}
)
PASS_FROM = 0.5
"""A score at or above it is a pass where the file gives no pass or fail, on a scale from 0 to 1."""


def load_json(path: Path) -> Any:
    """The document, numbers as they are written. Raises InputError with the place of what is wrong."""
    return parse_document(path.name, read_text(path))


def read_text(path: Path) -> str:
    """A text file in UTF-8. Raises InputError for another encoding."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: {error}; expected a JSON document in UTF-8") from error


def parse_document(name: str, text: str) -> Any:
    """A JSON document. Raises InputError naming the file and what is not allowed."""
    try:
        value = parse_value(text)
    except NotJsonError as error:
        raise InputError(f"{name}: expected a JSON document in UTF-8: {error}") from error
    if "\\u" in text and has_surrogate(shown(value) or ""):
        raise InputError(f"{name}: expected {NO_SURROGATES}")
    return value


def text_of(value: Any) -> str:
    """A text as it is, nothing as the empty text, numbers with their digits, anything else as JSON."""
    return shown(value) or ""


def texts_of(values: Any) -> dict[str, str]:
    """The members of an object as texts; empty for anything else."""
    if not isinstance(values, Mapping):
        return {}
    return {str(name): text_of(value) for name, value in values.items()}


def passed_of(value: Any, pass_from: float | None = None) -> bool | None:
    """Whether a value means a pass: a boolean, a word, or a score from 0 to 1; None when it says neither.

    pass_from: where values are numbers on another scale: a pass from this number on, and nothing else is read.
    """
    if isinstance(value, bool):
        return value if pass_from is None else None
    score = score_of(value)
    if pass_from is not None:
        return None if score is None else score >= pass_from
    if score is not None and 0 <= score <= 1:
        return score >= PASS_FROM
    word = str(value).strip().casefold() if value is not None else ""
    if word in PASS_WORDS:
        return True
    return False if word in FAIL_WORDS else None


def state_of(value: Any, pass_from: float | None = None) -> VerdictState:
    """A verdict's state: nothing is an abstention, what cannot be read an error. pass_from: as for `passed_of`."""
    if value is None or value == "":
        return "abstain"
    passed = passed_of(value, pass_from)
    if passed is None:
        return "error"
    return "pass" if passed else "fail"


def score_of(value: Any) -> float | None:
    """A finite number, or a text that is one; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
