"""Naive Bayes: columns that are independent within a class, Gaussian or counts."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import ProgramHead
from plumbline_backend.heads.checks import labelled
from plumbline_backend.heads.program import Elementwise, Program, affine

LEAST_VARIANCE = 1e-6
"""Of the column's variance over all items: a column that is constant within a class must not decide alone."""


class GaussianNaiveBayes(ProgramHead):
    """Each class has a mean and a variance per column; variances lean on the pooled one by `prior_items` items."""

    name = "gaussian_nb"
    explanation = (
        "One bell curve per class and column, columns taken as independent: instant, and good when columns carry "
        "their own news."
    )
    SETTINGS = ("prior_items",)
    ARRAYS = ("mean_", "spread_", "weight_", "bias_")

    def __init__(self, prior_items: float = 5.0) -> None:
        if not 0 <= prior_items < float("inf"):
            raise InputError(f"prior_items is {prior_items}; expected a finite number, zero or more")
        self.prior_items = prior_items

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: GaussianNaiveBayes | None = None,  # noqa: ARG002 - the solution is closed
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses."""
        items = labelled(features, targets, n_classes, sample_weight)
        x = items.features.astype(np.float64)
        self.mean_ = np.asarray(np.average(x, axis=0, weights=items.weight))
        spread = np.sqrt(np.average((x - self.mean_) ** 2, axis=0, weights=items.weight))
        self.spread_ = np.where(spread > 0, spread, 1.0)
        self.width_ = x.shape[1]
        z = (x - self.mean_) / self.spread_
        mass = items.mass()
        present = np.flatnonzero(mass > 0)
        n_k = mass[present][:, None]
        means = items.sums(z)[present] / n_k
        own = np.maximum(items.sums(z * z)[present] / n_k - means**2, 0.0)
        pooled = (own * n_k).sum(axis=0) / n_k.sum()
        variance = (own * n_k + self.prior_items * pooled) / (n_k + self.prior_items) + LEAST_VARIANCE
        weight = np.concatenate([means / variance, -0.5 / variance], axis=1)
        prior = np.log(mass[present] / mass.sum())
        bias = prior - 0.5 * (np.log(variance) + means**2 / variance).sum(axis=1)
        hidden = np.concatenate([z, z * z], axis=1)
        final = over_all_classes(affine(weight, bias), present, n_classes, hidden)
        self.weight_, self.bias_ = final.weight, final.bias
        return self

    def program(self) -> Program:
        """Standardise, add squares, one matrix."""
        standardise = affine(np.diag(1 / self.spread_), -self.mean_ / self.spread_)
        return (standardise, Elementwise("squares"), affine(self.weight_, self.bias_))


class MultinomialNaiveBayes(ProgramHead):
    """Columns are counts; one that went below zero is measured from its smallest value. `smoothing` is Laplace's.

    A value below anything seen counts as zero.
    """

    name = "multinomial_nb"
    explanation = (
        "Takes columns as counts, such as words or visits, and each class as its mix of them: instant, for columns "
        "that cannot be negative."
    )
    SETTINGS = ("smoothing",)
    ARRAYS = ("least_", "weight_", "bias_")

    def __init__(self, smoothing: float = 1.0) -> None:
        if not 0 < smoothing < float("inf"):
            raise InputError(f"smoothing is {smoothing}; expected a finite number above zero")
        self.smoothing = smoothing

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: MultinomialNaiveBayes | None = None,  # noqa: ARG002 - the solution is closed
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses."""
        items = labelled(features, targets, n_classes, sample_weight)
        x = items.features.astype(np.float64)
        self.least_ = np.minimum(x.min(axis=0), 0.0)
        self.width_ = x.shape[1]
        counts = np.maximum(x - self.least_, 0.0)
        mass = items.mass()
        present = np.flatnonzero(mass > 0)
        totals = items.sums(counts)[present] + self.smoothing
        weight = np.log(totals / totals.sum(axis=1, keepdims=True))
        plain = affine(weight, np.log(mass[present] / mass.sum()))
        final = over_all_classes(plain, present, n_classes, counts)
        self.weight_, self.bias_ = final.weight, final.bias
        return self

    def program(self) -> Program:
        """Measure from the least value, cut at zero, one matrix."""
        counts = affine(np.eye(self.width_), -self.least_)
        return (counts, Elementwise("relu"), affine(self.weight_, self.bias_))
