"""Softmax regression as an optimisation problem over standardised columns."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.distil import nkd_loss
from plumbline_backend.heads.lbfgs import Evaluate, Precondition, Solution, Stage, minimise
from plumbline_backend.heads.penalty import penalty
from plumbline_backend.heads.preconditioner import softmax_preconditioner
from plumbline_kernels import linear_cross_entropy

_CHUNK = 16_384
_FLOAT32_FLOOR = 5e-6
"""Gradients are computed in float32 down to this size and in float64 below it. Their rounding error at the solution
was at most 8e-9 on digits, breast_cancer and 384 columns of embeddings; float32 takes 0.6 of the time."""
_LEAST_WEIGHT = 1e-5
"""An item that the head is sure of still counts this much in the preconditioner, which keeps it definite."""
_ROWS_PER_COLUMN = 12
"""Items per column that the preconditioner looks at: a sample of 12 per column shows the spread of any direction
within a factor of about (1 - 12^-0.5)^2 to (1 + 12^-0.5)^2, 0.5 to 1.7, which costs an iteration or two."""


class Loss(NamedTuple):
    """What is minimised beside the penalty.

    adjust: this times the log of each class's share is added to the logits while learning and left out afterwards
    (logit adjustment, Menon et al. 2021): 1 answers as if all classes were equally frequent. label_smoothing in
    [0, 1). z_regularization >= 0: that times logsumexp squared. nkd > 0: soft labels are learned in two parts (see
    `nkd_loss`), the second with this weight; hard labels take no notice of it.
    """

    adjust: float = 0.0
    label_smoothing: float = 0.0
    z_regularization: float = 0.0
    nkd: float = 0.0


class SoftmaxProblem(NamedTuple):
    """sum_i share_i loss_i + 1/2 sum_kj ridge_j w_kj^2, over columns of mean 0 and spread 1.

    features: (n, d) of the type given; mean, spread, ridge: (d,) float64; share: (n,) float64, sums to 1;
    targets: (n,) places in `present`, the classes that occur, or (n, n_present) probabilities; total: sum of the
    sample weights; l2: the penalty in use; prior: (n_present,) added to the logits, or None.
    """

    features: Tensor
    mean: Tensor
    spread: Tensor
    ridge: Tensor
    share: Tensor
    targets: Tensor
    present: NDArray[np.int64]
    total: float
    l2: float
    prior: Tensor | None
    loss: Loss


def build(
    features: NDArray[np.floating[Any]],
    targets: NDArray[Any],
    n_classes: int,
    sample_weight: NDArray[np.floating[Any]] | None,
    l2: float | None,
    loss: Loss | None = None,
) -> SoftmaxProblem:
    """Check everything, drop items of weight zero, and standardise. Raises one InputError for all mistakes.

    l2: None to have it chosen by the features' spread.
    """
    loss = loss or Loss()
    items = labelled(features, targets, n_classes, sample_weight)
    present = np.flatnonzero(items.mass() > 0)
    total = float(items.weight.sum())
    share = torch.from_numpy(items.weight / total)
    x = torch.from_numpy(items.features)
    mean, spread = _mean_and_spread(x, share)
    used = penalty(l2, spread.numpy())
    spread = torch.where(spread > 0, spread, 1.0)
    return SoftmaxProblem(
        features=(x - mean.to(x.dtype)) / spread.to(x.dtype),
        mean=mean.to(x.dtype).double(),
        spread=spread.to(x.dtype).double(),
        ridge=used / total / spread**2,
        share=share,
        targets=torch.from_numpy(_places(items, present)),
        present=present.astype(np.int64),
        total=total,
        l2=used,
        prior=torch.from_numpy(loss.adjust * np.log(items.mass()[present] / total)) if loss.adjust else None,
        loss=loss,
    )


def _places(items: Labelled, present: NDArray[np.int64]) -> NDArray[Any]:
    """The targets among the present classes."""
    if items.soft:
        return np.ascontiguousarray(items.targets[:, present])
    return np.searchsorted(present, items.targets).astype(np.int64)


def solve(problem: SoftmaxProblem, start: Tensor, tolerance: float, max_iterations: int) -> Solution:
    """The minimum from `start`, (n_present, d + 1) with the bias last, to a largest gradient entry."""
    single = problem.features.float()
    share = problem.share.float()
    stages = [
        Stage(_evaluate(problem, single, share), max(tolerance, _FLOAT32_FLOOR), noise=1e-6),
    ]
    if tolerance < _FLOAT32_FLOOR:
        double = problem.features.double()
        stages.append(Stage(_evaluate(problem, double, problem.share), tolerance, noise=1e-13))
    return minimise(stages, start, partial(precondition_at, problem, single, share), max_iterations)


def precondition_at(problem: SoftmaxProblem, features: Tensor, share: Tensor, x: Tensor) -> Precondition:
    """Each item weighs by p (1 - p), averaged over the classes so that one matrix serves them all.

    Every stride-th item is enough where items are many: the matrix has to be near the Hessian, not equal to it.
    """
    n_classes = len(problem.present)
    stride = max(1, len(share) // (_ROWS_PER_COLUMN * features.shape[1]))
    features, share = features[::stride], share[::stride] * stride
    weight = torch.empty_like(share)
    for start in range(0, len(share), _CHUNK):
        rows = slice(start, start + _CHUNK)
        logits = torch.addmm(x[:, -1].to(share.dtype), features[rows], x[:, :-1].T.to(share.dtype))
        squares = torch.softmax(logits, dim=1).square_().sum(dim=1)
        weight[rows] = (1 - squares) / (n_classes - 1)
    return softmax_preconditioner(features, share * weight.clamp_min_(_LEAST_WEIGHT), problem.ridge)


def _evaluate(problem: SoftmaxProblem, features: Tensor, share: Tensor) -> Evaluate:
    """Value and gradient at (n_present, d + 1), the loss in the features' type, the penalty in float64."""

    targets = problem.targets.to(features.dtype) if problem.targets.is_floating_point() else problem.targets
    prior = None if problem.prior is None else problem.prior.to(features.dtype)
    if problem.loss.nkd and targets.is_floating_point():
        return _evaluate_apart(problem, features, share, targets, prior)

    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        weight = x[:, :-1].to(features.dtype, copy=True).requires_grad_()
        bias = x[:, -1].to(features.dtype, copy=True).requires_grad_()
        loss = linear_cross_entropy(
            features,
            weight,
            targets,
            bias=bias,
            class_prior=prior,
            sample_weight=share,
            label_smoothing=problem.loss.label_smoothing,
            z_regularization=problem.loss.z_regularization,
            reduction="sum",
            check_values=False,
        )
        by_weight, by_bias = (g.detach().double() for g in torch.autograd.grad(loss, (weight, bias)))
        pull = problem.ridge * x[:, :-1]
        value = loss.item() + 0.5 * float((pull * x[:, :-1]).sum())
        return value, torch.cat([by_weight + pull, by_bias[:, None]], dim=1)

    return evaluate


