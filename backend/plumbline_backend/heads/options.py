"""An option of a head as the Model page offers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Option(NamedTuple):
    """A setting of a head: its name, how it is called, words to values, the default, and what it does."""

    name: str
    title: str
    values: Mapping[str, Any]
    default: Any
    meaning: str
