"""Linear heads with goals that are not a sum over items: a metric itself, and gradients that agree between groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.program import Program, affine

Objective = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, K) and weights with the bias last (K, d + 1) to what is minimised."""


class _FromLinear(ProgramHead):
    """Begins at the linear softmax and goes downhill on another objective, in float64 over standardised columns."""

    MAX_CLASSES = 500
    SETTINGS: Sequence[str] = ("l2", "max_iterations")
    ARRAYS = ("weight_", "bias_")
    FACTS: Sequence[str] = ("n_iterations_", "converged_")

    def __init__(self, l2: float = 1.0, max_iterations: int = 200) -> None:
        if not 0 <= l2 < float("inf"):
            raise InputError(f"l2 is {l2}; expected a finite number, zero or more")
        self.l2 = l2
        self.max_iterations = max_iterations

    def objective(self, items: Labelled, x: Tensor, y: Tensor) -> Objective | None:
        """What is minimised for standardised x (n, d + 1), ones last, and y (n, K) shares; None: the start is right."""
        raise NotImplementedError(f"{type(self).__name__} has no objective")

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: _FromLinear | None = None,  # noqa: ARG002 - the start is the linear optimum
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses, and more classes than MAX_CLASSES."""
        if n_classes > self.MAX_CLASSES:
            raise InputError(
                f"head {self.name!r} has {n_classes} classes; it is made for at most {self.MAX_CLASSES:,}"
            )
        items = labelled(features, targets, n_classes, sample_weight)
        self.width_ = items.features.shape[1]
        present = np.flatnonzero(items.mass() > 0)
        mean = items.features.astype(np.float64).mean(axis=0)
        spread = items.features.astype(np.float64).std(axis=0)
        spread = np.where(spread > 1e-12, spread, 1.0)
        plain = (items.features - mean) / spread
        y = items.targets[:, present] if items.soft else np.eye(n_classes)[items.targets][:, present]
        linear = LinearSoftmax(self.l2).fit(plain, y, len(present), items.weight)
        start = np.column_stack([linear.weight_, linear.bias_])
        found = self._minimised(items, np.column_stack([plain, np.ones(len(plain))]), y, start)
        weight = found[:, :-1] / spread
        final = affine(weight, found[:, -1] - weight @ mean)
        final = over_all_classes(final, present, n_classes, items.features.astype(np.float64))
        self.weight_, self.bias_ = final.weight, final.bias
        return self

    def program(self) -> Program:
        """One step: W x + b."""
        return (affine(self.weight_, self.bias_),)

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """The linear softmax and about a hundred passes in float64."""
        linear = LinearSoftmax.estimate(n, d, k)
        return Cost(linear.seconds + 4e-8 * n * d * k, linear.mib + 8 * n * (2 * d + 6 * k) / 2**20)

    def _minimised(
        self, items: Labelled, x: NDArray[np.float64], y: NDArray[np.float64], start: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        features = torch.from_numpy(x)
        goal = self.objective(items, features, torch.from_numpy(y))
        self.n_iterations_, self.converged_ = 0, True
        if goal is None or not self.max_iterations:
            return start

        def evaluate(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            w = torch.from_numpy(flat.reshape(start.shape)).requires_grad_()
            value = goal(features @ w.T, w)
            (gradient,) = torch.autograd.grad(value, (w,))
            return value.item(), gradient.numpy().ravel()

        options = {"maxiter": self.max_iterations, "maxcor": 12}
        found = minimize(evaluate, start.ravel(), jac=True, method="L-BFGS-B", options=options)
        self.n_iterations_, self.converged_ = int(found.nit), bool(found.success)
        return np.asarray(found.x.reshape(start.shape))


METRICS = ("f1", "balanced_accuracy", "g_mean", "accuracy")


class MetricLoss(_FromLinear):
    """Maximises a metric of the answers instead of their likelihood (AnyLoss).

    A(p) = sigmoid(L (p - 1/2)) turns each class's probability into nearly 0 or 1, so that the confusion matrix has a
    slope; the metric is taken of each class against the rest and averaged. metric: f1, balanced_accuracy, g_mean (root
    of sensitivity times specificity) or accuracy; sharpness: L. Source: Han et al. 2024.
    """

    name = "metric_loss"
    explanation = (
        "Linear, and tuned on F1 or another metric itself instead of likelihood: where that metric is what counts "
        "and classes are uneven."
    )
    SETTINGS = ("l2", "max_iterations", "metric", "sharpness")
    FACTS = ("n_iterations_", "converged_", "metric_before_", "metric_after_")

    def __init__(
        self, l2: float = 1.0, max_iterations: int = 200, metric: str = "f1", sharpness: float = 10.0
    ) -> None:
        super().__init__(l2, max_iterations)
        if metric not in METRICS:
            raise InputError(f"metric is {metric!r}; {did_you_mean(str(metric), METRICS)}")
        if not 0 < sharpness < float("inf"):
            raise InputError(f"sharpness is {sharpness}; expected a finite number above zero")
        self.metric = metric
        self.sharpness = sharpness

    def objective(self, items: Labelled, x: Tensor, y: Tensor) -> Objective:
        """One less the smooth metric, and the linear head's penalty."""
        weight = torch.from_numpy(items.weight / items.weight.sum())
        ridge = self.l2 / float(items.weight.sum())
        seen: list[float] = []

        def goal(logits: Tensor, w: Tensor) -> Tensor:
            answers = torch.sigmoid(self.sharpness * (torch.softmax(logits, dim=1) - 0.5))
            value = _metric(self.metric, answers, y, weight)
            seen.append(value.item())
            self.metric_before_, self.metric_after_ = seen[0], max(seen)
            return 1 - value + 0.5 * ridge * (w[:, :-1] ** 2).sum() / x.shape[1]

        return goal