def _evaluate_apart(
    problem: SoftmaxProblem, features: Tensor, share: Tensor, targets: Tensor, prior: Tensor | None
) -> Evaluate:
    """As `_evaluate`, with the loss in two parts; some rows' logits at a time."""

    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        weight, bias = x[:, :-1].to(features.dtype), x[:, -1].to(features.dtype)
        bias = bias if prior is None else bias + prior
        total, gradient = 0.0, torch.zeros_like(x)
        for start in range(0, len(features), _CHUNK):
            rows = slice(start, start + _CHUNK)
            logits = torch.addmm(bias, features[rows], weight.T).requires_grad_()
            loss = share[rows] @ nkd_loss(logits, targets[rows], problem.loss.nkd)
            (by_logits,) = torch.autograd.grad(loss, (logits,))
            total += loss.item()
            gradient[:, :-1] += (by_logits.T @ features[rows]).double()
            gradient[:, -1] += by_logits.sum(dim=0).double()
        pull = problem.ridge * x[:, :-1]
        gradient[:, :-1] += pull
        return total + 0.5 * float((pull * x[:, :-1]).sum()), gradient

    return evaluate


def _mean_and_spread(x: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """(d,) weighted means and standard deviations in float64.

    In the features' own type where that is enough: no square overflows or vanishes, and the first row, from
    which the columns are measured, is no outlier that would drown the variance in rounding.
    """
    first, second = _moments(x, share, x.dtype)
    doubtful = ~(torch.isfinite(second) & (second - first**2 > 1e-3 * second))
    if doubtful.any():
        first[doubtful], second[doubtful] = _moments(x[:, doubtful], share, torch.float64)
    spread = (second - first**2).clamp_min(0).sqrt()
    return x[0].double() + first, spread


def _moments(x: Tensor, share: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weighted sums of the columns' distances from the first row and of their squares, in float64."""
    shift = x[0].to(dtype)
    first, second = torch.zeros_like(x[0], dtype=torch.float64), torch.zeros_like(x[0], dtype=torch.float64)
    for start in range(0, len(x), _CHUNK):
        rows = slice(start, start + _CHUNK)
        moved = x[rows].to(dtype) - shift
        first += (share[rows].to(dtype) @ moved).double()
        second += (share[rows].to(dtype) @ moved.square_()).double()
    return first, second
