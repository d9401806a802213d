"""One simulated labelling: split -> first answers -> (fit -> measure -> ask -> answer) until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import ArrayRows, Labelled, PoolView, ProbaOf
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.ports import Head, Strategy
from plumbline_backend.domain.types import Positions
from plumbline_backend.heads.making import make_head
from plumbline_backend.registry import HEADS
from plumbline_backend.simulation.data import Dataset
from plumbline_backend.simulation.pacing import Known, PaceOfRun
from plumbline_backend.simulation.setup import NO_PACE, OWN, Setup
from plumbline_backend.strategies.base import ask
from plumbline_backend.strategies.committee import bootstrapped
from plumbline_backend.strategies.random import Random

WITHOUT_MODEL = frozenset({"features", "descriptions"})
UNLABELLED = 5_000
SCORE_ROWS = 65_536

Progress = Callable[[int], None]
"""Told the number of labels after each batch."""


@dataclass(frozen=True)
class SeedCurve:
    """What one seed gave: test accuracy after each batch, and of a head that knew every answer of the pool."""

    seed: int
    labels: list[int]
    accuracy: list[float]
    full_accuracy: float
    n_pool: int
    """Items that could be asked: with a pace, those of its random stream are not among them."""
    n_test: int
    seconds: float
    query_s: float
    pseudo: list[dict[str, float]] = field(default_factory=list)
    """Per batch with a pace: labels, pseudo-labels in force, and how many of them are wrong."""

    def as_json(self) -> dict[str, Any]:
        """As a result file holds it."""
        return asdict(self)

    def cut_to(self, budget: int) -> SeedCurve | None:
        """What a run with this budget would have given; None where this one tells nothing of it."""
        goal = min(budget, self.n_pool)
        end = next((i for i, n in enumerate(self.labels) if n >= goal), None)
        if end is None or (end > 0 and self.labels[end] != goal):
            return None
        end += 1
        return replace(self, labels=self.labels[:end], accuracy=self.accuracy[:end], pseudo=self.pseudo[:end])


def run_seed(data: Dataset, setup: Setup, seed: int, progress: Progress | None = None) -> SeedCurve:
    """Label the data's pool part as `setup` says; the split, the answers and every draw depend on the seed alone."""
    start = time.perf_counter()
    rng = np.random.default_rng([seed, 17])
    pool, test = split(len(data.y), setup.test_share, rng)
    run = _Run(data, setup, pool, test, rng)
    classes, targets = np.unique(data.y[pool], return_inverse=True)
    full = run.accuracy_of(run.trained(np.arange(len(pool)), targets, classes), classes)
    labels, accuracy = [], []
    run.first_answers()
    while True:
        accuracy.append(run.fit_and_measure())
        labels.append(len(run.items))
        if progress is not None:
            progress(len(run.items))
        if len(run.items) >= min(setup.budget, run.n_askable):
            break
        run.ask(min(setup.batch, setup.budget - len(run.items)))
    seconds = time.perf_counter() - start
    pseudo = [] if run.pace is None else run.pace.history
    return SeedCurve(seed, labels, accuracy, full, run.n_askable, len(test), seconds, run.query_s, pseudo)


def split(n: int, test_share: float, rng: np.random.Generator) -> tuple[Positions, Positions]:
    """Positions that may be asked and positions that measure, drawn at random; both at least one."""
    order = rng.permutation(n)
    n_test = min(max(1, round(test_share * n)), n - 1)
    return np.sort(order[n_test:]), np.sort(order[:n_test])


