"""Items of no class: which score a project uses, from where on an item is "none of these", and how good that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import ConflictError, InputError, did_you_mean
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import Job, ModelVersion, Positions
from plumbline_backend.heads.making import load_head
from plumbline_backend.jobs.executors import Report
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.novelty.base import OutOfScope
from plumbline_backend.novelty.open_set import (
    KEPT,
    OpenSetReport,
    OpenSetRule,
    evaluate_open_set,
    open_set_rule,
)
from plumbline_backend.registry import OUT_OF_SCOPE

if TYPE_CHECKING:
    from plumbline_backend.project import Project

DEFAULT = "relative_mahalanobis"
COMPARED = OUT_OF_SCOPE.names()
SERVED = tuple(name for name in COMPARED if name != "abet")
"""AbeT trains a head of its own for ten seconds and more: it is compared, but not asked while people wait."""
MOST_TRAINING = 20_000
KIND = "scope"
SAMPLED = 10_000
"""Pool items, drawn at random, whose scores tell how many would be refused: the share is then known to one point."""
MOST_SHOWN = 30


@dataclass(frozen=True)
class ScopeScore:
    """One score on this project: its threshold, and its measures against the items marked as out of scope."""

    name: str
    explanation: str
    rule: OpenSetRule
    report: OpenSetReport | None


@dataclass(frozen=True)
class Scope:
    """A fitted score with its rule, for one model and the answers as they stood."""

    score: OutOfScope
    rule: OpenSetRule

    def none_of_these(self, features: NDArray[Any], logits: NDArray[Any]) -> NDArray[np.bool_]:
        """(n,) which items are out of scope."""
        return self.rule.none_of_these(self.score.score(features, logits))


class ScopeDesk:
    """A project's open-set rule; fitted scores are kept until the model, the answers or the choice change."""

    def __init__(self, project: Project, jobs: Jobs) -> None:
        self._project, self._jobs = project, jobs
        self._served: tuple[tuple[Any, ...], Scope] | None = None

    @property
    def chosen(self) -> str:
        """The score in use, "" when items are never refused."""
        return str(self._project.settings().get("out_of_scope", ""))

    @property
    def kept(self) -> float:
        """Share of items of known classes that the rule promises to keep."""
        return float(self._project.settings().get("out_of_scope_kept", KEPT))

    @property
    def outside_class(self) -> str | None:
        """Id of the class that marks what is out of scope, where one was chosen with the rule and is still there."""
        marked = self._project.settings().get("out_of_scope_class") or None
        question = self._project.question()
        if marked is None or marked not in {c.id for c in question.classes}:
            return None
        return question.resolve(marked)

    def choose(self, name: str, kept: float = KEPT, outside_class: str | None = None) -> None:
        """Refuse items by this score from now on, "" to refuse none.

        outside_class: id of the class whose items belong to none of the others: the rule knows them as no class of its
        own. Raises InputError on another name, share or class, and on a question whose items have several classes.
        """
        self._check_kind()
        self._marked(outside_class)
        if name and name not in SERVED:
            raise InputError(f"out-of-scope score: found {name!r}; {did_you_mean(name, SERVED)}")
        if not 0.5 <= kept < 1:
            raise InputError(
                f"share of known items to keep: found {kept}; expected a number from 0.5 to below 1"
            )
        self._project.set_settings(
            out_of_scope=name, out_of_scope_kept=kept, out_of_scope_class=outside_class or ""
        )

    def serving(self, model: ModelVersion, head: Head) -> Scope | None:
        """The fitted score and rule in use, or None where items are never refused."""
        name = self.chosen
        if not name:
            return None
        self._project.loop.answers.refresh()
        marked = self.outside_class
        key = (model.id, self._project.loop.answers.newest_id, name, self.kept, marked)
        served = self._served  # read once: another thread may put another model's in its place
        if served is None or served[0] != key:
            served = self._served = key, self._fitted(name, model, head, marked)
        return served[1]

    def start(self, outside_class: str | None = None) -> Job:
        """`compare` in the background, and what the score in use (the default where none is) says of the pool.

        The newest finished one is `last`. Raises as `compare`.
        """
        self._model()
        self._marked(outside_class)

        def run(report: Report) -> Mapping[str, Any]:
            scores = self.compare(outside_class, report)
            report(0.9, "scoring items of the pool")
            return {
                "outside_class": outside_class,
                "kept": self.kept,
                "scores": [_as_json(each) for each in scores],
                "pool": self._of_pool(outside_class),
            }

        lane = f"{KIND}-{self._project.row.id % 2}"
        return self._jobs.start(KIND, self._project.row.id, run, lambda *_: None, lane)

    def last(self) -> Mapping[str, Any] | None:
        """The result of the newest finished comparison: "scores", "pool", "outside_class", "kept"."""
        done = [job for job in self._project.jobs(KIND) if job.state == "done"]
        return done[0].result if done else None

    def compare(
        self, outside_class: str | None = None, report: Report = lambda _, __: None
    ) -> list[ScopeScore]:
        """Every score with its threshold; with measures where a class marks what is out of scope.

        outside_class: id of the class whose items belong to none of the others. They are left out of the fit and of the
        threshold. Raises ConflictError without a model, InputError on a class that does not exist.
        """
        model = self._model()
        head = load_head(self._project.folders.models / model.folder)
        outside = self._marked(outside_class)
        found = []
        for done, name in enumerate(COMPARED):
            report(0.9 * done / len(COMPARED), f"fitting {name.replace('_', ' ')}")
            scope = self._fitted(name, model, head, outside_class)
            measured = None
            if outside is not None and len(outside):
                known = self._held_out(model, outside_class)
                measured = self._measured(scope, head, known, outside)
            found.append(ScopeScore(name, OUT_OF_SCOPE.get(name).explanation, scope.rule, measured))
        return found

    def _check_kind(self) -> None:
        if not self._project.loop.kind.also_a_choice:
            raise InputError(
                "out-of-scope rule: this question gives an item several classes or none; expected a question with one "
                "class an item"
            )

    def _model(self) -> ModelVersion:
        self._check_kind()
        model = self._project.loop.newest_model()
        if model is None:
            raise ConflictError("there is no model yet; answer items of two classes first")
        return model

    def _of_pool(self, outside_class: str | None) -> Mapping[str, Any]:
        """How many items of the pool would be refused, and those that are farthest from every class."""
        model, name = self._model(), self.chosen or DEFAULT
        head = load_head(self._project.folders.models / model.folder)
        scope = self._fitted(name, model, head, outside_class)
        n = self._project.pool.n_items
        items = np.sort(np.random.default_rng(self._project.seed).permutation(n)[:SAMPLED])
        scores = self._scores(scope.score, head, items)
        farthest = np.argsort(-scores, kind="stable")[:MOST_SHOWN]
        return {
            "score": name,
            "refused": list(wilson(int(scope.rule.none_of_these(scores).sum()), len(items))),
            "threshold": _finite(scope.rule.threshold),
            "n": scope.rule.n,
            "farthest": [[int(items[row]), float(scores[row])] for row in farthest],
        }

    def _measured(self, scope: Scope, head: Head, known: Positions, outside: Positions) -> OpenSetReport:
        """The threshold comes from half of the held-out known items, its measures from the other half."""
        scores = self._scores(scope.score, head, known)
        rule = open_set_rule(scope.score.name, scores[::2], self.kept)
        return evaluate_open_set(rule, scores[1::2], self._scores(scope.score, head, outside))

    def _fitted(self, name: str, model: ModelVersion, head: Head, outside_class: str | None) -> Scope:
        question = self._project.question()
        self._project.loop.answers.refresh()
        labels, classes = self._project.loop.answers.training(question)
        inside = np.array([classes[t] != outside_class for t in labels.targets], dtype=bool)
        rows = np.flatnonzero(inside)
        if len(rows) > MOST_TRAINING:
            rows = np.sort(np.random.default_rng(self._project.seed).permutation(rows)[:MOST_TRAINING])
        features = self._project.pool.features.gather(labels.items[rows])
        score: OutOfScope = OUT_OF_SCOPE.get(name)().fit(features, labels.targets[rows], len(classes))
        held_out = self._scores(score, head, self._held_out(model, outside_class))
        return Scope(score, open_set_rule(name, held_out, self.kept))

    def _held_out(self, model: ModelVersion, outside_class: str | None) -> Positions:
        """Random-stream items of the classes that the model knows, in their random order."""
        question = self._project.question()
        trained = tuple(question.resolve(c) for c in model.metrics["classes"])
        known = tuple(c for c in trained if c != outside_class)
        stream = self._project.loop.answers.stream(question, known)
        inside = set(stream.items[stream.targets >= 0].tolist())
        return np.array([i for i in self._project.stream_order.tolist() if i in inside], dtype=np.int64)

    def _marked(self, outside_class: str | None) -> Positions | None:
        """Items that people gave the class which marks what is out of scope, None where no class does."""
        if outside_class is None:
            return None
        question = self._project.question()
        if outside_class not in {c.id for c in question.active}:
            raise InputError(
                f"class that marks what is out of scope: found {outside_class!r}; expected a class id"
            )
        return self._project.loop.answers.items_with(question, "answered", outside_class)

    def _scores(self, score: OutOfScope, head: Head, items: Positions) -> NDArray[np.float64]:
        features = self._project.pool.features.gather(items)
        return score.score(features, head.logits(features))


def _as_json(of: ScopeScore) -> dict[str, Any]:
    rule, measured = of.rule, of.report
    figures = {} if measured is None else {k: getattr(measured, k) for k in ("auroc", "missed", "kept")}
    return {
        "name": of.name,
        "explanation": of.explanation,
        "threshold": _finite(rule.threshold),
        "n": rule.n,
        **{name: [_finite(float(v)) for v in figure[:3]] + [figure.n] for name, figure in figures.items()},
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
