"""Errors that say what was wrong, where, and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class PlumblineError(Exception):
    """Base of every error that is meant to be read by a person."""


class InputError(PlumblineError, ValueError):
    """Something given from outside is refused. The message names field, value and expectation."""


class NotFoundError(PlumblineError, LookupError):
    """A project, item, class, model or job that does not exist."""


class ConflictError(PlumblineError):
    """The request was well formed but does not fit the present state (already undone, taken name, ...)."""


class JobFailedError(PlumblineError):
    """Background work ended without a result; the message carries the reason."""


class JobRefusedError(JobFailedError, InputError):
    """Background work that was refused for what it was given; the message names it as an InputError's does."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input. `row` counts data rows from 1; None where it does not apply."""

    file: str
    expected: str
    row: int | None = None
    column: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        where = [self.file]
        if self.row is not None:
            where.append(f"row {self.row}")
        if self.column is not None:
            where.append(f"column {self.column!r}")
        found = "" if self.value is None else f": found {shorten(self.value)!r}"
        return f"{', '.join(where)}{found}; expected {self.expected}"


class ImportRefusedError(InputError):
    """A file that cannot be imported as it is; `problems` lists what was found, all of it up to a cap."""

    def __init__(self, problems: Sequence[Problem], n_more: int = 0) -> None:
        self.problems = tuple(problems)
        self.n_more = n_more
        lines = [str(problem) for problem in self.problems]
        if n_more:
            lines.append(f"... and {n_more} more of the same kinds")
        super().__init__("\n".join(lines))


def shorten(text: str, limit: int = 80) -> str:
    """The text, cut to `limit` characters with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A sentence that lists the valid names and puts the nearest first, for use at a message's end."""
    names = sorted(valid)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}Valid: {', '.join(names) or 'none'}"