def answers_of(
    y: NDArray[np.int64], n_classes: int, noise: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """What the oracle says: the truth, or with probability `noise` another class, uniformly; once per item."""
    wrong = rng.random(len(y)) < noise
    other = (y + rng.integers(1, n_classes, size=len(y))) % n_classes
    return np.where(wrong, other, y)


class _Run:
    """The state of one labelling: `items` are positions in the pool part, in the order in which they were asked."""

    def __init__(
        self, data: Dataset, setup: Setup, pool: Positions, test: Positions, rng: np.random.Generator
    ) -> None:
        self.setup, self.rng = setup, rng
        self.x, self.test_x = data.x[pool], data.x[test]
        self.truth, self.test_y = data.y[pool], data.y[test]
        self.descriptions, self.names = data.descriptions, data.classes
        self.answers = answers_of(self.truth, len(data.classes), setup.noise, rng)
        self.strategy = setup.make_strategy()
        self.items: list[int] = []
        self.head: Head | None = None
        self.classes: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.pace = (
            None
            if setup.pace == NO_PACE
            else PaceOfRun(setup.pace, self.x, self.truth, self.answers, setup.budget, rng)
        )
        self.reserve = [] if self.pace is None else self.pace.reserve.tolist()
        self.n_askable = len(self.x) - len(self.reserve)
        self.query_s = 0.0

    def first_answers(self) -> None:
        """`start` answers before the first fit, and more by the batch until two classes are known."""
        self.ask(min(self.setup.start, self.n_askable))
        while len(np.unique(self.answers[self.items])) < 2 and len(self.items) < self.n_askable:
            self.ask(min(self.setup.batch, self.n_askable - len(self.items)))

    def ask(self, n: int) -> None:
        """Ask `n` more items: the strategy's, or random ones where it needs a model that is not there."""
        start = time.perf_counter()
        checks = [] if self.pace is None else self.pace.checks(n, self.items)
        view = self._view(closed=[*self.items, *checks, *self.reserve])
        strategy = self.strategy if self._can_ask(self.strategy) else Random()
        found = ask(strategy, view, n - len(checks), self.rng).items.tolist()
        self.query_s += time.perf_counter() - start
        if not found and not checks:
            raise InputError(
                f"strategy {strategy.name!r} asks nothing although {self.n_askable - len(self.items)} are left"
            )
        self.items += [*found, *checks]

    def fit_and_measure(self) -> float:
        """Train on the answers (and pseudo-labels), propose new pseudo-labels, and give the test accuracy."""
        items = np.array(self.items)
        before = self.classes
        self.classes, targets = np.unique(self.answers[items], return_inverse=True)
        if len(self.classes) < 2:
            return float((self.test_y == self.classes[0]).mean())
        rows, weight = items, None
        if self.pace is not None:
            rows, targets, weight = self.pace.training_rows(items, targets, self.classes)
        same = np.array_equal(before, self.classes)
        self.head = self.trained(rows, targets, self.classes, weight, self.head if same else None)
        if self.pace is not None:
            human = np.searchsorted(self.classes, self.answers[items])
            self.pace.next_round(Known(items, human, self.classes), self.head, self._fit_of_features)
        return self.accuracy_of(self.head, self.classes)

    def trained(
        self,
        rows: NDArray[np.int64],
        targets: NDArray[np.int64],
        classes: NDArray[np.int64],
        weight: NDArray[np.float64] | None = None,
        warm: Head | None = None,
    ) -> Head:
        """A head on pool rows; targets index `classes`. `warm` is one of the same classes to start from."""
        head = self._new_head(classes)
        return head.fit(self.x[rows], targets, len(classes), sample_weight=weight, warm_start=warm)

    def _fit_of_features(
        self, x: NDArray[Any], targets: NDArray[np.int64], weight: NDArray[np.float64] | None
    ) -> ProbaOf:
        head = self._new_head(self.classes).fit(x, targets, len(self.classes), sample_weight=weight)
        return head.proba

    def accuracy_of(self, head: Head, classes: NDArray[np.int64]) -> float:
        """Share of the test items whose class is the likeliest."""
        right = 0
        for start in range(0, len(self.test_x), SCORE_ROWS):
            rows = slice(start, start + SCORE_ROWS)
            right += int((classes[head.logits(self.test_x[rows]).argmax(axis=1)] == self.test_y[rows]).sum())
        return right / len(self.test_y)

    def _can_ask(self, strategy: Strategy) -> bool:
        if self.head is not None:
            return True
        own = self.setup.first == OWN
        return own and frozenset(strategy.needs) <= WITHOUT_MODEL

    def _view(self, closed: list[int]) -> PoolView:
        candidates = np.ones(len(self.x), dtype=bool)
        candidates[closed] = False
        features = ArrayRows(self.x)
        labelled = self._labelled()
        if self.head is None or labelled is None:
            return PoolView(candidates, features=features, labelled=labelled, descriptions=self.descriptions)
        return PoolView(
            candidates,
            scores=self.head.scores(self.x),
            features=features,
            labelled=labelled,
            proba=self.head.proba,
            committee=partial(
                bootstrapped,
                partial(self._new_head, self.classes),
                self.x[labelled.items],
                labelled,
                self.rng,
            ),
            descriptions=self.descriptions,
        )

    def _labelled(self) -> Labelled | None:
        if not self.items:
            return None
        items = np.array(self.items)
        classes, targets = np.unique(self.answers[items], return_inverse=True)
        return Labelled(items, targets.astype(np.int64), len(classes))

    def _new_head(self, classes: NDArray[np.int64]) -> Head:
        known: dict[str, Any] = {"seed": 0, "class_texts": [self.names[c] for c in classes]}
        if "unlabelled" in HEADS.get(self.setup.head).needs:
            known["unlabelled"] = self.x[self.rng.permutation(len(self.x))[:UNLABELLED]]
        return make_head(self.setup.head, known)
