"""What the Review page shows and does: proposals by class, labels to look at again, candidates for new classes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from plumbline_backend.batches import Step
from plumbline_backend.domain import schema
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval, Job, Judge, LabelClass, ModelVersion
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.pace.control import pooled

if TYPE_CHECKING:
    from plumbline_backend.pace.pacing import Round
    from plumbline_backend.project import Project

AGAIN_AFTER = 3
"""Versions in a row that must contradict a person's label before it comes back."""


class Proposal(NamedTuple):
    """An item that the model proposes: its probability, weight, and the nearest human-labelled item."""

    item: int
    proba: float
    weight: float
    nearest: int


@dataclass(frozen=True)
class Group:
    """The proposals of one class, the surest first."""

    label_class: LabelClass
    proposals: tuple[Proposal, ...]


class Again(NamedTuple):
    """A person's label that the newest models keep contradicting, or a proposal that was refused without an answer."""

    item: int
    given: str | None
    says: str | None
    streak: int


class RoundPrecision(NamedTuple):
    """One version's proposals and how often they were right in blind checks: random stream and audits."""

    version: int
    n_proposed: int
    precision: Interval


class Accepted(NamedTuple):
    """What an accept did; `step` undoes all of it."""

    step: Step
    n_refused: int
    n_passed: int


