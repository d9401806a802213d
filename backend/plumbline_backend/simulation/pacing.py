"""Self-paced pseudo-labels in a simulated labelling: the product's policies, rules, audits and stream, over arrays."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import Positions
from plumbline_backend.pace.control import Audit, PaceState, Paired, next_round, switched
from plumbline_backend.pace.held_out import Fit, on_held_out
from plumbline_backend.pace.pacing import AUDIT_EVERY, EVERY, MOST_TAKEN
from plumbline_backend.pace.policy import PaceView
from plumbline_backend.pace.proposals import TAKEN, nearest_human, propose, training_weights
from plumbline_backend.registry import PACES
from plumbline_backend.strategies.geometry import k_means

GROUPS = 50
LABELS_PER_STREAM = 9
"""One ask in ten is the random stream's, as the product's `stream_share` has it: one for each nine labels."""
RESERVE_SHARE = 0.1
"""The stream never takes more of the pool than this."""


class Known(NamedTuple):
    """What is known after a fit: positions and class indices of the labels, and the classes' numbers."""

    items: Positions
    targets: NDArray[np.int64]
    classes: NDArray[np.int64]


class Taken(NamedTuple):
    """Pseudo-labels: positions, class numbers and weights."""

    items: Positions
    number: NDArray[np.int64]
    weight: NDArray[np.float64]


NONE = Taken(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))


