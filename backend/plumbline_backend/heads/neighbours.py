"""Heads that keep the labelled items and let the near ones vote."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.program import Affine, Elementwise, Neighbours, Program, affine

COUNTS = (1, 3, 5, 9, 15, 25)
EXPONENTS = (2, 4, 8, 16, 32)
MAX_CLASSES = 1000
"""The votes of n items are an n x classes matrix."""
_LIFT = 1e-2
"""Share of the items' variance that is added to every squared distance, so that no vote is infinite."""
_SAMPLE = 1500
"""Items that are left out in turn to choose a setting."""


class KNearest(ProgramHead):
    """Shares of the k nearest labelled items' classes, weighted by one over the squared distance; logits their logs.

    k: how many, or 0 to choose it among 1, 3, 5, 9, 15, 25 by leaving each item out in turn. A share is mixed with
    one vote for no class in particular, so that it is never zero.
    """

    name = "k_nearest"
    explanation = (
        "Lets the most similar labelled items vote: no training, every prediction can be explained by items you "
        "labelled; slow on very large pools."
    )
    MAX_CLASSES = MAX_CLASSES
    SETTINGS = ("k",)
    ARRAYS = ("anchors_", "values_", "lift_", "rows_")
    FACTS = ("k_", "left_out_accuracy_")

    def __init__(self, k: int = 0) -> None:
        if k < 0:
            raise InputError(f"k is {k}; expected one neighbour or more, or 0 to have it chosen")
        self.k = k

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: KNearest | None = None,  # noqa: ARG002 - nothing is searched for
    ) -> Self:
        """Keep the items; refuses what LinearSoftmax.fit refuses, and more classes than MAX_CLASSES."""
        items = within_limit(labelled(features, targets, n_classes, sample_weight), self.name, MAX_CLASSES)
        self.anchors_, self.lift_ = items.features.astype(np.float64), np.array([lift(items)])
        self.values_ = votes(items)
        weight = np.ones(len(features)) if sample_weight is None else np.asarray(sample_weight)
        self.rows_ = np.flatnonzero(weight > 0).astype(np.int64)
        self.width_ = items.features.shape[1]
        n = len(items.features)
        self.k_, self.left_out_accuracy_ = min(self.k, n), None
        if self.k == 0:
            self.k_, self.left_out_accuracy_ = _best_count(items, float(self.lift_[0]), self.values_)
        return self

    def program(self) -> Program:
        """A column that is 0 for items and sqrt(lift) for anchors, the vote, smoothing, log."""
        centre = self.anchors_.mean(axis=0)
        lifted = np.full((len(self.anchors_), 1), np.sqrt(self.lift_[0]))
        moved = affine(np.eye(self.width_ + 1, self.width_), np.append(-centre, 0.0))
        near = Neighbours(np.concatenate([self.anchors_ - centre, lifted], axis=1), self.values_, self.k_)
        return (moved, near, *log_shares(self.k_, len(self.anchors_), self.values_.shape[1]))

    def explain(self, item: NDArray[np.floating[Any]]) -> list[tuple[int, float]]:
        """(row of fit's features, share of the vote) of the items that decide about one (d,) item."""
        distance = ((self.anchors_ - item) ** 2).sum(axis=1) + float(self.lift_[0])
        nearest = np.argsort(distance, kind="stable")[: self.k_]
        weight = 1 / distance[nearest]
        shares = weight / weight.sum()
        return [(int(self.rows_[i]), float(share)) for i, share in zip(nearest, shares, strict=True)]

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """Distances of a sample to all items; the items are kept."""
        return Cost(4e-10 * n * min(n, _SAMPLE) * d, 8 * n * (d + k) / 2**20)


