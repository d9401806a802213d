"""Heads by name: made with what a project knows, and read back from a model's folder."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.ports import Head
from plumbline_backend.registry import HEADS, KIND_HEADS

DEFAULT = "linear_softmax"


def make_head(name: str, known: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> Head:
    """A head that has not learned yet.

    known: what the project can give (l2, seed, class_texts, unlabelled); a head takes what it has a use for. chosen:
    settings by name. Raises InputError on an unknown head or setting, and when what the head needs is not known.
    """
    kind = head_class(name)
    takes = settings_of(name)
    unknown = [each for each in chosen or {} if each not in takes]
    if unknown:
        raise InputError(f"head {name!r} has no setting {unknown[0]!r}; {did_you_mean(unknown[0], takes)}")
    missing = sorted(need for need in kind.needs if known.get(need) is None)
    if missing:
        raise InputError(f"head {name!r} needs {', '.join(missing)}, which this project does not have")
    given = {each: value for each, value in known.items() if each in takes and value is not None}
    made: Head = kind(**{**given, **(chosen or {})})
    return made


def head_class(name: str) -> Any:
    """The class of a head, of a choice or of another kind of question. Raises InputError with the nearest name."""
    return (KIND_HEADS if name in KIND_HEADS.names() else HEADS).get(name)


def settings_of(name: str) -> tuple[str, ...]:
    """Names of the head's settings. Raises InputError with the nearest valid name when there is no such head."""
    return tuple(each for each in inspect.signature(head_class(name).__init__).parameters if each != "self")


def load_head(folder: Path) -> Head:
    """The fitted head in a model's folder, whatever its kind."""
    kind = json.loads((folder / "head.json").read_text(encoding="utf-8"))["head"]
    loaded: Head = head_class(kind).load(folder)
    return loaded
