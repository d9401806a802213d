"""From database rows to the domain's values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from plumbline_backend.domain.types import Judgement, LabelClass
from plumbline_backend.store.tables import judgements

JUDGEMENT = tuple(judgements.c[field.name] for field in fields(Judgement))
"""The columns of a judgement in the order of its fields: select these for `judgement`."""
_PROBA = [field.name for field in fields(Judgement)].index("proba")


def judgement(row: Sequence[Any]) -> Judgement:
    """A judgement from a row that begins with the `JUDGEMENT` columns."""
    values = list(row[: len(JUDGEMENT)])
    if values[_PROBA] is not None:
        values[_PROBA] = tuple(values[_PROBA])
    return Judgement(*values)


def label_classes(stored: list[dict[str, Any]]) -> tuple[LabelClass, ...]:
    """The classes of a question version."""
    return tuple(LabelClass(**entry) for entry in stored)