class DomainAligned(_FromLinear):
    """Softmax regression whose gradients, and Hessians times gradients, agree between the groups of a column.

    domains: (n,) group of each item that it is fitted on, or None for a single group, which gives the linear softmax.
    Minimised: the mean over groups of their losses, the penalty, and gradient_weight sum |g_e - g|^2 +
    hessian_weight sum |H_e g_e - mean|^2 over groups e. Source: Hemati et al. 2023 (Hessian-gradient product).
    """

    name = "domain_aligned"
    explanation = (
        "Linear, and leans on what holds in every group of a column (telescope, site, source), so that it also holds "
        "in groups not seen yet."
    )
    SETTINGS = ("l2", "max_iterations", "gradient_weight", "hessian_weight")
    FACTS = ("n_iterations_", "converged_", "n_groups_", "misaligned_before_", "misaligned_after_")

    def __init__(
        self,
        domains: Sequence[int] | NDArray[np.int64] | None = None,
        l2: float = 1.0,
        max_iterations: int = 200,
        gradient_weight: float = 10.0,
        hessian_weight: float = 10.0,
    ) -> None:
        super().__init__(l2, max_iterations)
        if not (0 <= gradient_weight < float("inf") and 0 <= hessian_weight < float("inf")):
            raise InputError(
                f"gradient_weight is {gradient_weight}, hessian_weight {hessian_weight}; expected zero or more"
            )
        self.domains = domains
        self.gradient_weight = gradient_weight
        self.hessian_weight = hessian_weight

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: _FromLinear | None = None,
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses, and another number of groups than items."""
        self._group = np.zeros(len(targets), dtype=np.int64)
        if self.domains is not None:
            if len(self.domains) != len(targets):
                raise InputError(f"domains has {len(self.domains)} items; expected {len(targets)}")
            self._group = np.unique(np.asarray(self.domains), return_inverse=True)[1]
        if sample_weight is not None and len(sample_weight) == len(targets):
            self._group = self._group[np.asarray(sample_weight) > 0]
        self.misaligned_before_ = self.misaligned_after_ = 0.0
        return super().fit(features, targets, n_classes, sample_weight, warm_start)

    def objective(self, items: Labelled, x: Tensor, y: Tensor) -> Objective | None:
        """None with a single group."""
        groups = [torch.from_numpy(np.flatnonzero(self._group == e)) for e in np.unique(self._group)]
        self.n_groups_ = len(groups)
        if len(groups) < 2:
            return None
        weight = torch.from_numpy(items.weight)
        ridge = self.l2 / float(weight.sum())
        seen: list[float] = []

        def goal(logits: Tensor, w: Tensor) -> Tensor:
            loss, slopes, bends = _per_group(logits, x, y, weight, groups)
            apart = self.gradient_weight * _spread(slopes) + self.hessian_weight * _spread(bends)
            seen.append(apart.item())
            self.misaligned_before_, self.misaligned_after_ = seen[0], seen[-1]
            return loss + apart + 0.5 * ridge * (w[:, :-1] ** 2).sum()

        return goal


def _metric(name: str, answers: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Of (n, K) nearly certain answers and shares: the mean over the classes, each against the rest."""
    right, said, true = weight @ (answers * y), weight @ answers, weight @ y
    none = 1 - true - said + right
    if name == "f1":
        return (2 * right / (said + true).clamp_min(1e-12)).mean()
    if name == "accuracy":
        return (right + none).mean()
    found, left = right / true.clamp_min(1e-12), none / (1 - true).clamp_min(1e-12)
    if name == "balanced_accuracy":
        return ((found + left) / 2).mean()
    return (found * left).clamp_min(1e-12).sqrt().mean()


def _per_group(
    logits: Tensor, x: Tensor, y: Tensor, weight: Tensor, groups: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of the groups' losses, their gradients (e, K, d) and Hessians times gradients (e, K, d), with a slope."""
    losses, slopes, bends = [], [], []
    for rows in groups:
        share = weight[rows] / weight[rows].sum()
        z, shares, inside = logits[rows], y[rows], x[rows]
        losses.append(share @ (torch.logsumexp(z, dim=1) - (shares * z).sum(dim=1)))
        p = torch.softmax(z, dim=1)
        slope = (share[:, None] * (p - shares)).T @ inside
        along = inside @ slope.T
        bend = (share[:, None] * p * (along - (p * along).sum(dim=1, keepdim=True))).T @ inside
        slopes.append(slope)
        bends.append(bend)
    return torch.stack(losses).mean(), torch.stack(slopes), torch.stack(bends)


def _spread(values: Tensor) -> Tensor:
    """Sum of squared distances from the mean over groups."""
    return ((values - values.mean(dim=0)) ** 2).sum()
