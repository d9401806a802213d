"""How far a project's people agree, who answers how, and on which items they differ."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.aggregation import (
    METHODS_FROM_THREE_CLASSES,
    Aggregated,
    TopTwo,
    conflicts,
    top_two,
)
from plumbline_backend.domain.agreement import (
    MISSING,
    alpha_interval,
    cohen_kappa,
    fleiss_kappa,
    kappa_interval,
)
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.intervals import bootstrap, wilson
from plumbline_backend.domain.types import Interval, LabelClass, Positions, Question
from plumbline_backend.store import Store

if TYPE_CHECKING:
    from plumbline_backend.project import Project

MIN_SHARED = 10
"""Items that two people must share before their kappa is shown: at 10 its interval is still about 1.2 wide."""
MOST_CONFLICTS = 200


@dataclass(frozen=True)
class Annotator:
    """One person. with_others: agreement with the majority of the others; with_self: with their own earlier answers.

    skill: in the aggregation's unit; skill_interval: Wilson's, where it is a share of right answers (majority and
    Dawid-Skene), as if the aggregated classes were the true ones. confusion: (K, K), rows the aggregated class, columns
    the person's answer.
    """

    judge_id: int
    name: str
    n: int
    with_others: Interval
    with_self: Interval
    skill: float
    skill_interval: Interval | None
    confusion: NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Two people's Cohen's kappa over the items that both answered."""

    first: str
    second: str
    kappa: Interval


@dataclass(frozen=True)
class Conflict:
    """An item with different answers: who said what, the likeliest class, and how sure the aggregation is of it.

    rival: the other of the two most plausible answers; confusion: the probability, in (.5, 1), that an answer which is
    one of those two is the first of them. At one half nobody can tell them apart. None below three classes.
    """

    item: int
    said: tuple[tuple[str, str], ...]
    likeliest: str
    certainty: float
    rival: str | None
    confusion: float | None
    settled: bool


@dataclass(frozen=True)
class AnnotatorReport:
    """n_shared: items with two answers or more, on which alpha rests; fleiss: over items that everybody answered."""

    method: str
    classes: tuple[LabelClass, ...]
    n_items: int
    n_shared: int
    alpha: Interval
    fleiss: Interval
    pairs: tuple[Pair, ...]
    annotators: tuple[Annotator, ...]
    conflicts: tuple[Conflict, ...]
    n_conflicts: int


@dataclass(frozen=True)
class Ratings:
    """table: (n_items, n_people) indices into classes, MISSING for none. adjudicated: items with a last word."""

    items: Positions
    people: tuple[int, ...]
    table: NDArray[np.int64]
    adjudicated: frozenset[int]


def ratings_of(store: Store, question: Question) -> Ratings:
    """People's current answers to a question; an adjudication is a last word, not one of the answers to compare."""
    arrays = store.ledger.current_arrays(question.id, judge_kinds=("person",))
    index = {c.id: k for k, c in enumerate(question.active)}
    given = [
        (int(item), int(judge), index[question.resolve(str(answer))], stratum)
        for item, judge, answer, stratum in zip(
            arrays.item, arrays.judge_id, arrays.answer, arrays.stratum, strict=True
        )
        if answer is not None
    ]
    plain = [row for row in given if row[3] != "adjudication"]
    items = sorted({item for item, *_ in plain})
    people = tuple(sorted({judge for _, judge, *_ in plain}))
    row_of, column_of = {i: r for r, i in enumerate(items)}, {j: c for c, j in enumerate(people)}
    table = np.full((len(items), len(people)), MISSING, dtype=np.int64)
    for item, judge, answer, _ in plain:
        table[row_of[item], column_of[judge]] = answer
    last_words = frozenset(item for item, _, _, stratum in given if stratum == "adjudication")
    return Ratings(np.array(items, dtype=np.int64), people, table, last_words)


def annotator_report(project: Project, store: Store, method: str) -> AnnotatorReport:
    """Everything the Agreement page shows. Raises InputError on an unknown method of aggregation."""
    methods = METHODS_FROM_THREE_CLASSES
    if method not in methods:
        raise InputError(f"aggregation: found {method!r}; {did_you_mean(method, methods)}")
    question, rng = project.question(), np.random.default_rng(project.seed)
    ratings = ratings_of(store, question)
    names = {judge.id: judge.name for judge in store.judges.for_project(project.row.id, "person")}
    shared = ratings.table[(ratings.table != MISSING).sum(axis=1) >= 2]
    found = methods[method](ratings.table, max(len(question.active), 1))
    queue = conflicts(ratings.table, found)
    return AnnotatorReport(
        method=method,
        classes=question.active,
        n_items=len(ratings.items),
        n_shared=len(shared),
        alpha=alpha_interval(shared, rng) if len(shared) else _unknown(),
        fleiss=fleiss_interval(ratings.table, rng),
        pairs=tuple(_pairs(ratings, names, rng)),
        annotators=tuple(
            _annotators(method, ratings, found, names, len(question.active), _repeats(store, question))
        ),
        conflicts=tuple(_conflicts(ratings, found, queue[:MOST_CONFLICTS], names, question)),
        n_conflicts=len(queue),
    )


