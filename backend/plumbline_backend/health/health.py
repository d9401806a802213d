"""What the Data health page shows: the last check, conflicts, class balance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval, Job, LabelClass
from plumbline_backend.health.duplicates import labels_differ
from plumbline_backend.health.look import FeatureLook
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.store import Store

if TYPE_CHECKING:
    from plumbline_backend.project import Project

KIND = "health"


class Issue(NamedTuple):
    """A label that is likely wrong: what was given, what the check suggests and how sure it is, and who found it."""

    item: int
    given: str
    suggested: str
    proba: float
    self_proba: float
    aum: float
    el2n: float
    by: tuple[str, ...]


class Conflict(NamedTuple):
    """An item with two answers: class id by who gave it, in the order in which they came."""

    item: int
    answers: tuple[tuple[str, str], ...]


class Twins(NamedTuple):
    """Near-duplicates, and whether their labels differ."""

    items: tuple[int, ...]
    differ: bool


class Checked(NamedTuple):
    """The last check, without what has been looked at since."""

    job: Job
    issues: list[Issue]
    n_found: int
    n_checked: int
    why_not: str
    twins: list[Twins]
    n_groups: int
    n_compared: int


class Balance(NamedTuple):
    """One class: labels that are trained on, and its share of the pool as the random stream tells it."""

    label_class: LabelClass
    n_labels: int
    share: Interval


class Health:
    """Health of one project's labels."""

    def __init__(self, project: Project, store: Store, jobs: Jobs) -> None:
        self._project = project
        self._store = store
        self._jobs = jobs
        self.features = FeatureLook(project, store, jobs)

    def start(self) -> Job:
        """Check in the background. Labels of the random stream's reserve are not checked against a model: mending just
        those that a model doubts would flatter every model that is measured on them."""
        self._project.loop.answers.refresh()
        labels, classes = self._project.loop.answers.training(self._project.question())
        spec = {
            "pool": str(self._project.folders.pool),
            "items": labels.items.tolist(),
            "targets": labels.targets.tolist(),
            "classes": list(classes),
            "l2": self._project.l2,
            "seed": self._project.seed,
        }
        seen = self._store.ledger.newest_id(self._project.question().id)
        return self._jobs.start(
            KIND,
            self._project.row.id,
            Work("health", spec),
            on_result=lambda *_: None,
            lane=f"health-{self._project.row.id % 2}",
            summary={"ledger_id": seen},
        )

    def running(self) -> Job | None:
        """The check that is under way, if any."""
        found = [j for j in self._jobs.list(self._project.row.id, 50) if j.kind == KIND]
        return found[0] if found and found[0].state in ("queued", "running") else None

    def last(self) -> Checked | None:
        """The newest finished check; what was answered again since then is left out."""
        done = [j for j in self._jobs.list(self._project.row.id, 200) if j.kind == KIND and j.state == "done"]
        if not done:
            return None
        job, result = done[0], done[0].result or {}
        answers, question = self._project.loop.answers, self._project.question()
        answers.refresh()
        since = int(job.spec["ledger_id"])

        def open_(item: int) -> bool:
            return all(answer.id <= since for answer in answers.of(item).values())

        known = {c.id for c in question.classes}
        issues = [
            Issue(
                entry["item"],
                question.resolve(entry["given"]),
                question.resolve(entry["suggested"]),
                entry["proba"],
                entry["self"],
                entry["aum"],
                entry["el2n"],
                tuple(entry["by"]),
            )
            for entry in result["issues"]
            if open_(entry["item"]) and {entry["given"], entry["suggested"]} <= known
        ]
        return Checked(
            job=job,
            issues=[issue for issue in issues if issue.given != issue.suggested],
            n_found=result["n_issues"],
            n_checked=result["n_checked"],
            why_not=result["why_not"],
            twins=self._twins(result["duplicates"]),
            n_groups=result["n_groups"],
            n_compared=result["n_compared"],
        )

    def conflicts(self) -> list[Conflict]:
        """Items that people answer differently, in order of position."""
        answers, question, names = self._project.loop.answers, self._project.question(), self._names()
        answers.refresh()
        found = []
        for item in answers.items_of_several():
            given = sorted(answers.of(item).items(), key=lambda pair: pair[1].id)
            said = [
                (names[judge], question.resolve(a.class_id)) for judge, a in given if a.class_id is not None
            ]
            if len({class_id for _, class_id in said}) > 1:
                found.append(Conflict(item, tuple(said)))
        return found

    def changed_minds(self) -> list[Conflict]:
        """Items to which one person has given different classes, undone answers apart; the newest change first."""
        question, names = self._project.question(), self._names()
        said: dict[tuple[int, int], list[tuple[int, str]]] = {}
        revoked: set[int] = set()
        for entry in self._store.ledger.iter_rows(question.id, include_superseded=True):
            row = entry.judgement
            if row.revokes is not None:
                revoked.add(row.revokes)
            elif row.answer is not None and row.judge_id in names:
                said.setdefault((row.item, row.judge_id), []).append((row.id, question.resolve(row.answer)))
        found: list[tuple[int, Conflict]] = []
        for (item, judge), rows in said.items():
            kept = [(id_, class_id) for id_, class_id in rows if id_ not in revoked]
            if len({class_id for _, class_id in kept}) > 1:
                found.append((kept[-1][0], Conflict(item, tuple((names[judge], c) for _, c in kept))))
        return [conflict for _, conflict in sorted(found, key=lambda pair: -pair[0])]

    def balance(self) -> list[Balance]:
        """Every active class: its training labels, and its share with interval on the random stream."""
        answers, question = self._project.loop.answers, self._project.question()
        answers.refresh()
        labels, classes = answers.training(question)
        counts = dict(zip(classes, np.bincount(labels.targets, minlength=len(classes)).tolist(), strict=True))
        active = tuple(c.id for c in question.active)
        stream = answers.stream(question, active).targets
        return [
            Balance(c, counts.get(c.id, 0), wilson(int((stream == i).sum()), len(stream)))
            for i, c in enumerate(question.active)
        ]

    def _twins(self, groups: list[list[int]]) -> list[Twins]:
        question, answers = self._project.question(), self._project.loop.answers
        twins = []
        for group in groups:
            labels = {i: c for i in group if (c := answers.choice(i, question)) is not None}
            twins.append(Twins(tuple(group), labels_differ(group, labels)))
        return sorted(twins, key=lambda each: not each.differ)

    def _names(self) -> Mapping[int, str]:
        judges = self._store.judges.for_project(self._project.row.id)
        return {judge.id: judge.name for judge in judges if judge.kind == "person"}
