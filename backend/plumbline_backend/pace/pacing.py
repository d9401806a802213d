"""The pace of one question beside its loop: what a fit gets, what is done with its round, and what is asked blindly."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plumbline_backend.answers import Answers
from plumbline_backend.domain.types import Ask, ModelVersion, NewJudgement, ProjectRow, Question, Stratum
from plumbline_backend.pace.control import Audit, PaceState, Paired, next_round, switched
from plumbline_backend.pace.proposals import training_weights
from plumbline_backend.pace.pseudo import PseudoLabels, labels_for_fit
from plumbline_backend.pace.round import Saved, saved_audit
from plumbline_backend.registry import PACES
from plumbline_backend.settings import Settings
from plumbline_backend.store import Store

EVERY = 10
"""New human labels between two rounds: a batch of Lin et al.'s loop."""
MOST_TAKEN = 2_000
"""Pseudo-labels that the pace itself keeps in the ledger; the surest where more are proposed."""
AUDIT_EVERY = 10
"""Every so many asks that are not the random stream's is a blind check, while pseudo-labels are in force. Answers to
what the model is sure of teach it little, so that checks are paid with labels."""
PER_CLASS = 50
"""Human labels per class that count as wanted where no budget is set. 99 % of full accuracy took 20 to 32 per class on
digits, ImageSegments and clinc150 and 6 to 19 with two classes (benchmarks/results/label_efficiency.json): the pace
freezes at 40, when there is little left to gain."""
BATCH = "pace"
MAYBE_CHECK = f", or a blind check of the model: one in {AUDIT_EVERY} is, and which is not told"
"""Ends the reason of every ask of the model's while checks come among them: true of each, and it tells none apart."""


class Round(NamedTuple):
    """A model's round with the class ids that its targets stand for."""

    model: ModelVersion
    saved: Saved
    classes: tuple[str, ...]


class Drawn(NamedTuple):
    """Proposals of a model that were drawn for blind checks: class ids by item."""

    model_id: int
    classes: Mapping[int, str]


