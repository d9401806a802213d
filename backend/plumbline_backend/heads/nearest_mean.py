"""Nearest class mean."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.program import Program, affine

_SAMPLE = 2000
"""Items on which the scale is chosen: enough for a single number."""


class NearestMean(ProgramHead):
    """Logits -g |x - mu_k|^2 / 2: the class whose mean is nearest.

    g makes the probabilities fit items that their own mean has not seen (leave-one-out negative log-likelihood, in
    closed form); where no class has two items g is one over the variance of all items.
    """

    name = "nearest_mean"
    explanation = (
        "The class whose average item is nearest: nothing to tune, works from one label per class, and a mistake is "
        "easy to understand."
    )
    ARRAYS = ("means_", "weight_", "bias_")
    FACTS = ("sharpness_",)

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: NearestMean | None = None,  # noqa: ARG002 - the solution is closed
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses."""
        items = labelled(features, targets, n_classes, sample_weight)
        x = items.features.astype(np.float64)
        mass = items.mass()
        present = np.flatnonzero(mass > 0)
        self.means_ = items.sums(x) / np.where(mass > 0, mass, 1.0)[:, None]
        self.sharpness_ = sharpness(items, self.means_, mass, present)
        weight = self.sharpness_ * self.means_[present]
        plain = affine(weight, -0.5 * (weight * self.means_[present]).sum(axis=1))
        final = over_all_classes(plain, present, n_classes, x)
        self.weight_, self.bias_, self.width_ = final.weight, final.bias, x.shape[1]
        return self

    def program(self) -> Program:
        """One step: the squared length of x is the same for all classes."""
        return (affine(self.weight_, self.bias_),)


def sharpness(
    items: Labelled, means: NDArray[np.float64], mass: NDArray[np.float64], present: NDArray[np.int64]
) -> float:
    """g of the class: the likeliest for items whose class mean is taken without them."""
    chosen = np.linspace(0, len(items.features) - 1, min(_SAMPLE, len(items.features))).astype(int)
    own = items.likeliest[chosen]
    x, weight = items.features[chosen].astype(np.float64), items.weight[chosen]
    others = mass[own] - weight
    usable = others > 1e-9 * mass[own]
    variance = float(
        np.average(((items.features - means[items.likeliest]) ** 2).sum(axis=1), weights=items.weight)
    )
    total = float(items.features.astype(np.float64).var(axis=0).sum())
    typical = variance or total or 1.0
    if not usable.any():
        return x.shape[1] / (total or 1.0)
    x, own, weight, others = x[usable], own[usable], weight[usable], others[usable]
    centres = means[present]
    distance = (x**2).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres**2).sum(axis=1)
    column = np.searchsorted(present, own)
    apart = ((x - means[own]) ** 2).sum(axis=1) * ((others + weight) / others) ** 2
    distance[np.arange(len(x)), column] = apart
    half = -0.5 * distance / typical

    def surprise(log_g: float) -> float:
        logits = np.exp(log_g) * half
        return float(
            np.average(logsumexp(logits, axis=1) - logits[np.arange(len(x)), column], weights=weight)
        )

    found = minimize_scalar(surprise, bounds=(-5.0, float(np.log(4 * x.shape[1]))), method="bounded")
    return float(np.exp(found.x)) / typical