class SingularKernel(ProgramHead):
    """Every labelled item votes with distance^-exponent: a kernel that is infinite at its own item.

    It fits every label and still averages between them (Belkin et al. 2019). exponent: a power of two, or 0 to choose
    it among 2, 4, 8, 16, 32 by leaving each item out in turn.
    """

    name = "singular_kernel"
    explanation = (
        "All labelled items vote, near ones overwhelmingly: agrees with every label you gave and still averages in "
        "between."
    )
    MAX_CLASSES = MAX_CLASSES
    SETTINGS = ("exponent",)
    ARRAYS = ("anchors_", "values_", "lift_")
    FACTS = ("exponent_", "left_out_accuracy_")

    def __init__(self, exponent: int = 0) -> None:
        if exponent not in (0, *EXPONENTS):
            raise InputError(
                f"exponent is {exponent}; expected one of {', '.join(map(str, (0, *EXPONENTS)))}"
            )
        self.exponent = exponent

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: SingularKernel | None = None,  # noqa: ARG002 - nothing is searched for
    ) -> Self:
        """Keep the items; refuses what LinearSoftmax.fit refuses, and more classes than MAX_CLASSES."""
        items = within_limit(labelled(features, targets, n_classes, sample_weight), self.name, MAX_CLASSES)
        self.anchors_, self.lift_ = items.features.astype(np.float64), np.array([lift(items)])
        self.values_ = votes(items)
        self.width_ = items.features.shape[1]
        self.exponent_, self.left_out_accuracy_ = self.exponent, None
        if self.exponent == 0:
            self.exponent_, self.left_out_accuracy_ = _best_exponent(
                items, float(self.lift_[0]), self.values_
            )
        return self

    def program(self) -> Program:
        """Squared distances by a matrix over [x, x^2], in units of the variance; their inverse power; the vote."""
        centre, unit = self.anchors_.mean(axis=0), float(self.lift_[0]) / _LIFT
        a = self.anchors_ - centre
        distance = np.concatenate([-2 * a, np.ones_like(a)], axis=1) / unit
        rounds = int(np.log2(self.exponent_ // 2))
        n, k = self.values_.shape
        return (
            affine(np.eye(self.width_), -centre),
            Elementwise("squares"),
            affine(distance, (a * a).sum(axis=1) / unit + _LIFT),
            Elementwise("reciprocal"),
            *(Elementwise("square") for _ in range(rounds)),
            affine(self.values_.T + 1 / (k * (n + k))),
            Elementwise("log"),
            affine(np.eye(k)),
        )

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """Distances of a sample to all items; the items are kept."""
        return Cost(4e-10 * n * min(n, _SAMPLE) * d, 8 * n * (d + k) / 2**20)


def within_limit(items: Labelled, name: str, limit: int) -> Labelled:
    """The items. Raises InputError when there are more classes than the head is made for."""
    if items.n_classes > limit:
        raise InputError(f"head {name!r} has {items.n_classes} classes; it is made for at most {limit:,}")
    return items


def lift(items: Labelled) -> float:
    """What is added to every squared distance."""
    x = items.features.astype(np.float64)
    variance = float(
        np.average(((x - np.average(x, axis=0, weights=items.weight)) ** 2).sum(axis=1), weights=items.weight)
    )
    return _LIFT * (variance if variance > 0 else 1.0)


def votes(items: Labelled) -> NDArray[np.float64]:
    """(n, K) what each item says; its weight over the mean weight counts as that many votes."""
    shares = items.targets if items.soft else np.eye(items.n_classes)[items.targets]
    return np.asarray(shares * (items.weight / items.weight.mean())[:, None])


def log_shares(k: int, n: int, n_classes: int) -> tuple[Affine, Elementwise, Affine]:
    """log((k share + 1 vote spread over n + K) / ...): no class is impossible."""
    spread = 1 / (n + n_classes)
    return (
        affine(np.eye(n_classes) * k / (k + 1), max(spread / (k + 1), 1e-9)),
        Elementwise("log"),
        affine(np.eye(n_classes)),
    )


def _left_out(items: Labelled, lifted: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """A sample of items, and their squared distances to all items, infinite to themselves."""
    n = len(items.features)
    chosen = np.linspace(0, n - 1, min(n, _SAMPLE)).astype(int)
    x = items.features.astype(np.float64)
    x = x - x.mean(axis=0)
    lengths = (x * x).sum(axis=1)
    distance = lengths[chosen, None] + lengths - 2 * x[chosen] @ x.T
    distance = np.maximum(distance, 0.0) + lifted
    distance[np.arange(len(chosen)), chosen] = np.inf
    return chosen, distance


def _best_count(items: Labelled, lifted: float, values: NDArray[np.float64]) -> tuple[int, float]:
    chosen, distance = _left_out(items, lifted)
    counts = [k for k in COUNTS if k < len(items.features)] or [1]
    order = np.argsort(distance, axis=1, kind="stable")[:, : counts[-1]]
    weight = 1 / np.take_along_axis(distance, order, axis=1)
    right = []
    for k in counts:
        share = np.einsum("nk,nkc->nc", weight[:, :k], values[order[:, :k]])
        right.append(float(np.mean(share.argmax(axis=1) == items.likeliest[chosen])))
    best = int(np.argmax(right))
    return counts[best], right[best]


def _best_exponent(items: Labelled, lifted: float, values: NDArray[np.float64]) -> tuple[int, float]:
    chosen, distance = _left_out(items, lifted)
    nearest = distance.min(axis=1, keepdims=True)
    nearest[~np.isfinite(nearest)] = 1.0
    right = []
    for exponent in EXPONENTS:
        share = (nearest / distance) ** (exponent / 2) @ values
        right.append(float(np.mean(share.argmax(axis=1) == items.likeliest[chosen])))
    best = int(np.argmax(right))
    return EXPONENTS[best], right[best]