class Pacing:
    """Self-paced pseudo-labels of one question. The ledger says which are in force, a round's file what they weigh."""

    def __init__(
        self,
        store: Store,
        project: ProjectRow,
        question_id: int,
        models: Path,
        settings: Settings,
        answers: Answers,
    ) -> None:
        self._store = store
        self._project = project
        self._question_id = question_id
        self._models = models
        self._settings = settings
        self._answers = answers
        self._lock = threading.RLock()
        self.pseudo = PseudoLabels(store, question_id)
        self._rounds: dict[int, Round | None] = {}
        self._audited: dict[int, Drawn] = {}

    @property
    def policy(self) -> str:
        """Name of the policy in force."""
        return str(self._setting("pace"))

    @property
    def state(self) -> PaceState:
        """Whether it is on, how fast each class goes, and why."""
        return PaceState.from_json(self._setting("pace_state", None))

    def choose(self, policy: str) -> None:
        """Propose by this policy from the next fit on. Raises InputError with the nearest valid name."""
        PACES.get(policy)
        self._store.projects.change_settings(self._project.id, {"pace": policy})

    def switch(self, on: bool) -> None:
        """Let the model learn from its own proposals, or stop it; stopping takes all that it took back, as one."""
        with self._lock:
            self._keep(switched(self.state, on, since=self._store.ledger.newest_id(self._question_id)))
            if not on:
                self.pseudo.revoke(batch=BATCH)

    def for_fit(
        self, question: Question, newest: ModelVersion | None, classes: tuple[str, ...]
    ) -> dict[str, Any]:
        """What the worker gets: lambda per class, pseudo-labels with weights, and what must not be proposed."""
        state, last = self.state, self.round_of(newest)
        closed = np.zeros(self._project.n_items, dtype=bool)
        closed[self._answers.closed_items()] = True
        closed |= self._answers.reserve_mask
        items, targets, weights = labels_for_fit(
            self.pseudo.live(), _said(last, question), question, classes, closed
        )
        n_human = int(closed.sum() - self._answers.reserve_mask.sum())
        return {
            "policy": self.policy,
            "compare_from": state.n_human + EVERY if state.mode == "on" else None,
            "lam": {c: state.of(c) for c in classes},
            "refused": self._answers.items_asked_as("review", "skipped").tolist(),
            "classes_before": [] if last is None else list(last.classes),
            "items": items,
            "targets": targets,
            "weights": training_weights(np.array(weights), n_human).tolist(),
            "digest": self.pseudo.digest(),
        }

    def after_fit(self, model: ModelVersion, question: Question) -> None:
        """Take the model's round up when one is due: decide on the pace, and put the ledger in step with it."""
        with self._lock:
            state = self.state
            if state.mode != "on" or 0 <= model.n_train - state.n_human < EVERY:
                return
            found = self.round_of(model)
            if found is None:
                return
            summary = model.metrics["pace"]
            decided = next_round(
                replace(state, n_human=model.n_train),
                self.audits(model),
                Paired(*summary["paired"]),
                self._share_done(model, len(question.active)),
                tuple(c.id for c in question.active),
                None if summary.get("held_out") is None else Paired(*summary["held_out"]),
            )
            self._keep(decided)
            if decided.mode != "on" or decided.waiting:
                self.pseudo.revoke(batch=BATCH)
                return
            wanted = {
                item: (class_id, proba)
                for item, (class_id, proba) in _probable(found, question).items()
                if not self._answers.closed(item)
            }
            self.pseudo.replace(question, model.judge_id, BATCH, wanted)

    def changed_since(self, model: ModelVersion) -> bool:
        """Whether other pseudo-labels are in force than those the model was given."""
        return bool(model.metrics.get("pace", {}).get("digest", "") != self.pseudo.digest())

    def audits(self, model: ModelVersion) -> dict[str, Audit]:
        """Blind checks by class id: answers to audit asks since the switch-on, and the stream's word on this model."""
        counts = {c: list(pair) for c, pair in model.metrics.get("pace", {}).get("stream", {}).items()}
        for _, proposed, answered in self._checked(self.state.since):
            entry = counts.setdefault(proposed, [0, 0])
            entry[0] += 1
            entry[1] += proposed == answered
        return {class_id: Audit(*pair) for class_id, pair in counts.items()}

    def checked_of(self) -> dict[int, Audit]:
        """By model id, the answered blind checks of that model's proposals: a uniform draw from them, so unbiased."""
        counts: dict[int, list[int]] = {}
        for model_id, proposed, answered in self._checked():
            entry = counts.setdefault(model_id, [0, 0])
            entry[0] += 1
            entry[1] += proposed == answered
        return {model_id: Audit(*pair) for model_id, pair in counts.items()}

    def asks(self, newest: ModelVersion | None) -> Iterator[int]:
        """Items whose proposals are to be checked blindly among the others. None while the pace is off."""
        found, state = self.round_of(newest), self.state
        if newest is None or found is None or state.mode != "on" or state.waiting:
            return
        yield from (item for item in found.saved.audit.tolist() if not self._answers.closed(item))

    def stratum_of(self, new: NewJudgement) -> Stratum:
        """How the item came to be asked: who answers a blind check has been told that it is the model's ask.

        The lease knows; where it has ended, an item that the query's round had drawn for a check counts as one.
        """
        if (
            new.stratum != "model"
            or new.query_id is None
            or new.item not in self._audited_in(new.query_id).classes
        ):
            return new.stratum
        if self.state.mode != "on":
            return new.stratum
        return self._store.leases.stratum(new.question_id, new.item, new.judge_id) or "audit"

    def round_of(self, model: ModelVersion | None) -> Round | None:
        """The proposals of a model, None where there are none (any more)."""
        if model is None:
            return None
        if model.id not in self._rounds:
            saved = Saved.load(self._models / model.folder)
            classes = tuple(model.metrics["classes"])
            self._rounds = {model.id: None if saved is None else Round(model, saved, classes)}
        return self._rounds[model.id]

    def _checked(self, since: int = 0) -> Iterator[tuple[int, str, str]]:
        """(model id, proposed class id, given class id) of every blind check answered after ledger id `since`."""
        question = self._store.questions.get(self._question_id)
        items = self._answers.items_asked_as("audit", "answered")
        for row in self._store.ledger.current(self._question_id, items=items, judge_kinds=("person",)):
            if row.stratum != "audit" or row.answer is None or row.query_id is None or row.id <= since:
                continue
            drawn = self._audited_in(row.query_id)
            if row.item in drawn.classes:
                proposed = drawn.classes[row.item]
                yield drawn.model_id, question.resolve(proposed), question.resolve(row.answer)

    def _audited_in(self, query_id: int) -> Drawn:
        """What the query's model had drawn for blind checks; kept, as it never changes."""
        if query_id not in self._audited:
            query = self._store.queries.find(self._question_id, query_id)
            if query is None or query.model_id is None:
                return Drawn(0, {})
            model = self._store.models.get(query.model_id)
            names, saved = model.metrics["classes"], saved_audit(self._models / model.folder)
            self._audited[query_id] = Drawn(model.id, {item: names[k] for item, k in saved.items()})
        return self._audited[query_id]

    def _share_done(self, model: ModelVersion, n_classes: int) -> float:
        """Human labels over those that are wanted: the label budget, else so many per class, at most the pool."""
        wanted = int(self._setting("label_budget")) or PER_CLASS * n_classes
        return min(1.0, model.n_train / max(min(wanted, self._project.n_items), 1))

    def _keep(self, state: PaceState) -> None:
        self._store.projects.change_settings(self._project.id, {"pace_state": state.as_json()})

    def _setting(self, name: str, *default: Any) -> Any:
        stored = self._store.projects.get(self._project.slug).settings
        return stored[name] if name in stored else (default[0] if default else self._settings[name])


