"""Predictions explained by a few labelled items of each class: the plain ones and those at the border."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.neighbours import lift, within_limit
from plumbline_backend.heads.program import Elementwise, Program, affine, run


class Prototypes(ProgramHead):
    """Logits are linear in the similarities -log(|x - p|^2 + lift) to labelled items p.

    Each class has `trivial` prototypes, the items nearest to its mean, and `support` ones, which lie nearest to another
    class's mean for their distance from their own. `rows_` says which labelled item (row of fit's features) each is.
    Source: after Wang et al. 2023 (support and trivial prototypes), on fixed features.
    """

    name = "prototypes"
    explanation = (
        "Compares an item with a few typical and borderline items of each class, all labelled by you, and shows which "
        "of them decided."
    )
    MAX_CLASSES = 300
    SETTINGS = ("trivial", "support", "l2")
    ARRAYS = ("prototypes_", "rows_", "weight_", "bias_", "lift_", "typical_")
    FACTS = ("n_prototypes_", "converged_")

    def __init__(self, trivial: int = 2, support: int = 3, l2: float = 0.1) -> None:
        if trivial < 1 or support < 0 or not 0 <= l2 < float("inf"):
            raise InputError(
                f"trivial is {trivial}, support {support}, l2 {l2}; expected one or more, zero or more, zero or more"
            )
        self.trivial = trivial
        self.support = support
        self.l2 = l2

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: Prototypes | None = None,  # noqa: ARG002 - prototypes are chosen anew
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses, and more classes than MAX_CLASSES."""
        items = within_limit(
            labelled(features, targets, n_classes, sample_weight), self.name, self.MAX_CLASSES
        )
        weight = np.ones(len(features)) if sample_weight is None else np.asarray(sample_weight)
        chosen = _chosen(items, self.trivial, self.support)
        self.rows_ = np.flatnonzero(weight > 0)[chosen].astype(np.int64)
        self.prototypes_ = items.features[chosen].astype(np.float64)
        self.lift_, self.width_ = np.array([lift(items)]), items.features.shape[1]
        similar = run(self._similarity(), items.features)
        self.typical_ = np.asarray(np.average(similar, axis=0, weights=items.weight))
        head = LinearSoftmax(l2=self.l2).fit(similar, items.targets, n_classes, items.weight)
        self.weight_, self.bias_ = head.weight_, head.bias_
        self.n_prototypes_, self.converged_ = len(chosen), head.converged_
        return self

    def program(self) -> Program:
        """Squared distances as a matrix over [x, x^2], their logarithm, one matrix."""
        return (*self._similarity(), affine(self.weight_, self.bias_))

    def explain(self, item: NDArray[np.floating[Any]]) -> list[tuple[int, float]]:
        """(row of the labelled items, what it added to the answer's lead) for one (d,) item, most telling first.

        A lead is the answer's logit over the mean of all classes'; what a typical item gets from a prototype is left
        out.
        """
        similar = run(self._similarity(), self.checked(np.asarray(item)[None]))[0]
        answer = int((similar @ self.weight_.T + self.bias_).argmax())
        added = (self.weight_[answer] - self.weight_.mean(axis=0)) * (similar - self.typical_)
        order = np.argsort(-np.abs(added), kind="stable")
        return [(int(self.rows_[i]), float(added[i])) for i in order]

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """A linear head over five similarities per class."""
        return LinearSoftmax.estimate(n, 5 * k + d, k)

    def _similarity(self) -> Program:
        """-log of the lifted distance: the log's sign goes into a last diagonal matrix."""
        centre = self.prototypes_.mean(axis=0)
        p = self.prototypes_ - centre
        return (
            affine(np.eye(self.width_), -centre),
            Elementwise("squares"),
            affine(np.concatenate([-2 * p, np.ones_like(p)], axis=1), (p * p).sum(axis=1) + self.lift_[0]),
            Elementwise("reciprocal"),
            Elementwise("log"),
        )


def _chosen(items: Labelled, trivial: int, support: int) -> NDArray[np.intp]:
    """Rows of the prototypes, class by class."""
    x, y, mass = items.features.astype(np.float64), items.likeliest, items.mass()
    present = np.unique(y)
    means = (items.sums(x) / np.where(mass > 0, mass, 1.0)[:, None])[present]
    distance = (x * x).sum(axis=1)[:, None] - 2 * x @ means.T + (means * means).sum(axis=1)
    column = np.searchsorted(present, y)
    own = distance[np.arange(len(x)), column]
    distance[np.arange(len(x)), column] = np.inf
    border = distance.min(axis=1) - own
    rows: list[int] = []
    for k in range(len(present)):
        members = np.flatnonzero(column == k)
        plain = members[np.argsort(own[members], kind="stable")[:trivial]]
        rest = np.setdiff1d(members, plain)
        rows += [*plain, *rest[np.argsort(border[rest], kind="stable")[:support]]]
    return np.array(rows)
