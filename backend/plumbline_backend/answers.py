"""What people and imported labels say today, kept in memory and in step with the ledger.

The ledger stays the truth: the view is rebuilt from it whenever its newest row is not the one last seen here.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.types import JudgeKind, Positions, Question, State, Stratum
from plumbline_backend.domain.types import Labels as Labels
from plumbline_backend.kinds.base import Kind
from plumbline_backend.kinds.choice import Choice
from plumbline_backend.store import Store
from plumbline_backend.store.ledger import LEARNT_FROM

CONCURRENT_IDS = 200
"""With several writers a lower id can be committed after a higher one; so many ids are looked at again."""


class Answer(NamedTuple):
    """One judge's current judgement of an item."""

    id: int
    state: State
    class_id: str | None
    """The answer as it stands in the ledger: a class id, or what the question's kind writes (domain.answer_forms)."""
    stratum: Stratum


class Answers:
    """The current judgements of one question. Safe to use from several threads."""

    def __init__(
        self, store: Store, question_id: int, reserve: Positions, n_items: int, kind: Kind | None = None
    ) -> None:
        self._store = store
        self._kind = kind or Choice()
        self._question_id = question_id
        self._in_reserve = np.zeros(n_items, dtype=bool)
        self._in_reserve[reserve] = True
        self._lookback = 0 if store.database.dialect == "sqlite" else CONCURRENT_IDS
        self._seen = -1
        self._learnt = 0
        self._people: dict[int, dict[int, Answer]] = {}
        self._imported: dict[int, Answer] = {}
        self._kept: dict[int, str | None] = {}
        self._kept_version = -1
        self._lock = threading.RLock()
        self.overlap = 1
        """How many people are asked each item; set by the loop as the project says."""

    @property
    def newest_id(self) -> int:
        """Id of the newest ledger row by a person or an import that the view holds: what a head could learn from."""
        return self._learnt

    @property
    def seen(self) -> int:
        """Id of the newest ledger row that the view holds, whoever wrote it."""
        return self._seen

    @property
    def reserve_mask(self) -> NDArray[np.bool_]:
        """(n_items,) True in the part of the pool that is never trained on. Not to be written to."""
        return self._in_reserve

    def refresh(self) -> None:
        """Take in what was written to the ledger since the last look, by anyone; costs what has changed."""
        with self._lock:
            newest = self._store.ledger.newest_id(self._question_id)
            if newest > self._seen:
                after = max(self._seen - self._lookback, 0)
                learnt = self._store.ledger.newest_id(self._question_id, LEARNT_FROM, after)
                self._learnt = learnt if learnt > after else self._learnt
            if self._seen < 0:
                self._load()
            elif newest > self._seen:
                changed = self._store.ledger.items_since(self._question_id, self._seen - self._lookback)
                self._reload(changed)
            self._seen = max(newest, self._seen)

    def _load(self) -> None:
        for item, judge_id, answer in self._rows("person"):
            self._people.setdefault(item, {})[judge_id] = answer
        self._imported = {item: answer for item, _, answer in self._rows("imported")}

    def _reload(self, items: Sequence[int]) -> None:
        for item in items:
            self._people.pop(item, None)
            self._kept.pop(item, None)
        for row in self._store.ledger.current(self._question_id, items=items, judge_kinds=("person",)):
            self._people.setdefault(row.item, {})[row.judge_id] = Answer(
                row.id, row.state, row.answer, row.stratum
            )

    def of(self, item: int) -> Mapping[int, Answer]:
        """People's current judgements of an item, by judge id."""
        with self._lock:
            return dict(self._people.get(item, {}))

    def in_reserve(self, item: int) -> bool:
        """Whether the item belongs to the part of the pool that is never trained on."""
        return bool(self._in_reserve[item])

    def closed(self, item: int) -> bool:
        """Whether nobody needs to be asked about the item: answered by as many as wanted, or flagged as broken."""
        with self._lock:
            if item in self._imported:
                return True
            states = [answer.state for answer in self._people.get(item, {}).values()]
            return "flagged" in states or states.count("answered") >= self.overlap

    def items_asked_as(self, stratum: Stratum, state: State) -> Positions:
        """Items that somebody was asked in this way and gave this state, in ascending order."""
        with self._lock:
            found = [
                item
                for item, by_judge in self._people.items()
                if any(a.stratum == stratum and a.state == state for a in by_judge.values())
            ]
        return np.array(sorted(found), dtype=np.int64)

    def items_of_several(self) -> list[int]:
        """Items that more than one person has judged, in ascending order."""
        with self._lock:
            return sorted(item for item, by_judge in self._people.items() if len(by_judge) > 1)

    def closed_items(self) -> Positions:
        """Every item for which `closed` holds, in ascending order."""
        with self._lock:
            items = {i for i in self._people if self.closed(i)} | set(self._imported)
        return np.array(sorted(items), dtype=np.int64)

    def training(self, question: Question) -> tuple[Labels, tuple[str, ...]]:
        """Labels outside the reserve, and the ids of the classes that can be learned from them, in schema order."""
        rows = self._training_rows(question)
        classes = self._kind.classes(question, (answer for _, answer in rows))
        return self._kind.labels(rows, classes, question), classes

    def _training_rows(self, question: Question) -> list[tuple[int, str]]:
        """(item, answer in today's classes) of every item that may be trained on, by item."""
        today = self._kind.form.today
        with self._lock:
            chosen = {i: a.class_id for i, a in self._imported.items() if a.class_id is not None}
            chosen |= {i: c for i in self._people if (c := self._majority(i, question)) is not None}
        return [(i, today(question, c)) for i, c in sorted(chosen.items()) if not self._in_reserve[i]]

    def training_by_stratum(self, question: Question) -> list[tuple[str, str]]:
        """For each class of each item that is trained on, its id and how the item came to be asked ("imported"
        included)."""
        rows: list[tuple[str, str]] = []
        with self._lock:
            for item, answer in self._training_rows(question):
                given = [a for a in self._people.get(item, {}).values() if a.state == "answered"]
                stratum = max(given, key=lambda a: a.id).stratum if given else "imported"
                rows.extend((class_id, stratum) for class_id in self._kind.form.yes(question, answer))
        return rows

    def stream(self, question: Question, classes: tuple[str, ...]) -> Labels:
        """Answers to asks of the random stream, as targets among `classes`."""
        with self._lock:
            rows = [
                (item, choice)
                for item, by_judge in sorted(self._people.items())
                if self._in_reserve[item]
                and any(a.stratum == "stream" and a.state == "answered" for a in by_judge.values())
                and (choice := self._majority(item, question)) is not None
            ]
        return self._kind.truth(rows, classes, question)

    def state(self, item: int) -> State | None:
        """The state that people have given the item, or None."""
        with self._lock:
            by_judge = self._people.get(item)
            return _item_state(by_judge) if by_judge else None

    def choice(self, item: int, question: Question) -> str | None:
        """What most people answered of the item, in today's classes; else the imported answer, or None."""
        with self._lock:
            if item in self._people:
                return self._majority(item, question)
            imported = self._imported.get(item)
            if imported is None or imported.class_id is None:
                return None
            return self._kind.form.today(question, imported.class_id)

    def items_with(self, question: Question, state: State | None, class_id: str | None) -> Positions:
        """Items in the given state, carrying the given class, or both, in ascending order; None asks for neither."""
        with self._lock:
            items = sorted(self._people.keys() | self._imported.keys())
            found = [
                item
                for item in items
                if (state is None or self.state(item) == state)
                and (class_id is None or self._carries(item, question, class_id))
            ]
        return np.array(found, dtype=np.int64)

    def _carries(self, item: int, question: Question, class_id: str) -> bool:
        answer = self.choice(item, question)
        return answer is not None and class_id in self._kind.form.yes(question, answer)

    def disputed(self, question: Question) -> Positions:
        """Items that people answered differently and nobody has adjudicated, in ascending order."""
        with self._lock:
            found = [item for item, by_judge in self._people.items() if self._is_disputed(by_judge, question)]
        return np.array(sorted(found), dtype=np.int64)

    def n_by_state(self) -> Counter[str]:
        """How many items have each state; an item answered by anyone counts as answered."""
        with self._lock:
            return Counter(_item_state(by_judge) for by_judge in self._people.values() if by_judge)

    def n_by_class(self, question: Question) -> Counter[str]:
        """How many items carry each class, by majority of the people's answers."""
        with self._lock:
            majority = (self._majority(item, question) for item in self._people)
            return Counter(
                c for answer in majority if answer is not None for c in self._kind.form.yes(question, answer)
            )

    def _majority(self, item: int, question: Question) -> str | None:
        """`_reckon`, kept until the item is judged again or the question changes. The lock must be held."""
        if self._kept_version != question.version:
            self._kept.clear()
            self._kept_version = question.version
        if item not in self._kept:
            self._kept[item] = self._reckon(item, question)
        return self._kept[item]

    def _reckon(self, item: int, question: Question) -> str | None:
        """The newest adjudication, else what the people say together; in today's classes."""
        given = [a for a in self._people[item].values() if a.state == "answered" and a.class_id is not None]
        given = _last_word(given) or given
        if not given:
            return None
        newest_first = sorted(given, key=lambda a: -a.id)
        return self._kind.form.vote(
            question, [self._kind.form.today(question, str(a.class_id)) for a in newest_first]
        )

    def _is_disputed(self, by_judge: Mapping[int, Answer], question: Question) -> bool:
        answers = by_judge.values()
        if any(answer.stratum == "adjudication" for answer in answers):
            return False
        said = [self._kind.form.today(question, a.class_id) for a in answers if a.class_id is not None]
        return self._kind.form.disagree(question, said)

    def _rows(self, kind: JudgeKind) -> list[tuple[int, int, Answer]]:
        arrays = self._store.ledger.current_arrays(self._question_id, judge_kinds=(kind,))
        columns = zip(
            arrays.item.tolist(), arrays.judge_id.tolist(), arrays.id.tolist(), arrays.state, arrays.answer,
            arrays.stratum, strict=True,
        )  # fmt: skip
        return [
            (item, judge, Answer(row, state, answer, stratum))
            for item, judge, row, state, answer, stratum in columns
        ]


def _item_state(by_judge: Mapping[int, Answer]) -> State:
    states = {answer.state for answer in by_judge.values()}
    order: tuple[State, ...] = ("flagged", "answered", "unsure", "skipped")
    return next(state for state in order if state in states)


def _last_word(given: Sequence[Answer]) -> list[Answer]:
    """The newest adjudication, alone; nothing when there is none."""
    adjudicated = [answer for answer in given if answer.stratum == "adjudication"]
    return [max(adjudicated, key=lambda answer: answer.id)] if adjudicated else []
