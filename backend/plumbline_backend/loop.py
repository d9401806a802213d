"""THE PATH: record -> fit -> score -> next query, for one question of one project.

Recording never waits for training. A fit runs in a worker process over what the ledger said when it started; when
it is done its ranking replaces the old one, and until then the old one serves, with the number of newer answers
shown beside it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plumbline_backend.answers import Answers
from plumbline_backend.domain.asking import Ranking
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.splits import is_stream_ask
from plumbline_backend.domain.types import (
    Ask,
    Job,
    Judge,
    Judgement,
    ModelVersion,
    NewJudgement,
    Positions,
    ProjectRow,
    QueryRow,
    Question,
)
from plumbline_backend.first_ranking import FirstRanking, class_texts
from plumbline_backend.heads.making import DEFAULT
from plumbline_backend.jobs.executors import Work
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.kinds.base import Kind
from plumbline_backend.pace.pacing import MAYBE_CHECK, Pacing, with_audits
from plumbline_backend.ranking import load_ranking
from plumbline_backend.registry import KINDS
from plumbline_backend.settings import Settings
from plumbline_backend.store import Store
from plumbline_backend.training.asking import told_of
from plumbline_backend.training.recipe import Recipe


class Folders(NamedTuple):
    """Where a project keeps its pool and its models."""

    pool: Path
    models: Path


class Loop:
    """One question's loop. Holds no truth of its own: everything can be rebuilt from store and folders."""

    def __init__(
        self,
        store: Store,
        jobs: Jobs,
        project: ProjectRow,
        question_id: int,
        folders: Folders,
        settings: Settings,
        stream_order: Positions,
    ) -> None:
        self._store = store
        self.jobs = jobs
        self._project = project
        self._question_id = question_id
        self.folders = folders
        self._settings = settings
        self._stream_order = stream_order
        self.kind: Kind = KINDS.get(store.questions.get(question_id).kind)()
        self.answers = Answers(store, question_id, stream_order, project.n_items, self.kind)
        self.pacing = Pacing(store, project, question_id, folders.models, settings, self.answers)
        self._lock = threading.RLock()
        self._training: Job | None = None
        self._fit_asked = False
        self._serving: tuple[int, Ranking, str] | None = None
        self._first = FirstRanking(self)
        self.fit_soon()  # a new project gets its first ranking before anyone asks

    # The path, in order.

    def record(self, new: NewJudgement) -> Judgement:
        """Write one judgement durably, then see whether the head should learn from it."""
        if new.stratum == "stream" and not self.answers.in_reserve(new.item):
            raise InputError(
                f"stratum: item {new.item} is not in the random stream's reserve; expected 'model' or 'browse'"
            )
        with self._store.database.moment():
            self.answers.refresh()
            new = self._keep_origin(replace(new, stratum=self.pacing.stratum_of(new)))
            overlap = self.overlap
        judgement = self._store.ledger.record(new, overlap)
        self.fit_soon()
        return judgement

    def undo(self, judge: Judge, client_uuid: str, judgement_id: int | None = None) -> Judgement | None:
        """Revoke the judge's newest judgement, or the named one; returns it, or None when there is none."""
        revoked = self._store.ledger.undo(self._question_id, judge.id, client_uuid, judgement_id)
        self.fit_soon()
        return revoked

    def fit_soon(self) -> None:
        """Have `fit_if_due` called by the coordinating thread, once for any number of calls until then."""
        with self._lock:
            if self._fit_asked:
                return
            self._fit_asked = True
        self.jobs.soon(self._fit_asked_for)

    def _fit_asked_for(self) -> None:
        with self._lock:
            self._fit_asked = False
        self.fit_if_due()

    def fit_if_due(self) -> Job | None:
        """Start a fit unless one runs, nothing has changed since the last, or there is nothing to learn yet."""
        with self._lock:
            self.answers.refresh()
            if self.training() is not None:
                return None
            if self.waiting():
                self._first.start_if_due()
                return None
            newest = self.newest_model()
            if (
                newest is not None
                and newest.ledger_id >= self.answers.newest_id
                and not self._setup_changed(newest)
            ):
                return None
            self._training = self._start_fit()
            return self._training

    def next_items(self, judge: Judge, holder: str, n: int) -> list[Ask]:
        """Lease the next `n` items to `holder`: first what it holds already, then stream and ranking, interleaved."""
        with self._store.database.moment():
            self.answers.overlap = overlap = self.overlap
            self.answers.refresh()
            plan = self._plan_now()
        return self._store.leases.claim(
            self._question_id,
            holder,
            judge.id,
            plan,
            n,
            self._settings["lease_ttl_s"],
            per_item=overlap,
            enough_answers=overlap,  # what the plan knows of answers may be older than the claim
        )

    # Fit and score happen in the worker (learn.py); here is what goes in and what is done with the result.

    def _start_fit(self) -> Job:
        question = self.question()
        training, classes = self.answers.training(question)
        active = tuple(c.id for c in question.active)
        stream = self.answers.stream(question, active)
        newest = self.newest_model()
        spec = {
            "kind": self.kind.name,
            "kind_facts": self.kind.facts(question),
            "models": str(self.folders.models),
            "pool": str(self.folders.pool),
            "classes": list(classes),
            "active": list(active),
            "class_texts": class_texts(question, classes),
            "train_items": training.items.tolist(),
            "train_targets": training.targets.tolist(),
            "stream_items": stream.items.tolist(),
            "stream_targets": stream.targets.tolist(),
            "closed_items": self.answers.closed_items().tolist(),
            "strategy": self.strategy,
            "seed": self.seed,
            "head": self.head,
            "head_settings": self.head_settings,
            "known": self.known_to_head(),
            "deterministic": self._settings["deterministic"],
            **told_of(self.recipe, self.answers, question, classes, self._store.models.list(question.id)),
            "pace": self.pacing.for_fit(question, newest, classes),
            "ranking_length": self.ranking_length,
            "calibrate_from": self._settings["calibrate_from"],
            "warm_start": None if newest is None else newest.folder,
            "version": 1 if newest is None else newest.version + 1,
        }
        seen = self.answers.newest_id
        summary = {"n_train": len(training.items), "n_classes": len(classes), "ledger_id": seen}
        return self.jobs.start(
            "fit",
            self._project.id,
            Work(self.kind.task, spec),
            on_result=lambda job, result: self._take_over(job, result, spec, seen),
            lane=f"fit-{self._project.id % 2}",
            summary=summary,
        )

    def _take_over(self, job: Job, result: Mapping[str, Any], spec: Mapping[str, Any], seen: int) -> None:
        """Register the new model and its ranking; from here on it serves."""
        with self._lock:
            head = self._store.judges.ensure(
                self._project.id, "head", spec["head"], version=spec["version"], spec={"job": job.id}
            )
            model = self._store.models.create(
                project_id=self._project.id,
                question_id=self._question_id,
                judge_id=head.id,
                folder=result["folder"],
                n_train=len(spec["train_items"]),
                n_stream=len(spec["stream_items"]),
                ledger_id=seen,
                metrics=result["metrics"],
            )
            self.keep_query(spec, model.id, result["folder"])
            self._training = None
        self.pacing.after_fit(model, self.question())
        self.fit_soon()

    def keep_query(self, spec: Mapping[str, Any], model_id: int | None, folder: str) -> None:
        """Register a ranking, by a model or by what is known before there is one; from here on it serves."""
        self._store.queries.create(
            self._project.id, self._question_id, spec["strategy"], model_id, spec["seed"], folder
        )

    def _plan(self, t: int) -> Iterator[Ask]:
        """Candidates in order of preference from ask number `t` on; the store takes those that are free."""
        return self._plan_now()(t)

    def _plan_now(self) -> Callable[[int], Iterator[Ask]]:
        """The plan as things stand. All that it needs of the database is read here: it is followed inside a write."""
        share, seed, newest, query = self.stream_share, self.seed, self.newest_model(), self.newest_query()
        offset, audits = np.random.default_rng(seed).random(), tuple(self.pacing.asks(newest))
        if query is not None and self._first.serves(query):
            ranked = partial(self._of_query, query, *self._ranking_of(query), with_checks=bool(audits))
        else:
            ranked = partial(iter, ())

        def plan(t: int) -> Iterator[Ask]:
            proposed = itertools.chain(ranked(), self._at_random())
            stream, asked = self._stream(), with_audits(proposed, iter(audits), t, seed)
            for number in itertools.count(t):
                sources = (stream, asked) if is_stream_ask(number, share, offset) else (asked, stream)
                ask = next(sources[0], None) or next(sources[1], None)
                if ask is None:
                    return
                yield ask

        return plan

    def _stream(self) -> Iterator[Ask]:
        for rank, item in enumerate(map(int, self._stream_order)):
            if not self.answers.closed(item):
                yield Ask(
                    item, None, "stream", rank, None, "drawn at random to measure accuracy; never trained on"
                )

    def _ranking_of(self, query: QueryRow) -> tuple[Ranking, str]:
        """A query's ranking, kept while it serves, and who made it, in words."""
        if self._serving is None or self._serving[0] != query.id:
            model = query.model_id and self._store.models.get(query.model_id).version
            by = f" by model version {model}" if model else ""
            self._serving = query.id, load_ranking(self.folders.models / query.folder), by
        return self._serving[1:]

    def _of_query(
        self, query: QueryRow, ranking: Ranking, by: str, with_checks: bool = False
    ) -> Iterator[Ask]:
        """The ranking's items. Beside blind checks no place is told: a check has none that would not give it away."""
        because = f": {ranking.why}" if ranking.why else ""
        alike = f"{query.strategy}{by}{because}{MAYBE_CHECK}"
        for rank, (item, value) in enumerate(
            zip(ranking.items.tolist(), ranking.utility.tolist(), strict=True)
        ):
            if not self.answers.closed(item):
                reason = alike if with_checks else f"{query.strategy}{by}, rank {rank + 1}{because}"
                yield Ask(item, query.id, "model", rank, value, reason)

    def _at_random(self) -> Iterator[Ask]:
        """Items outside the reserve in an order that depends on the seed alone, so that it survives a restart."""
        for rank, item in enumerate(map(int, self._random_order)):
            if not self.answers.closed(item) and not self.answers.in_reserve(item):
                yield Ask(
                    item, None, "random", rank, None, "drawn at random: no model has ranked the items yet"
                )

    @cached_property
    def _random_order(self) -> Positions:
        return np.random.default_rng([self.seed, 1]).permutation(self._project.n_items)

    # What the path needs to know.

    def question(self) -> Question:
        """The question in its newest version."""
        return self._store.questions.get(self._question_id)

    @property
    def strategy(self) -> str:
        """Name of the query strategy in force."""
        return str(self._project_setting("strategy"))

    @property
    def head(self) -> str:
        """Name of the head in force."""
        own = self.kind.heads
        if not own:
            return str(self._project_setting("head"))
        chosen = self._store.projects.get(self._project.slug).settings.get("head")
        return str(chosen) if chosen in own else own[0]

    @property
    def head_settings(self) -> Mapping[str, Any]:
        """The head's own settings, as far as the project chose any."""
        stored = self._store.projects.get(self._project.slug).settings
        return dict(stored.get("head_settings", {}).get(self.head, {}))

    @property
    def recipe(self) -> Recipe:
        """How a training treats the labels."""
        stored = self._store.projects.get(self._project.slug).settings
        return Recipe.parse(stored.get("recipe", {}))

    def known_to_head(self) -> dict[str, Any]:
        """What a head may ask of the project when it is made; what it has no use for it does not get."""
        question = self.question()
        _, trained = self.answers.training(question)
        named = {c.id: f"{c.name}. {c.description}" for c in question.classes}
        texts = [named[class_id] for class_id in trained]
        return {"l2": self._settings["head_l2"] or None, "seed": self.seed, "class_texts": texts}

    @property
    def stream_share(self) -> float:
        """Share of the asks that are drawn at random and never trained on."""
        return float(self._project_setting("stream_share"))

    @property
    def ranking_length(self) -> int:
        """Items kept from each ranking."""
        return int(self._settings["ranking_length"])

    @property
    def overlap(self) -> int:
        """How many people are asked each item."""
        return int(self._project_setting("overlap"))

    @property
    def seed(self) -> int:
        """Seed of the project's reserve and of every ranking."""
        return int(self._project_setting("seed"))

    def _project_setting(self, name: str) -> Any:
        stored = self._store.projects.get(self._project.slug).settings
        return stored.get(name, self._settings[name])

    def newest_model(self) -> ModelVersion | None:
        """The head that serves now."""
        return self._store.models.newest(self._question_id)

    def newest_query(self) -> QueryRow | None:
        """The ranking that serves now."""
        return self._store.queries.newest(self._question_id)

    def training(self) -> Job | None:
        """The fit that is queued or running, if any."""
        with self._lock:
            if self._training is not None:
                self._training = self.jobs.get(self._training.id)
                if self._training.state not in ("queued", "running"):
                    self._training = None
            return self._training

    def waiting(self) -> str:
        """Why no head can be trained yet, in words; empty when one can."""
        question = self.question()
        labels, classes = self.answers.training(question)
        return self.kind.waiting(labels, classes, question)

    def _setup_changed(self, model: ModelVersion) -> bool:
        """Whether the model was made for another strategy, head or classes: a merge changes no judgement."""
        active = {c.id for c in self.question().active}
        made = model.metrics
        return (
            made["strategy"] != self.strategy
            or set(made["active"]) != active
            or self.pacing.changed_since(model)
            or made.get("head", DEFAULT) != self.head
            or made.get("head_settings", {}) != self.head_settings
            or made.get("recipe", {}).get("options", {}) != self.recipe.changed()
        )

    def _keep_origin(self, new: NewJudgement) -> NewJudgement:
        """A revision keeps the stratum and query of the answer it supersedes: they say how the item was drawn."""
        if new.judge_id not in self.answers.of(new.item):
            return new
        earlier = self._store.ledger.current(self._question_id, [new.item], new.judge_id)
        return replace(new, stratum=earlier[0].stratum, query_id=earlier[0].query_id) if earlier else new
