"""The pseudo-labels in force: a head's judgements in the ledger, kept in memory and in step with it."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from plumbline_backend.domain.types import NewJudgement, Question, Stratum
from plumbline_backend.store import Store

BY_PACE: Stratum = "model"
BY_PERSON: Stratum = "browse"
"""The strata of pseudo-labels: taken by the pace itself, or accepted by a person on the Review page."""


class Live(NamedTuple):
    """One pseudo-label in force: its ledger row, the class id as it was given, and whether a person accepted it."""

    row: int
    class_id: str
    accepted: bool


class PseudoLabels:
    """What heads say of items, as far as somebody, or the pace, has accepted it. One process writes them."""

    def __init__(self, store: Store, question_id: int) -> None:
        self._store = store
        self._question_id = question_id
        self._live: dict[int, Live] | None = None
        self._lock = threading.RLock()

    def live(self) -> Mapping[int, Live]:
        """By item; where two heads were accepted for one item, the newer."""
        with self._lock:
            if self._live is None:
                rows = self._store.ledger.current_arrays(self._question_id, judge_kinds=("head",))
                columns = zip(rows.item.tolist(), rows.id.tolist(), rows.answer, rows.stratum, strict=True)
                self._live = {
                    item: Live(row, answer, stratum == BY_PERSON)
                    for item, row, answer, stratum in columns
                    if answer is not None
                }
            return self._live

    def forget(self) -> None:
        """Read the ledger again at the next look: somebody else has taken a batch back."""
        with self._lock:
            self._live = None

    def digest(self) -> str:
        """Changes with what is in force; empty while nothing is."""
        live = self.live()
        if not live:
            return ""
        text = ",".join(f"{item}:{live[item].class_id}" for item in sorted(live))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def accept(
        self,
        question: Question,
        judge_id: int,
        batch: str,
        chosen: Mapping[int, tuple[str, float]],
        stratum: Stratum = BY_PERSON,
    ) -> int:
        """Record {item: (class id, probability)} as the head's judgements under a batch's name; how many were new."""
        rows = [
            NewJudgement(
                item=item,
                question_id=question.id,
                question_version=question.version,
                judge_id=judge_id,
                client_uuid=uuid.uuid4().hex,
                answer=class_id,
                proba=(min(max(proba, 0.0), 1.0),),
                stratum=stratum,
            )
            for item, (class_id, proba) in chosen.items()
        ]
        with self._lock:
            self._live = None
            return self._store.ledger.record_many(rows, batch) if rows else 0

    def revoke(self, batch: str | None = None, ids: Sequence[int] | None = None) -> int:
        """Take a batch or named rows back; how many there were."""
        with self._lock:
            self._live = None
            return self._store.ledger.revoke_many(
                self._question_id, f"revoke:{uuid.uuid4().hex}", batch=batch, ids=ids
            )

    def replace(
        self, question: Question, judge_id: int, batch: str, wanted: Mapping[int, tuple[str, float]]
    ) -> None:
        """Make the pace's own labels say exactly `wanted`; what a person accepted stays as it is."""
        with self._lock:
            live = self.live()
            gone = [
                label.row
                for item, label in live.items()
                if not label.accepted and wanted.get(item, ("", 0.0))[0] != label.class_id
            ]
            new = {
                item: said
                for item, said in wanted.items()
                if item not in live or (not live[item].accepted and live[item].class_id != said[0])
            }
            if gone:
                self.revoke(ids=gone)
            self.accept(question, judge_id, batch, new, BY_PACE)


def labels_for_fit(
    live: Mapping[int, Live],
    weights: Mapping[int, tuple[str, float]],
    question: Question,
    classes: Sequence[str],
    closed: np.ndarray,
) -> tuple[list[int], list[int], list[float]]:
    """Items, class indices and weights that the next fit may learn from beside the human labels.

    weights: what the newest round says, {item: (class id, weight)}. A label of the pace counts only while that round
    still says the same; one that a person accepted counts fully. closed: (n_items,) True where nothing may be
    pseudo-labelled: answered by people, or in the reserve.
    """
    items, targets, shares = [], [], []
    for item, label in sorted(live.items()):
        class_id = question.resolve(label.class_id)
        said, weight = weights.get(item, ("", 0.0))
        share = 1.0 if label.accepted else (weight if said == class_id else 0.0)
        if share > 0 and class_id in classes and not closed[item]:
            items.append(item)
            targets.append(classes.index(class_id))
            shares.append(share)
    return items, targets, shares
