"""The settings of a head that a person may change: listed with their defaults, read from text, checked before use."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from plumbline_backend.domain.errors import InputError, did_you_mean, shorten
from plumbline_backend.heads.making import head_class
from plumbline_backend.heads.tuning_words import TOLD, Told

BY_RECIPE: Mapping[str, str] = {
    "adjust": "class_prior",
    "label_smoothing": "label_smoothing",
    "nkd": "soft_loss",
    "dual": "soft_loss",
    "domains": "domain",
}
"""Settings of heads that are options of a training, and what they are called there."""
BY_PROJECT = frozenset({"seed", "class_texts", "unlabelled"})
"""What the project hands over itself."""
MOST_LAYERS = 3
DEFAULT_WORD = "default"

Form = Literal["number", "whole", "choice", "layers"]


@dataclass(frozen=True)
class HeadSetting:
    """One setting: its name, how it is told, what it is where nobody sets it, and the form of its value."""

    name: str
    told: Told
    default: Any
    form: Form

    @property
    def default_words(self) -> str:
        """The default as people read it."""
        if self.told.default:
            return self.told.default
        if self.default is None:
            return "by the spread of the features"
        return in_words(self.default) or "none"

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        if self.told.choices is not None:
            return "one of " + ", ".join(map(str, self.told.choices))
        span = f"from {in_words(self.told.low)} to {in_words(self.told.high)}"
        if self.form == "layers":
            least = "one" if self.default else "none"
            return f"{least} to {MOST_LAYERS} layers, each of units {span}"
        return f"a {'whole number' if self.form == 'whole' else 'number'} {span}"

    def problem(self, value: Any) -> str:
        """Why the value cannot be used; empty when it can."""
        if self.told.choices is not None:
            fits = not isinstance(value, bool) and value in self.told.choices
        elif self.form == "layers":
            fits = (
                isinstance(value, list | tuple)
                and (0 if not self.default else 1) <= len(value) <= MOST_LAYERS
            )
            fits = fits and all(self._within(each, whole=True) for each in value)
        else:
            fits = self._within(value, whole=self.form == "whole")
        return (
            "" if fits else f"head setting {self.name!r} is {shorten(repr(value))}; expected {self.expected}"
        )

    def read(self, text: str) -> Any:
        """The value that a text stands for, None for the default; the text itself where it can be none."""
        text = text.strip()
        if text in ("", DEFAULT_WORD):
            return None
        try:
            if self.form == "layers":
                return [] if text == "none" else [int(part) for part in text.split(",")]
            if self.form == "choice":
                return int(text) if isinstance(self.default, int) else text
            return int(text) if self.form == "whole" else float(text)
        except ValueError:
            return text

    def _within(self, value: Any, whole: bool) -> bool:
        kinds = int if whole else int | float
        low, high = self.told.low, self.told.high
        return (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and low is not None
            and high is not None
            and low <= value <= high
        )


@cache
def tunable(head: str) -> tuple[HeadSetting, ...]:
    """The head's settings in the order of its constructor. Raises InputError with the nearest name of a head."""
    parameters = inspect.signature(head_class(head).__init__).parameters
    found = []
    for name, parameter in parameters.items():
        if name in {"self", *BY_RECIPE, *BY_PROJECT} or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            continue
        told = TOLD[f"{head}.{name}"] if f"{head}.{name}" in TOLD else TOLD[name]
        default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        found.append(HeadSetting(name, told, default, _form(told, default)))
    return tuple(found)


def checked(head: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are set; None stands for the default. Raises one InputError for all mistakes."""
    known = {each.name: each for each in tunable(head)}
    wrong, kept = [], {}
    for name, value in given.items():
        if name in BY_RECIPE:
            wrong.append(f"head setting {name!r} is an option of the training; set {BY_RECIPE[name]!r} there")
        elif name not in known:
            wrong.append(f"head {head!r} has no setting {name!r}; {_others(name, known)}")
        elif value is not None:
            problem = known[name].problem(value)
            wrong += [problem] if problem else []
            kept[name] = list(value) if isinstance(value, tuple) else value
    if wrong:
        raise InputError("; ".join(wrong))
    return kept


def read(head: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Settings as they were typed; None where the default was asked for. Raises one InputError for all mistakes."""
    known = {each.name: each for each in tunable(head)}
    values = {name: known[name].read(text) if name in known else text for name, text in texts.items()}
    checked(head, values)
    return values


def in_words(value: Any) -> str:
    """A value as it is typed; empty for None."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _others(name: str, known: Mapping[str, HeadSetting]) -> str:
    return did_you_mean(name, known) if known else "it has none"


def _form(told: Told, default: Any) -> Form:
    if told.choices is not None:
        return "choice"
    if isinstance(default, list):
        return "layers"
    return "whole" if isinstance(default, int) else "number"
