"""The tree of a hierarchical question: every class may have a parent; an answer may be any class of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.schema import first_classes, natural_order
from plumbline_backend.domain.types import LabelClass, Question

PATH = "/"
"""Between the names of a path in a label column, the root first."""


class ClassTree:
    """The active classes of a question as a tree. A class below a merged one hangs below what that was merged into."""

    def __init__(self, question: Question) -> None:
        self.classes = {c.id: c for c in question.active}
        self.parent: dict[str, str | None] = {}
        for c in question.active:
            above = None if c.parent is None else question.resolve(c.parent)
            self.parent[c.id] = None if above == c.id else above
        inner = {p for p in self.parent.values() if p is not None}
        self.leaves = tuple(c.id for c in question.active if c.id not in inner)

    def path(self, class_id: str) -> tuple[str, ...]:
        """From the root to the class."""
        found, at = [class_id], self.parent[class_id]
        while at is not None:
            found.append(at)
            at = self.parent[at]
        return tuple(reversed(found))

    def below(self, class_id: str) -> tuple[str, ...]:
        """The leaves that the class stands for; itself where it is one."""
        return tuple(leaf for leaf in self.leaves if class_id in self.path(leaf))

    def name(self, class_id: str) -> str:
        """The names from the root to the class."""
        return f" {PATH} ".join(self.classes[each].name for each in self.path(class_id))


@lru_cache(maxsize=64)
def tree_of(question: Question) -> ClassTree:
    """The tree of a question version."""
    return ClassTree(question)


def classes_of_paths(paths: Iterable[str]) -> tuple[LabelClass, ...]:
    """The classes that paths such as "animal/dog" name, each once, parents before their children."""
    found = {prefix for path in paths for prefix in _prefixes(path)}
    order = natural_order(found)
    made = first_classes([path.rsplit(PATH, 1)[-1] for path in order])
    ids = {path: c.id for path, c in zip(order, made, strict=True)}
    return tuple(
        replace(c, parent=ids[path.rsplit(PATH, 1)[0]] if PATH in path else None)
        for path, c in zip(order, made, strict=True)
    )


def class_at(question: Question, path: str) -> str:
    """The id of the class at a path. Raises InputError when there is none."""
    wanted = _parts(path)
    tree = tree_of(question)
    for class_id in tree.classes:
        if [tree.classes[each].name for each in tree.path(class_id)] == wanted:
            return class_id
    raise InputError(f"label: the tree has no class {path!r}")


def _parts(path: str) -> list[str]:
    return [part for raw in path.split(PATH) if (part := raw.strip())]


def _prefixes(path: str) -> list[str]:
    parts = _parts(path)
    return [PATH.join(parts[: i + 1]) for i in range(len(parts))]
