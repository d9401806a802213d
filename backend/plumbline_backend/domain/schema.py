"""Edits of a choice question's classes. Each returns the edited question and the line for its history.

Judgements name classes by id, so no edit touches the ledger: a rename changes a name, a merge points one class
at another, and old answers are read through `Question.resolve`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isfinite
from typing import Literal, NamedTuple

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.types import LabelClass, Question

PALETTE = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
    "#8c6bb1", "#7f7f7f", "#a6761d", "#1b9e77", "#e7298a", "#66a61e",
)  # fmt: skip
"""Okabe and Ito's colours for colour-blind readers first (without black and yellow), then muted ones."""

RESERVED_KEYS = {" ": "skip", "u": "unsure", "f": "flag", "n": "note", "z": "undo", "h": "guidelines",
                 "m": "the model's opinion", "?": "all keys"}  # fmt: skip
MAX_CLASSES = 1000
MAX_NAME_LENGTH = 200
MAX_TEXT_LENGTH = 100_000


class Edited(NamedTuple):
    """A question after an edit, and what the edit was, in words."""

    question: Question
    change: str


def first_classes(names: Iterable[str]) -> tuple[LabelClass, ...]:
    """Classes c1, c2, ... for names found in data, kept exactly, even where two differ only by case."""
    found = tuple(names)
    if len(found) > MAX_CLASSES:
        raise InputError(
            f"label column: found {len(found)} different values; expected at most {MAX_CLASSES} classes"
        )
    return tuple(
        LabelClass(id=f"c{i + 1}", name=name, color=PALETTE[i % len(PALETTE)]) for i, name in enumerate(found)
    )


def natural_order(names: Iterable[str]) -> list[str]:
    """Numbers by value before other texts by spelling, so that 10 comes after 9."""

    def place(name: str) -> tuple[bool, float, str]:
        try:
            return (False, float(name), name) if isfinite(float(name)) else (True, 0.0, name)
        except ValueError:
            return (True, 0.0, name)

    return sorted(names, key=place)


def add_class(
    question: Question, name: str, color: str | None = None, key: str | None = None, description: str = ""
) -> Edited:
    """A new class at the end. Raises InputError on an empty or taken name, a bad colour or a taken key."""
    if len(question.classes) >= MAX_CLASSES:
        raise InputError(f"classes: there are {MAX_CLASSES} already; expected at most {MAX_CLASSES}")
    number = 1 + max((int(c.id[1:]) for c in question.classes if c.id[1:].isdigit()), default=0)
    added = LabelClass(
        id=f"c{number}",
        name=_checked_name(question, name, own_id=None),
        color=_checked_color(color or PALETTE[(number - 1) % len(PALETTE)]),
        key=_checked_key(question, key, own_id=None),
        description=description,
    )
    return Edited(replace(question, classes=(*question.classes, added)), f"added class {added.name!r}")


def edit_class(
    question: Question,
    class_id: str,
    *,
    name: str | None = None,
    color: str | None = None,
    key: str | None = None,
    description: str | None = None,
    parent: str | None = None,
) -> Edited:
    """Change what is given and keep the rest; `key=""` removes the key. Same errors as `add_class`.

    parent: the class that it is part of in the tree of a hierarchical question; "" makes it a root. Raises
    InputError for a class below itself.
    """
    old = find_class(question, class_id)
    new = replace(
        old,
        name=old.name if name is None else _checked_name(question, name, own_id=class_id),
        color=old.color if color is None else _checked_color(color),
        key=old.key if key is None else _checked_key(question, key or None, own_id=class_id),
        description=old.description if description is None else description,
        parent=old.parent if parent is None else _checked_parent(question, parent or None, old),
    )
    changed = [
        f"{part} {getattr(old, part)!r} to {getattr(new, part)!r}"
        for part in ("name", "color", "key", "description", "parent")
        if getattr(old, part) != getattr(new, part)
    ]
    classes = tuple(new if c.id == class_id else c for c in question.classes)
    return Edited(
        replace(question, classes=classes), f"class {old.name!r}: {', '.join(changed) or 'unchanged'}"
    )


def merge_class(question: Question, source_id: str, target_id: str) -> Edited:
    """Read every answer `source` as `target` from now on. Raises ConflictError for a class into itself."""
    source, target = find_class(question, source_id), find_class(question, target_id)
    if source_id == target_id:
        raise ConflictError(f"class {source.name!r} cannot be merged into itself; expected another class")
    for chosen in (source, target):
        if chosen.merged_into is not None:
            raise ConflictError(f"class {chosen.name!r} was merged already; expected an active class")
    merged = replace(source, merged_into=target_id, key=None)
    classes = tuple(merged if c.id == source_id else c for c in question.classes)
    return Edited(replace(question, classes=classes), f"merged class {source.name!r} into {target.name!r}")


