"""Features that a person chose in place of the usual ones: what can be chosen, checked before a file is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.types import Column
from plumbline_backend.pool.features import FeaturePart
from plumbline_backend.pool.transforms.embedding import DEFAULT_MODEL, found_model
from plumbline_backend.registry import TRANSFORMS

ROLES_OF = {"numeric": ("numeric", "features"), "embedding": ("text",)}
"""Roles whose columns a transform reads; the others read those of their own name."""


def embedded(column: str, model: str = DEFAULT_MODEL) -> FeaturePart:
    """A text column as sentence embeddings of the model: a folder, or a name on the hub."""
    return FeaturePart("embedding", (column,), {"model": model})


def checked_parts(parts: Sequence[FeaturePart], columns: Sequence[Column]) -> tuple[FeaturePart, ...]:
    """The parts as they are to be stored, with models found. Raises InputError that lists every mistake."""
    roles = {column.name: column.role for column in columns}
    named = [name for part in parts for name in part.columns]
    wrong = [
        f"features of {name!r} are chosen twice; expected once"
        for name in dict.fromkeys(named)
        if named.count(name) > 1
    ]
    checked = []
    for part in parts:
        mistakes = _mistakes(part, roles)
        wrong += mistakes
        if not mistakes:
            checked.append(_with_model(part, wrong))
    if wrong:
        raise InputError("\n".join(wrong))
    return tuple(checked)


def _mistakes(part: FeaturePart, roles: Mapping[str, str]) -> list[str]:
    if part.transform not in TRANSFORMS.names():
        return [
            f"transform {part.transform!r} does not exist; {did_you_mean(part.transform, TRANSFORMS.names())}"
        ]
    wrong = [] if part.columns else [f"{part.transform} features of no column; expected at least one"]
    fitting = ROLES_OF.get(part.transform, (part.transform,))
    for name in part.columns:
        if name not in roles:
            wrong.append(f"features: column {name!r} does not exist; {did_you_mean(name, roles)}")
        elif roles[name] not in fitting:
            wrong.append(
                f"features: column {name!r} has the role {roles[name]}; expected {' or '.join(fitting)} "
                f"for {part.transform} features"
            )
    known = list(signature(TRANSFORMS.get(part.transform)).parameters)
    wrong += [
        f"{part.transform} features have no option {name!r}; {did_you_mean(name, known)}"
        for name in part.options
        if name not in known
    ]
    return wrong


def _with_model(part: FeaturePart, wrong: list[str]) -> FeaturePart:
    if part.transform != "embedding":
        return part
    try:
        model = found_model(str(part.options.get("model", DEFAULT_MODEL)))
    except InputError as error:
        wrong.append(f"column {part.columns[0]!r}: {error}")
        return part
    return replace(part, options={**part.options, "model": model})
