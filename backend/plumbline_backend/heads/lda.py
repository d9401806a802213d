"""Linear discriminant analysis whose updates are exact: sessions add up to what one batch would give."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.moments import Moments, added, moments_of
from plumbline_backend.heads.program import Program, affine

LEAST_SHRINKAGE = 1e-6
"""Keeps the covariance invertible where columns are constant or double."""


class LDA(ProgramHead):
    """Gaussian classes with one covariance: W = mu A^-1, b = -w^T mu / 2 + log prior, A = (1 - l) S + l (tr S / d) I.

    shrinkage: l in [0, 1], or -1 to choose it from S, n and d (OAS, Chen et al. 2010), which is exact across
    sessions too. `update` adds items to what was learned; the result equals one fit on all of them.
    """

    name = "lda"
    explanation = (
        "One Gaussian per class with a common covariance: trained in one pass, updated exactly with every label, "
        "strong with few labels per class."
    )
    SETTINGS = ("shrinkage",)
    ARRAYS = ("weight_", "bias_", "mass_", "sums_", "products_", "origin_")
    FACTS = ("shrinkage_", "n_")

    def __init__(self, shrinkage: float = -1.0) -> None:
        if shrinkage != -1 and not 0 <= shrinkage <= 1:
            raise InputError(f"shrinkage is {shrinkage}; expected 0 to 1, or -1 to have it chosen")
        self.shrinkage = shrinkage

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: LDA | None = None,  # noqa: ARG002 - the solution is closed
    ) -> Self:
        """Learn; a warm start changes nothing, the solution is closed. Refuses what LinearSoftmax.fit refuses."""
        items = labelled(features, targets, n_classes, sample_weight)
        origin = np.asarray(np.average(items.features.astype(np.float64), axis=0, weights=items.weight))
        self.n_ = len(items.features)
        self._solve(moments_of(items, origin), items)
        return self

    def update(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
    ) -> Self:
        """Learn more items, new classes included, without the old ones. A session may hold a single class."""
        x = self.checked(features)
        pair = np.eye(2, x.shape[1])  # two items of weight zero let a session of one class pass the checks
        weight = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        items = _session(x, np.asarray(targets), n_classes, weight, pair)
        self.n_ += len(items.features)
        self._solve(added(self.moments, moments_of(items, self.origin_)), items)
        return self

    @property
    def moments(self) -> Moments:
        """What was learned so far, from which everything else follows."""
        return Moments(self.mass_, self.sums_, self.products_, self.origin_)

    def program(self) -> Program:
        """One step: W x + b."""
        return (affine(self.weight_, self.bias_),)

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """n d^2 for the products and d^3 / 3 + k d^2 for the solution."""
        return Cost(1e-10 * (n * d * d + d**3 + k * d * d), 8 * (4 * d * d + 3 * k * d + 16_384 * d) / 2**20)

    def _solve(self, learned: Moments, items: Labelled) -> None:
        self.mass_, self.sums_, self.products_, self.origin_ = learned
        d = len(learned.origin)
        within = learned.within()
        freedom = max(1.0, learned.mass.sum() - np.count_nonzero(learned.mass))
        self.shrinkage_ = max(
            LEAST_SHRINKAGE, oas_shrinkage(within, freedom) if self.shrinkage == -1 else self.shrinkage
        )
        shrunk = (1 - self.shrinkage_) * within
        shrunk.flat[:: d + 1] += self.shrinkage_ * np.trace(within) / d
        present = np.flatnonzero(learned.mass > 0)
        means = learned.means[present]
        weight = cho_solve(cho_factor(shrunk, lower=True), means.T).T
        prior = np.log(learned.mass[present] / learned.mass.sum())
        bias = prior - 0.5 * (weight * means).sum(axis=1) - weight @ learned.origin
        hidden = items.features.astype(np.float64)
        final = over_all_classes(affine(weight, bias), present, len(learned.mass), hidden)
        self.weight_, self.bias_, self.width_ = final.weight, final.bias, d


def oas_shrinkage(covariance: NDArray[np.float64], freedom: float) -> float:
    """Oracle-approximating shrinkage towards the mean variance, in [0, 1]."""
    d = len(covariance)
    squares, trace = float((covariance**2).sum()), float(np.trace(covariance))
    apart = squares - trace**2 / d
    if apart <= 1e-12 * squares:
        return 1.0
    return float(min(1.0, ((1 - 2 / d) * squares + trace**2) / ((freedom + 1 - 2 / d) * apart)))


def _session(
    x: NDArray[np.floating[Any]],
    targets: NDArray[Any],
    n_classes: int,
    weight: NDArray[np.float64],
    pair: NDArray[np.float64],
) -> Labelled:
    if targets.ndim == 2 or len(np.unique(targets[weight > 0])) > 1 or len(x) == 0 or not weight.any():
        return labelled(x, targets, n_classes, weight)
    only = int(targets[weight > 0][0])
    other = (only + 1) % max(2, n_classes)
    both = np.concatenate([x, pair[:1].astype(x.dtype)])
    checked = labelled(both, np.append(targets, other), max(2, n_classes), np.append(weight, 1.0))
    return checked.rows(np.arange(len(checked.features) - 1))