def reorder_classes(question: Question, class_ids: Sequence[str]) -> Edited:
    """Show the active classes in this order. Raises InputError unless `class_ids` holds each exactly once."""
    active = [c.id for c in question.active]
    if sorted(active) != sorted(class_ids):
        raise InputError(f"class order: found {list(class_ids)}; expected each of {active} exactly once")
    by_id = {c.id: c for c in question.classes}
    merged = tuple(c for c in question.classes if c.merged_into is not None)
    ordered = tuple(by_id[class_id] for class_id in class_ids)
    names = ", ".join(c.name for c in ordered)
    return Edited(replace(question, classes=(*ordered, *merged)), f"reordered classes: {names}")


def set_text(question: Question, part: Literal["text", "guidelines"], text: str) -> Edited:
    """Replace the question's wording (not empty) or its guidelines. Raises InputError when too long or empty."""
    if len(text) > MAX_TEXT_LENGTH or (part == "text" and not text.strip()):
        low = 1 if part == "text" else 0
        raise InputError(f"{part}: found {len(text)} characters; expected {low} to {MAX_TEXT_LENGTH}")
    changed = replace(question, text=text.strip()) if part == "text" else replace(question, guidelines=text)
    return Edited(changed, f"changed the {'wording' if part == 'text' else 'guidelines'}")


def effective_keys(question: Question) -> dict[str, str]:
    """The key of each active class: its own, else its name where that is one free digit (so that "7" is answered
    by 7), else the first free one of 1 to 9, 0 and the letters, in display order.

    Classes beyond the free keys have none and are reached through the list.
    """
    keys = {c.id: c.key for c in question.active if c.key is not None}
    taken = {key.lower() for key in keys.values()} | set(RESERVED_KEYS)
    free = [key for key in "1234567890abcdefghijklmnopqrstuvwxyz" if key not in taken]
    for c in question.active:
        if c.id not in keys and c.name in free and c.name.isdigit():
            keys[c.id] = c.name
            free.remove(c.name)
    for c in question.active:
        if c.id not in keys and free:
            keys[c.id] = free.pop(0)
    return {c.id: keys[c.id] for c in question.active if c.id in keys}


def find_class(question: Question, class_id: str) -> LabelClass:
    """The class with this id. Raises NotFoundError with the nearest id."""
    by_id = {c.id: c for c in question.classes}
    if class_id not in by_id:
        raise NotFoundError(f"class {class_id!r} is not in the schema; {did_you_mean(class_id, by_id)}")
    return by_id[class_id]


def answerable(question: Question, class_id: str) -> LabelClass:
    """The class, if an answer may name it today. Raises InputError when it is unknown or merged away."""
    try:
        found = find_class(question, class_id)
    except NotFoundError as error:
        raise InputError(f"answer: {error}") from error
    if found.merged_into is not None:
        into = find_class(question, question.resolve(class_id)).name
        raise InputError(f"answer: class {found.name!r} was merged; expected {into!r} instead")
    return found


def _checked_name(question: Question, name: str, own_id: str | None) -> str:
    clean = name.strip()
    if not clean or len(clean) > MAX_NAME_LENGTH or not clean.isprintable():
        raise InputError(f"class name: found {name!r}; expected 1 to {MAX_NAME_LENGTH} printable characters")
    for other in question.active:
        if other.id != own_id and other.name.strip().casefold() == clean.casefold():
            raise InputError(f"class name: {clean!r} is taken by {other.name!r}; expected a name of its own")
    return clean


def _checked_parent(question: Question, parent: str | None, own: LabelClass) -> str | None:
    if parent is None:
        return None
    above, by_id = find_class(question, parent), {c.id: c for c in question.classes}
    if above.merged_into is not None:
        raise InputError(f"parent: class {above.name!r} was merged; expected an active class")
    at: LabelClass | None = above
    while at is not None:
        if at.id == own.id:
            raise InputError(
                f"parent: {above.name!r} is {own.name!r} or lies below it; expected another branch"
            )
        at = None if at.parent is None else by_id[question.resolve(at.parent)]
    return parent


def _checked_color(color: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise InputError(
            f"class color: found {color!r}; expected # and six hexadecimal digits, such as '#0072b2'"
        )
    return color.lower()


def _checked_key(question: Question, key: str | None, own_id: str | None) -> str | None:
    if key is None:
        return None
    if len(key) != 1 or not key.isprintable():
        raise InputError(f"class key: found {key!r}; expected a single character")
    if key.lower() in RESERVED_KEYS:
        raise InputError(f"class key: {key!r} means {RESERVED_KEYS[key.lower()]!r}; expected another key")
    for other in question.active:
        if other.id != own_id and other.key == key:
            raise InputError(f"class key: {key!r} is taken by class {other.name!r}; expected another key")
    return key
