"""Softmax regression as an optimisation problem over standardised columns."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.lbfgs import Evaluate, Precondition, Solution, Stage, minimise
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
_LARGEST = 1e150
"""Beyond this a float64 cannot hold the square of a value."""


class SoftmaxProblem(NamedTuple):
    """sum_i share_i loss_i + 1/2 sum_kj ridge_j w_kj^2, over columns of mean 0 and spread 1.

    features: (n, d) of the type given; mean, spread, ridge: (d,) float64; share: (n,) float64, sums to 1;
    targets: (n,) places in `present`, the classes that occur; total: sum of the sample weights.
    """

    features: Tensor
    mean: Tensor
    spread: Tensor
    ridge: Tensor
    share: Tensor
    targets: Tensor
    present: NDArray[np.int64]
    total: float


def build(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    n_classes: int,
    sample_weight: NDArray[np.floating[Any]] | None,
    l2: float,
) -> SoftmaxProblem:
    """Check everything, drop items of weight zero, and standardise. Raises one InputError for all mistakes."""
    features, targets = np.asarray(features), np.asarray(targets)
    weight = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    _refuse(features, targets, n_classes, weight)
    if not (weight > 0).all():
        features, targets, weight = features[weight > 0], targets[weight > 0], weight[weight > 0]
    present, places = np.unique(targets, return_inverse=True)
    total = float(weight.sum())
    share = torch.from_numpy(weight / total)
    x = torch.from_numpy(np.ascontiguousarray(features, dtype=_float_type(features.dtype)))
    mean, spread = _mean_and_spread(x, share)
    return SoftmaxProblem(
        features=(x - mean.to(x.dtype)) / spread.to(x.dtype),
        mean=mean.to(x.dtype).double(),
        spread=spread.to(x.dtype).double(),
        ridge=l2 / total / spread**2,
        share=share,
        targets=torch.from_numpy(places.astype(np.int64)),
        present=present.astype(np.int64),
        total=total,
    )


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
    return minimise(stages, start, partial(_precondition_at, problem, single, share), max_iterations)


def _precondition_at(problem: SoftmaxProblem, features: Tensor, share: Tensor, x: Tensor) -> Precondition:
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

    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        weight = x[:, :-1].to(features.dtype, copy=True).requires_grad_()
        bias = x[:, -1].to(features.dtype, copy=True).requires_grad_()
        loss = linear_cross_entropy(
            features,
            weight,
            problem.targets,
            bias=bias,
            sample_weight=share,
            reduction="sum",
            check_values=False,
        )
        by_weight, by_bias = (g.detach().double() for g in torch.autograd.grad(loss, (weight, bias)))
        pull = problem.ridge * x[:, :-1]
        value = loss.item() + 0.5 * float((pull * x[:, :-1]).sum())
        return value, torch.cat([by_weight + pull, by_bias[:, None]], dim=1)

    return evaluate


def _mean_and_spread(x: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """(d,) weighted means and standard deviations in float64; a constant column has spread 1.

    In the features' own type where that is enough: no square overflows or vanishes, and the first row, from
    which the columns are measured, is no outlier that would drown the variance in rounding.
    """
    first, second = _moments(x, share, x.dtype)
    doubtful = ~(torch.isfinite(second) & (second - first**2 > 1e-3 * second))
    if doubtful.any():
        first[doubtful], second[doubtful] = _moments(x[:, doubtful], share, torch.float64)
    spread = (second - first**2).clamp_min(0).sqrt()
    return x[0].double() + first, torch.where(spread > 0, spread, 1.0)


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


def _float_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    return np.float32 if dtype in (np.float32, np.float16) else np.float64


def _refuse(
    features: NDArray[Any], targets: NDArray[Any], n_classes: int, weight: NDArray[np.float64]
) -> None:
    if features.ndim != 2 or features.shape[1] == 0 or targets.shape != features.shape[:1]:
        raise InputError(
            f"features have shape {features.shape} and targets {targets.shape}; "
            "expected (n, d) with d >= 1, and (n,)"
        )
    if weight.shape != targets.shape:
        raise InputError(f"sample_weight has shape {weight.shape}; expected {targets.shape}")
    wrong = [*_bad_features(features), *_bad_targets(targets, n_classes, weight)]
    if wrong:
        raise InputError("; ".join(wrong))


def _bad_features(features: NDArray[Any]) -> list[str]:
    if not np.issubdtype(features.dtype, np.floating) and not np.issubdtype(features.dtype, np.integer):
        return [f"features have type {features.dtype}; expected numbers"]
    good = np.abs(features) < _LARGEST if features.dtype == np.float64 else np.isfinite(features)
    if good.all():
        return []
    row, column = np.argwhere(~good)[0]
    return [
        f"features hold {np.count_nonzero(~good)} values that are NaN, infinite or beyond {_LARGEST:g}, the "
        f"first, {features[row, column]}, in row {row}, column {column}; expected finite numbers"
    ]


def _bad_targets(targets: NDArray[Any], n_classes: int, weight: NDArray[np.float64]) -> list[str]:
    if len(targets) and not np.issubdtype(targets.dtype, np.integer):
        return [f"targets have type {targets.dtype}; expected integer class indices"]
    wrong = []
    outside = np.flatnonzero((targets < 0) | (targets >= n_classes))
    if len(outside):
        wrong.append(
            f"target of row {outside[0]} is {targets[outside[0]]}; expected a class from 0 to {n_classes - 1}"
        )
    if not (np.isfinite(weight) & (weight >= 0)).all():
        wrong.append("sample_weight holds negative or non-finite values; expected zero or more")
        return wrong
    seen = np.unique(targets[weight > 0])
    if len(seen) < 2:
        wrong.append(
            f"items of positive weight have the classes {seen.tolist()}; expected at least two different ones"
        )
    return wrong
