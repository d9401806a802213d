"""A project's choice of head: what there is, what each would take, and which is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plumbline_backend.heads.base import Cost
from plumbline_backend.heads.making import make_head
from plumbline_backend.registry import HEADS

if TYPE_CHECKING:
    from plumbline_backend.project import Project


@dataclass(frozen=True)
class HeadOption:
    """One head of the registry, as this project could train it.

    cost: estimated for today's labels; refused: why it cannot be trained here, empty when it can.
    """

    name: str
    explanation: str
    cost: Cost
    refused: str


class ProjectHeads:
    """Which head a project trains. Safe to use from several threads."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @property
    def chosen(self) -> str:
        """Name of the head in force."""
        return self._project.loop.head

    def options(self) -> list[HeadOption]:
        """Every head, in the registry's order."""
        question = self._project.question()
        training, classes = self._project.loop.answers.training(question)
        shape = (len(training.items), self._project.pool.features.d, max(2, len(classes)))
        known = self._project.loop.known_to_head()
        found = []
        for name in HEADS.names():
            kind = HEADS.get(name)
            found.append(
                HeadOption(name, kind.explanation, kind.estimate(*shape), _refused(kind, shape, known))
            )
        return found

    def choose(self, name: str, settings: Mapping[str, Any] | None = None) -> None:
        """Train this head from the next training on, which is due at once.

        Raises InputError on a head or setting that does not exist, or that the project has no data for.
        """
        loop = self._project.loop
        make_head(name, {**loop.known_to_head(), "unlabelled": ()}, settings)
        kept = self._project.settings().get("head_settings", {})
        self._project.set_settings(head=name, head_settings={**kept, name: dict(settings or {})})
        loop.fit_soon()


def _refused(kind: Any, shape: tuple[int, int, int], known: Mapping[str, Any]) -> str:
    missing = sorted(need for need in kind.needs if need != "unlabelled" and known.get(need) is None)
    if missing:
        return f"needs {', '.join(missing)}, which this project does not have"
    limit = getattr(kind, "MAX_CLASSES", None)
    if limit is not None and shape[2] > limit:
        return f"is made for at most {limit:,} classes; there are {shape[2]:,}"
    return ""