def fleiss_interval(table: NDArray[np.int64], rng: np.random.Generator) -> Interval:
    """Fleiss' kappa with its bootstrap interval over the items (n, n_people) that everybody answered."""
    whole = table[(table != MISSING).all(axis=1)]
    if len(whole) < 2 or table.shape[1] < 2 or np.isnan(fleiss_kappa(whole)):
        return _unknown(len(whole))

    def resampled(rows: NDArray[np.int64]) -> float:
        value = fleiss_kappa(whole[rows])
        return 1.0 if np.isnan(value) else value  # a draw in which all say the same agrees fully

    return bootstrap(resampled, len(whole), rng, n_resamples=400, low=-1.0, high=1.0)


def _pairs(ratings: Ratings, names: dict[int, str], rng: np.random.Generator) -> list[Pair]:
    found = []
    for a, b in combinations(range(len(ratings.people)), 2):
        first, second = ratings.table[:, a], ratings.table[:, b]
        n = int(((first != MISSING) & (second != MISSING)).sum())
        known = n >= MIN_SHARED and not np.isnan(cohen_kappa(first, second))
        kappa = kappa_interval(first, second, rng) if known else _unknown(n)
        found.append(Pair(names[ratings.people[a]], names[ratings.people[b]], kappa))
    return found


def _annotators(
    method: str,
    ratings: Ratings,
    found: Aggregated,
    names: dict[int, str],
    n_classes: int,
    repeats: dict[int, tuple[int, int]],
) -> list[Annotator]:
    rows = []
    for column, judge_id in enumerate(ratings.people):
        own = ratings.table[:, column]
        given = own != MISSING
        cells = found.label[given] * n_classes + own[given]
        rows.append(
            Annotator(
                judge_id,
                names[judge_id],
                int(given.sum()),
                _with_others(ratings.table, column, n_classes),
                wilson(*repeats.get(judge_id, (0, 0))),
                float(found.skill[column]),
                _skill_interval(method, float(found.skill[column]), int(given.sum())),
                np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes),
            )
        )
    return rows


def _skill_interval(method: str, skill: float, n: int) -> Interval | None:
    if method not in ("majority", "dawid_skene") or not n or np.isnan(skill):
        return None
    return wilson(min(max(skill, 0.0), 1.0) * n, n)


def _with_others(table: NDArray[np.int64], column: int, n_classes: int) -> Interval:
    """Agreement with the majority of the others, over items where they have one."""
    votes = np.zeros((len(table), n_classes), dtype=np.int64)
    for other in range(table.shape[1]):
        if other != column:
            there = np.flatnonzero(table[:, other] != MISSING)
            votes[there, table[there, other]] += 1
    most = votes.max(axis=1, initial=0)
    clear = (most > 0) & ((votes == most[:, None]).sum(axis=1) == 1) & (table[:, column] != MISSING)
    agreed = votes[clear].argmax(axis=1) == table[clear, column]
    return wilson(int(agreed.sum()), int(clear.sum()))


def _repeats(store: Store, question: Question) -> dict[int, tuple[int, int]]:
    """For each person: how often an answer given again was the same, and how many were given again."""
    last: dict[tuple[int, int], str] = {}
    counted: dict[int, tuple[int, int]] = {}
    for row in store.ledger.iter_rows(question.id, include_superseded=True):
        said = row.judgement
        if row.judge_kind != "person" or said.answer is None or row.standing == "revoked":
            continue
        key, answer = (said.judge_id, said.item), question.resolve(said.answer)
        if key in last:
            same, n = counted.get(said.judge_id, (0, 0))
            counted[said.judge_id] = (same + (last[key] == answer), n + 1)
        last[key] = answer
    return counted


def _conflicts(
    ratings: Ratings, found: Aggregated, queue: NDArray[np.int64], names: dict[int, str], question: Question
) -> list[Conflict]:
    classes = [c.name for c in question.active]
    top: TopTwo | None = None
    if len(classes) >= 3 and len(ratings.people) >= 2:
        top = top_two(ratings.table, len(classes))
    rows = []
    for row in queue:
        said = tuple(
            (names[judge], classes[answer])
            for judge, answer in zip(ratings.people, ratings.table[row], strict=True)
            if answer != MISSING
        )
        label = int(found.label[row])
        rival, confusion = None, None
        if top is not None:
            pair = (int(top.first[row]), int(top.second[row]))
            rival = classes[pair[1] if pair[0] == label else pair[0]]
            confusion = float(top.confusion[row])
        item = int(ratings.items[row])
        settled = item in ratings.adjudicated
        rows.append(
            Conflict(item, said, classes[label], float(found.proba[row].max()), rival, confusion, settled)
        )
    return rows


def _unknown(n: int = 0) -> Interval:
    return Interval(float("nan"), -1.0, 1.0, n)
