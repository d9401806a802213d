"""Self-paced pseudo-labels inside a simulated labelling: the product's policies, rules and audits over arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import Positions
from plumbline_backend.pace.control import Audit, PaceState, Paired, next_round, switched
from plumbline_backend.pace.held_out import Fit, on_held_out
from plumbline_backend.pace.pacing import AUDIT_EVERY
from plumbline_backend.pace.policy import PaceView
from plumbline_backend.pace.proposals import nearest_human, propose, training_weights
from plumbline_backend.registry import PACES
from plumbline_backend.strategies.geometry import k_means

GROUPS = 50
ROUND = 10
"""Answers between two comparisons on held-out labels, as between two rounds of the product."""


class PaceOfRun:
    """Proposals of the last head, what audits said of them, and the pace that follows from it."""

    def __init__(
        self, policy: str, x: NDArray[np.float32], truth: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        self._policy = PACES.get(policy)()
        self._x, self._truth, self._rng = x, truth, rng
        self._state: PaceState = switched(PaceState(), on=True)
        self._audits: dict[str, Audit] = {}
        self._waiting: dict[int, int] = {}
        self._taken: Positions = np.empty(0, dtype=np.int64)
        self._as: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._weight = np.empty(0)
        self._compared = 0
        grouped = "groups" in self._policy.needs
        self._groups = k_means(x, GROUPS, rng).member if grouped else np.zeros(len(x), dtype=np.int64)
        self.history: list[dict[str, float]] = []

    def checks(self, n: int, asked: list[int]) -> list[int]:
        """Proposals to be asked blindly among the next `n` items, drawn uniformly: one in ten, as on the Label page."""
        taken = np.setdiff1d(self._taken, np.array(asked, dtype=np.int64))
        due = (len(asked) + n) // AUDIT_EVERY - len(asked) // AUDIT_EVERY
        drawn = self._rng.permutation(taken)[:due].tolist()
        said = dict(zip(self._taken.tolist(), self._as.tolist(), strict=True))
        self._waiting = {item: said[item] for item in drawn}
        return drawn

    def training_rows(
        self, items: Positions, targets: NDArray[np.int64], classes: NDArray[np.int64]
    ) -> tuple[Positions, NDArray[np.int64], NDArray[np.float64]]:
        """Answers with weight 1, and the pseudo-labels of classes that are known with theirs."""
        usable = np.isin(self._as, classes) & ~np.isin(self._taken, items)
        rows, said = self._taken[usable], np.searchsorted(classes, self._as[usable])
        weight = training_weights(self._weight[usable], len(items))
        wrong = int((self._truth[rows] != self._as[usable]).sum())
        self.history.append({"labels": len(items), "pseudo": len(rows), "wrong": wrong})
        return np.r_[items, rows], np.r_[targets, said], np.r_[np.ones(len(items)), weight]

    def next_round(
        self,
        items: Positions,
        answers: NDArray[np.int64],
        classes: NDArray[np.int64],
        head: Head,
        budget: int,
        fit: Fit,
    ) -> None:
        """Take in the audits, move the pace, and propose anew; nothing is kept from the round before.

        fit: trains a head like `head`, to see whether held-out answers are predicted better with pseudo-labels.
        """
        for item, said in self._waiting.items():
            key = str(said)
            n, right = self._audits.get(key, Audit(0, 0))
            self._audits[key] = Audit(n + 1, right + int(answers[item] == said))
        self._waiting = {}
        ids = tuple(map(str, classes))
        free = np.setdiff1d(np.arange(len(self._x)), items)
        targets = np.searchsorted(classes, answers[items])
        lam = np.array([self._state.of(class_id) for class_id in ids])
        held_out = None
        if len(items) // ROUND != self._compared:
            self._compared = len(items) // ROUND
            groups = self._groups[free]
            held_out = on_held_out(
                self._policy, lam, self._x[items], targets, self._x[free], groups, fit, self._rng
            )
        stream = Paired(0, 0, 0)
        self._state = next_round(self._state, self._audits, stream, len(items) / budget, ids, held_out)
        if self._state.waiting:
            self._taken, self._as, self._weight = self._taken[:0], self._as[:0], self._weight[:0]
            return
        lam = np.array([self._state.of(class_id) for class_id in ids])
        view = PaceView(head.proba(self._x[free]), lam, self._groups[free])
        found = propose(
            self._policy,
            view,
            np.bincount(targets, minlength=len(classes)),
            lambda rows: nearest_human(self._x[free[rows]], self._x[items], targets),
        )
        rows = found.taken
        self._taken, self._as = free[rows], classes[found.target[rows]]
        self._weight = found.weight[rows]