class Review:
    """Reviewing of one project."""

    def __init__(self, project: Project, jobs: Jobs) -> None:
        self._project = project
        self._jobs = jobs

    def model(self) -> ModelVersion | None:
        """The model whose proposals are shown."""
        return self._project.loop.newest_model()

    def groups(self, model: ModelVersion) -> list[Group]:
        """The model's proposals that nobody has accepted, refused or answered, by class in schema order."""
        found = self._round(model)
        if found is None:
            return []
        question, answers = self._project.question(), self._project.loop.answers
        answers.refresh()
        refused = set(answers.items_asked_as("review", "skipped").tolist())
        live = self._project.loop.pacing.pseudo.live()
        by_class: dict[str, list[Proposal]] = {}
        saved = found.saved
        for item, target, proba, weight, nearest in zip(
            saved.items.tolist(),
            saved.target.tolist(),
            saved.proba.tolist(),
            saved.weight.tolist(),
            saved.nearest.tolist(),
            strict=True,
        ):
            accepted = item in live and live[item].accepted
            if accepted or item in refused or answers.closed(item):
                continue
            class_id = question.resolve(found.classes[target])
            by_class.setdefault(class_id, []).append(Proposal(item, proba, weight, nearest))
        return [Group(c, tuple(by_class[c.id])) for c in question.active if c.id in by_class]

    def accept(
        self,
        judge: Judge,
        model: ModelVersion,
        class_id: str,
        accepted: Mapping[int, float],
        refused: Sequence[int],
    ) -> Accepted:
        """Accept {item: probability} as the model's judgements and refuse others, in one step.

        A refused item gets the person's judgement "skipped" and is not proposed again until somebody answers it. Items
        that were answered meanwhile, or belong to the random stream's reserve, are passed over. Raises InputError for
        a class that cannot be answered, items outside the pool, or one item in both lists.
        """
        question, answers = self._project.question(), self._project.loop.answers
        label_class = schema.answerable(question, class_id)
        n_items = self._project.row.n_items
        both = sorted(set(accepted) & set(refused))
        wrong = [item for item in [*accepted, *refused] if not 0 <= item < n_items]
        if both or wrong:
            raise InputError(
                f"items: found {(both or wrong)[:5]}; expected items of the pool, each accepted or refused"
            )
        answers.refresh()
        free = {
            i: (class_id, p) for i, p in accepted.items() if not (answers.closed(i) or answers.in_reserve(i))
        }
        batch = f"review:{uuid.uuid4().hex}"
        n = self._project.loop.pacing.pseudo.accept(question, model.judge_id, batch, free)
        note = f"not {label_class.name} (proposal of model version {model.version})"
        n_refused = self._project.desk.batches.write(
            [i for i in refused if not answers.closed(i)],
            judge,
            batch,
            "skipped",
            note=note,
            stratum="review",
        )
        self._project.loop.fit_soon()
        words = f"{n:,} accepted as {label_class.name!r}, {n_refused:,} refused"
        return Accepted(Step(batch, n + n_refused, 0, words), n_refused, len(accepted) - len(free))

    def again(self) -> list[Again]:
        """Labels that come back for another look, the most stubborn contradiction first."""
        model = self.model()
        found = None if model is None else self._round(model)
        question, answers = self._project.question(), self._project.loop.answers
        answers.refresh()
        rows: list[Again] = []
        if found is not None:
            saved = found.saved
            for item, target, says, streak in zip(
                saved.contradicted.tolist(),
                saved.contradicted_target.tolist(),
                saved.contradicted_as.tolist(),
                saved.streak.tolist(),
                strict=True,
            ):
                given = question.resolve(found.classes[target])
                if streak >= AGAIN_AFTER and answers.choice(item, question) == given:
                    rows.append(Again(item, given, question.resolve(found.classes[says]), streak))
        refused = answers.items_asked_as("review", "skipped").tolist()
        rows += [Again(item, None, None, 0) for item in refused if not answers.closed(item)]
        return sorted(rows, key=lambda row: -row.streak)

    def precision(self) -> list[RoundPrecision]:
        """For every model version, oldest first, how right its proposals were in both kinds of blind checks.

        Random-stream items that it would have proposed, and its proposals that were asked blindly, are each a uniform
        draw from what it proposes.
        """
        self._project.loop.answers.refresh()
        rows, audited = [], self._project.loop.pacing.checked_of()
        for model in self._project.models():
            summary = model.metrics.get("pace")
            if summary is not None:
                pairs = [*summary["stream"].values(), audited.get(model.id, (0, 0))]
                interval = wilson(sum(right for _, right in pairs), sum(n for n, _ in pairs))
                rows.append(RoundPrecision(model.version, summary["n_by_status"]["proposed"], interval))
        return rows

    def audited(self) -> Interval:
        """The precision of all blind checks together: audit asks since the switch-on, and the newest model's stream."""
        model = self.model()
        return wilson(0, 0) if model is None else pooled(self._project.loop.pacing.audits(model))

    def unclear(self) -> list[int]:
        """Items inside no class's pace that nobody has answered, the least certain first."""
        model = self.model()
        found = None if model is None else self._round(model)
        if found is None:
            return []
        self._project.loop.answers.refresh()
        return [i for i in found.saved.unclear.tolist() if not self._project.loop.answers.closed(i)]

    def start_clusters(self) -> Job | None:
        """Cluster the unclear items in the background; None when there are none. The result is in the job's row."""
        items = self.unclear()
        if not items:
            return None
        labels, classes = self._project.loop.answers.training(self._project.question())
        spec: dict[str, Any] = {
            "pool": str(self._project.folders.pool),
            "items": items,
            "train_items": labels.items.tolist(),
            "train_targets": labels.targets.tolist(),
            "n_classes": len(classes),
            "seed": self._project.seed,
        }
        return self._jobs.start(
            "novel",
            self._project.row.id,
            Work("novel", spec),
            on_result=lambda *_: None,
            lane=f"novel-{self._project.row.id % 2}",
        )

    def make_class(self, name: str, items: Sequence[int], judge: Judge, by: str) -> Step:
        """Add a class of this name and give it to the items, in one action. The step's undo takes the answers back."""
        before = {c.id for c in self._project.question().active}
        question = self._project.add_class(name, by=by)
        (added,) = (c for c in question.active if c.id not in before)
        step = self._project.desk.batches.label(items, judge, added.id)
        return step._replace(words=f"class {added.name!r} made of {step.n:,} items")

    def _round(self, model: ModelVersion) -> Round | None:
        return self._project.loop.pacing.round_of(model)