def _said(found: Round | None, question: Question) -> dict[int, tuple[str, float]]:
    """{item: (class id today, weight)} of a round."""
    if found is None:
        return {}
    return {
        item: (question.resolve(found.classes[target]), weight)
        for item, target, weight in zip(
            found.saved.items.tolist(), found.saved.target.tolist(), found.saved.weight.tolist(), strict=True
        )
    }


def _probable(found: Round, question: Question) -> dict[int, tuple[str, float]]:
    """{item: (class id today, probability)} of the surest proposals of a round."""
    rows = slice(0, MOST_TAKEN)  # they are sorted, the surest first
    saved = found.saved
    return {
        item: (question.resolve(found.classes[target]), proba)
        for item, target, proba in zip(
            saved.items[rows].tolist(), saved.target[rows].tolist(), saved.proba[rows].tolist(), strict=True
        )
    }


def with_audits(ranked: Iterator[Ask], audits: Iterator[int], t: int, seed: int) -> Iterator[Ask]:
    """The ranking, with a blind check in one of every AUDIT_EVERY places from ask number `t` on, while there are any.

    Which place it is differs from ten to ten. A check looks like the model's ask that it stands before, and stands
    before no other.
    """
    for number in itertools.count(t):
        ask = next(ranked, None)
        if ask is None:
            return
        if ask.stratum == "model" and is_check_place(number, seed):
            check = next(audits, None)
            if check is not None:
                yield replace(ask, item=check, stratum="audit", utility=None)
        yield ask


def is_check_place(number: int, seed: int) -> bool:
    """Whether ask `number` is a blind check: one in each ten, at a place that nobody can count to."""
    tens, place = divmod(number, AUDIT_EVERY)
    return int(np.random.default_rng([seed, 3, tens]).integers(AUDIT_EVERY)) == place
