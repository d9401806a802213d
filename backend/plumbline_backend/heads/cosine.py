"""Normalised softmax: a class is a direction, and only the angle to it counts."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.lbfgs import Evaluate, Solution, Stage, minimise
from plumbline_backend.heads.program import Program, UnitRows, affine
from plumbline_kernels import linear_cross_entropy

TARGET_PROBABILITY = 0.99
"""What the scale lets an item reach that lies exactly on its class's direction, the others being evenly spread."""


class Cosine(ProgramHead):
    """p(k | x) = softmax(s cos(x, w_k)); learned by the fused loss from the classes' mean directions.

    scale: s, or 0 for the rule below. margin >= 0 is taken off the right class's cosine while learning (CosFace), so
    that classes lie apart. adjust: as in LinearSoftmax. `weight_` (n_classes, n_features), unit rows; a class that is
    new to the warm start begins at the mean direction of its items. `bias_` is zero but for classes without items.
    Source: Wang et al. 2018 (NormFace, CosFace).
    """

    name = "cosine"
    explanation = (
        "Compares directions only, so that long and short items count alike and a new class joins as the mean of its "
        "first items: good for embeddings and few labels."
    )
    SETTINGS = ("scale", "margin", "adjust", "label_smoothing", "tolerance", "max_iterations")
    ARRAYS = ("weight_", "bias_")
    FACTS = ("scale_", "n_iterations_", "converged_")

    def __init__(
        self,
        scale: float = 0.0,
        margin: float = 0.0,
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        tolerance: float = 1e-5,
        max_iterations: int = 300,
    ) -> None:
        wrong = [
            f"{what} is {value}; expected a finite number, zero or more"
            for what, value in (("scale", scale), ("margin", margin), ("adjust", adjust))
            if not 0 <= value < float("inf")
        ]
        if not 0 <= label_smoothing < 1:
            wrong.append(f"label_smoothing is {label_smoothing}; expected 0 or more and less than 1")
        if wrong:
            raise InputError("; ".join(wrong))
        self.scale = scale
        self.margin = margin
        self.adjust = adjust
        self.label_smoothing = label_smoothing
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: Cosine | None = None,
    ) -> Self:
        """Learn; see LinearSoftmax.fit for what is refused."""
        items = labelled(features, targets, n_classes, sample_weight)
        present = np.flatnonzero(items.mass() > 0)
        self.scale_ = self.scale or scale_rule(len(present))
        unit = unit_rows(items.features)
        found = self._solve(items, unit, present, warm_start)
        direction = unit_rows(found.point.x.numpy())
        final = over_all_classes(affine(self.scale_ * direction), present, n_classes, unit.astype(np.float64))
        self.weight_, self.bias_ = final.weight / self.scale_, final.bias
        self.n_iterations_, self.converged_ = found.n_iterations, found.converged
        self.width_ = items.features.shape[1]
        return self

    def program(self) -> Program:
        """Unit rows, then s w_k."""
        return (UnitRows(), affine(self.scale_ * self.weight_, self.bias_))

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """About a hundred evaluations of the loss; the pairs of the search hold 26 k d numbers."""
        return Cost(8e-9 * n * d * k, (8 * 26 * k * d + 4 * n * d) / 2**20)

    def _solve(
        self,
        items: Labelled,
        unit: NDArray[np.floating[Any]],
        present: NDArray[np.int64],
        warm_start: Cosine | None,
    ) -> Solution:
        start = unit_rows(items._replace(features=unit).sums(unit.astype(np.float64))[present])
        if warm_start is not None:
            if warm_start.width_ != unit.shape[1]:
                raise InputError(f"warm_start has {warm_start.width_} features; expected {unit.shape[1]}")
            known = present < len(warm_start.weight_)
            known[known] &= warm_start.weight_[present[known]].any(axis=1)
            start[known] = warm_start.weight_[present[known]]
        evaluate = _evaluate(items._replace(features=unit), present, self)
        # Directions have no natural units: the plain gradient is as good a direction as any.
        return minimise(
            [Stage(evaluate, self.tolerance, noise=1e-6)],
            torch.from_numpy(start),
            lambda _: lambda gradient: gradient.clone(),
            self.max_iterations,
        )


def scale_rule(n_classes: int, probability: float = TARGET_PROBABILITY) -> float:
    """((K - 1) / K) log((K - 1) p / (1 - p)): the scale at which probability p can just be reached."""
    rest = n_classes - 1
    return rest / n_classes * float(np.log(rest * probability / (1 - probability)))


def unit_rows(rows: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Each row over its length; a row of zeros stays."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1.0)).astype(rows.dtype)


def _evaluate(items: Labelled, present: NDArray[np.int64], head: Cosine) -> Evaluate:
    """Mean loss and gradient at (n_present, d); a soft item stands once for each of its classes."""
    features, classes, weight = items.copies()
    x = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
    y = torch.from_numpy(np.searchsorted(present, classes))
    share = torch.from_numpy((weight / weight.sum()).astype(np.float32))
    prior = None
    if head.adjust:
        mass = items.mass()[present]
        prior = torch.from_numpy(head.adjust * np.log(mass / mass.sum())).float()

    def evaluate(at: Tensor) -> tuple[float, Tensor]:
        w = at.float().requires_grad_()
        loss = linear_cross_entropy(
            x,
            w,
            y,
            normalize=True,
            scale=head.scale_,
            margin=head.margin,
            class_prior=prior,
            sample_weight=share,
            label_smoothing=head.label_smoothing,
            reduction="sum",
            check_values=False,
        )
        (gradient,) = torch.autograd.grad(loss, (w,))
        return loss.item(), gradient.detach().double()

    return evaluate
