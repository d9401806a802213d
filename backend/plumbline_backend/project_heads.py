"""A project's choice of head: what there is, what each would take, how they compare, and which is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend import report
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval, Job, ModelVersion
from plumbline_backend.heads.base import Cost
from plumbline_backend.heads.making import make_head
from plumbline_backend.jobs.executors import Work
from plumbline_backend.model_selection import MAX_ITEMS, Comparison, from_json
from plumbline_backend.registry import HEADS

if TYPE_CHECKING:
    from plumbline_backend.project import Project


KIND = "compare_heads"


@dataclass(frozen=True)
class HeadOption:
    """One head of the registry, as this project could train it.

    cost: estimated for today's labels; refused: why it cannot be trained here, empty when it can.
    """

    name: str
    explanation: str
    cost: Cost
    refused: str


@dataclass(frozen=True)
class OldAndNew:
    """What adding classes did: the version before, the one after, and their accuracy on today's stream answers.

    before, after: on items of the classes that the version before knew; new: on the others, after.
    """

    earlier: ModelVersion
    later: ModelVersion
    before: Interval
    after: Interval
    new: Interval


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

    def compare(self, names: Sequence[str]) -> Job:
        """Try these heads on the training labels by cross-validation, in a worker; `comparison` has the result."""
        project = self._project
        training, classes = project.loop.answers.training(project.question())
        spec = {
            "pool": str(project.folders.pool),
            "train_items": training.items.tolist(),
            "train_targets": training.targets.tolist(),
            "n_classes": len(classes),
            "heads": [name for name in names if HEADS.get(name)],
            "settings": project.settings().get("head_settings", {}),
            "known": project.loop.known_to_head(),
            "seed": project.seed,
        }
        return project.start_job(KIND, Work(KIND, spec))

    def seconds(self, names: Sequence[str]) -> float:
        """How long `compare` would take, about: five trainings of each head."""
        training, classes = self._project.loop.answers.training(self._project.question())
        n, d = min(MAX_ITEMS, len(training.items)), self._project.pool.features.d
        return 5 * sum(HEADS.get(name).estimate(n, d, max(2, len(classes))).seconds for name in names)

    def comparison(self) -> Comparison | None:
        """What the last finished comparison found; None before the first."""
        for job in self._project.jobs(KIND):
            if job.state == "done" and job.result is not None:
                return from_json(job.result)
        return None

    def old_and_new(self, model: ModelVersion) -> OldAndNew | None:
        """This version beside the last one that knew fewer classes; None when there is none, or no stream answers."""
        known = set(model.metrics["classes"])
        fewer = [
            m
            for m in self._project.models()
            if m.version < model.version and set(m.metrics["classes"]) < known
        ]
        if not fewer:
            return None
        before, after = (
            report.right_on_stream(self._project, fewer[-1]),
            report.right_on_stream(self._project, model),
        )
        old = np.isin(after.class_ids, fewer[-1].metrics["classes"])
        if not len(after.class_ids):
            return None

        def share(right: NDArray[np.bool_], which: NDArray[np.bool_]) -> Interval:
            return wilson(float(right[which].sum()), int(which.sum()))

        return OldAndNew(
            fewer[-1], model, share(before.right, old), share(after.right, old), share(after.right, ~old)
        )


def _refused(kind: Any, shape: tuple[int, int, int], known: Mapping[str, Any]) -> str:
    missing = sorted(need for need in kind.needs if need != "unlabelled" and known.get(need) is None)
    if missing:
        return f"needs {', '.join(missing)}, which this project does not have"
    limit = getattr(kind, "MAX_CLASSES", None)
    if limit is not None and shape[2] > limit:
        return f"is made for at most {limit:,} classes; there are {shape[2]:,}"
    return ""