class PaceOfRun:
    """Proposals of the last head, what audits and the random stream said of them, and the pace that follows from it.

    The stream's items are drawn before the first question, are never trained on, and are answered beside the labels;
    they calibrate the head, check what would have been proposed, and compare heads with pseudo-labels and without.
    """

    def __init__(
        self,
        policy: str,
        x: NDArray[np.float32],
        truth: NDArray[np.int64],
        answers: NDArray[np.int64],
        budget: int,
        rng: np.random.Generator,
    ) -> None:
        self._policy = PACES.get(policy)()
        self._x, self._truth, self._answers, self._budget, self._rng = x, truth, answers, budget, rng
        n_reserve = min(budget // LABELS_PER_STREAM, int(RESERVE_SHARE * len(x)))
        self.reserve: Positions = rng.permutation(len(x))[:n_reserve]
        self.state: PaceState = switched(PaceState(), on=True)
        self._audits: dict[str, Audit] = {}
        self._waiting: dict[int, int] = {}
        self._taken = NONE
        self._n_human = 0
        grouped = "groups" in self._policy.needs
        self._groups = k_means(x, GROUPS, rng).member if grouped else np.zeros(len(x), dtype=np.int64)
        self.history: list[dict[str, float]] = []

    def checks(self, n: int, asked: list[int]) -> list[int]:
        """Proposals to be asked blindly among the next `n` items, drawn uniformly: one in ten, as on the Label page."""
        open_ = np.setdiff1d(self._taken.items, np.array(asked, dtype=np.int64))
        due = (len(asked) + n) // AUDIT_EVERY - len(asked) // AUDIT_EVERY
        drawn = self._rng.permutation(open_)[:due].tolist()
        said = dict(zip(self._taken.items.tolist(), self._taken.number.tolist(), strict=True))
        self._waiting = {item: said[item] for item in drawn}
        return drawn

    def training_rows(
        self, items: Positions, targets: NDArray[np.int64], classes: NDArray[np.int64]
    ) -> tuple[Positions, NDArray[np.int64], NDArray[np.float64]]:
        """Answers with weight 1, and the pseudo-labels of classes that are known with theirs."""
        usable = np.isin(self._taken.number, classes) & ~np.isin(self._taken.items, items)
        rows, number = self._taken.items[usable], self._taken.number[usable]
        wrong = int((self._truth[rows] != number).sum())
        self.history.append({"labels": len(items), "pseudo": len(rows), "wrong": wrong})
        weight = training_weights(self._taken.weight[usable], len(items))
        return (
            np.r_[items, rows],
            np.r_[targets, np.searchsorted(classes, number)],
            np.r_[np.ones(len(items)), weight],
        )

    def next_round(self, known: Known, head: Head, fit: Fit) -> None:
        """Take in the checks, and after every ten labels decide on the pace and propose anew; nothing is sticky.

        fit: trains a head like `head`, to see what pseudo-labels do. Between rounds a label goes where the newest head
        no longer proposes it, and no new one comes.
        """
        for item, said in self._waiting.items():
            n, right = self._audits.get(str(said), Audit(0, 0))
            self._audits[str(said)] = Audit(n + 1, right + int(self._answers[item] == said))
        self._waiting = {}
        stream = self.reserve[: len(known.items) // LABELS_PER_STREAM]
        calibrator = self._calibrated(known, head, stream)
        if len(known.items) - self._n_human < EVERY:
            proposed, _ = self._propose(known, head, calibrator, stream)
            self._keep_common(proposed)
            return
        self._n_human = len(known.items)
        _, checked = self._propose(known, head, calibrator, stream)
        ids = tuple(map(str, known.classes))
        self.state = next_round(
            self.state,
            _added(self._audits, checked),
            self._on_stream(known, head, fit, stream),
            min(1.0, len(known.items) / self._budget),
            ids,
            self._on_held_out(known, fit),
        )
        stopped = self.state.mode != "on" or self.state.waiting
        self._taken = NONE if stopped else self._propose(known, head, calibrator, stream)[0]

    def _calibrated(self, known: Known, head: Head, stream: Positions) -> Temperature:
        rows = stream[np.isin(self._answers[stream], known.classes)]
        targets = np.searchsorted(known.classes, self._answers[rows])
        return Temperature().fit(head.logits(self._x[rows]), targets)

    def _lam(self, known: Known) -> NDArray[np.float64]:
        return np.array([self.state.of(str(number)) for number in known.classes])

    def _free(self, known: Known) -> Positions:
        return np.setdiff1d(np.arange(len(self._x)), np.r_[known.items, self.reserve])

    def _propose(
        self, known: Known, head: Head, calibrator: Temperature, stream: Positions
    ) -> tuple[Taken, dict[str, Audit]]:
        """The surest proposals among free items, and by class how often stream items would have been taken rightly."""
        free = self._free(known)
        rows = np.r_[free, stream]
        proba = calibrator.proba(head.logits(self._x[rows]))
        found = propose(
            self._policy,
            PaceView(proba, self._lam(known), self._groups[rows]),
            np.bincount(known.targets, minlength=len(known.classes)),
            lambda asked: nearest_human(self._x[rows[asked]], self._x[known.items], known.targets),
        )
        taken = found.taken[found.taken < len(free)]
        sure = np.argsort(-proba[taken, found.target[taken]], kind="stable")[:MOST_TAKEN]
        taken = taken[sure]
        on_stream = np.flatnonzero(found.status[len(free) :] == TAKEN) + len(free)
        checked: dict[str, Audit] = {}
        for row in on_stream.tolist():
            said = known.classes[found.target[row]]
            n, right = checked.get(str(said), Audit(0, 0))
            checked[str(said)] = Audit(n + 1, right + int(self._answers[rows[row]] == said))
        return Taken(rows[taken], known.classes[found.target[taken]], found.weight[taken]), checked

    def _keep_common(self, proposed: Taken) -> None:
        """What is in force and still proposed as the same class, with its newest weight."""
        before = dict(zip(self._taken.items.tolist(), self._taken.number.tolist(), strict=True))
        pairs = zip(proposed.items.tolist(), proposed.number.tolist(), strict=True)
        same = np.array([before.get(item) == number for item, number in pairs], dtype=bool)
        self._taken = Taken(*(part[same] for part in proposed))

    def _on_stream(self, known: Known, head: Head, fit: Fit, stream: Positions) -> Paired:
        """Stream answers that only one of two heads gets right: the newest, or one from human labels alone."""
        if not len(stream) or not (self.history and self.history[-1]["pseudo"]):
            return Paired(0, 0, len(stream))
        x = self._x[stream]
        without = fit(self._x[known.items], known.targets, None)
        right, right_without = (
            known.classes[says.argmax(axis=1)] == self._answers[stream]
            for says in (head.logits(x), without(x))
        )
        return Paired(int((right & ~right_without).sum()), int((right_without & ~right).sum()), len(stream))

    def _on_held_out(self, known: Known, fit: Fit) -> Paired:
        free = self._free(known)
        asked = partial(on_held_out, self._policy, self._lam(known), self._x[known.items], known.targets)
        return asked(self._x[free], self._groups[free], fit, self._rng)


def _added(audits: dict[str, Audit], checked: dict[str, Audit]) -> dict[str, Audit]:
    """Both kinds of blind checks together, by class."""
    none = Audit(0, 0)
    pairs = {c: (audits.get(c, none), checked.get(c, none)) for c in {*audits, *checked}}
    return {c: Audit(a.n + b.n, a.right + b.right) for c, (a, b) in pairs.items()}
