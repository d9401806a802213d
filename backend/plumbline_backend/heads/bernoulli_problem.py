"""Independent logistic regressions over standardised columns, where an item may say nothing of a class."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from plumbline_backend.heads.lbfgs import Precondition, Solution, Stage, minimise
from plumbline_backend.heads.preconditioner import softmax_preconditioner

_ANCHOR = 0.5
"""Each class's share of yes is pulled towards a half by so many imagined yes and as many no: a class of which only
yes, or only no, was said so far keeps a finite bias (Jeffreys' prior of a proportion)."""
_LEAST_WEIGHT = 1e-3


class BernoulliProblem(NamedTuple):
    """sum_ik weight_ik (1 - q_ik)^power_ik bce_ik / total + 1/2 sum_kj ridge_j w_kj^2, over columns of mean 0 and
    spread 1.

    features: (n, d) float64; mean, spread, ridge: (d,); targets: (n, K) in [0, 1]; weight: (n, K), 0 where nothing is
    said; power: (n, K), or None for 0 everywhere, q being the probability of what is said (focal loss, Lin et al. 2017;
    with it the problem is no longer convex, and the search ends in the minimum that it starts near); total: sum of
    the items' weights.
    """

    features: Tensor
    mean: Tensor
    spread: Tensor
    ridge: Tensor
    targets: Tensor
    weight: Tensor
    total: float
    power: Tensor | None = None


def build(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.float64],
    weight: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    l2: float,
    power: NDArray[np.float64] | None = None,
) -> BernoulliProblem:
    """features (n, d), targets, weight and power (n, K), sample_weight (n,) > 0; already checked."""
    x = torch.from_numpy(np.asarray(features, dtype=np.float64))
    share = torch.from_numpy(sample_weight / sample_weight.sum())
    mean = share @ x
    spread = (share @ (x - mean).square()).sqrt()
    spread = torch.where(spread > 0, spread, 1.0)
    total = float(sample_weight.sum())
    return BernoulliProblem(
        features=(x - mean) / spread,
        mean=mean,
        spread=spread,
        ridge=l2 / total / spread**2,
        targets=torch.from_numpy(targets),
        weight=torch.from_numpy(weight * sample_weight[:, None]),
        total=total,
        power=None if power is None else torch.from_numpy(power),
    )


def solve(problem: BernoulliProblem, start: Tensor, tolerance: float, max_iterations: int) -> Solution:
    """The minimum from `start`, (K, d + 1) with the bias last, to a largest gradient entry."""
    stage = Stage(partial(_evaluate, problem), tolerance, noise=1e-13)
    return minimise([stage], start, partial(_precondition_at, problem), max_iterations)


def start_of(problem: BernoulliProblem, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> Tensor:
    """Weights (K, d) and bias (K,) over the features as they are, in the problem's coordinates."""
    scaled = torch.from_numpy(weight) * problem.spread
    return torch.cat(
        [scaled, (torch.from_numpy(bias) + torch.from_numpy(weight) @ problem.mean)[:, None]], dim=1
    )


def unscaled(problem: BernoulliProblem, x: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The reverse of `start_of`."""
    weight = x[:, :-1] / problem.spread
    return weight.numpy(), (x[:, -1] - weight @ problem.mean).numpy()


def _evaluate(problem: BernoulliProblem, x: Tensor) -> tuple[float, Tensor]:
    """Value and gradient at (K, d + 1)."""
    logits = torch.addmm(x[:, -1], problem.features, x[:, :-1].T)
    value, by_logit = _loss(problem, logits)
    pull = problem.ridge * x[:, :-1]
    bias, anchor = x[:, -1], _ANCHOR / problem.total
    value += 0.5 * float((pull * x[:, :-1]).sum()) + anchor * float((softplus(bias) + softplus(-bias)).sum())
    by_bias = by_logit.sum(dim=0) + anchor * (2 * torch.sigmoid(bias) - 1)
    return value, torch.cat([by_logit.T @ problem.features + pull, by_bias[:, None]], dim=1)


def _loss(problem: BernoulliProblem, logits: Tensor) -> tuple[float, Tensor]:
    """The data's part of the value, and its gradient by the logits (n, K)."""
    if problem.power is None:
        loss = softplus(logits) - problem.targets * logits
        by_logit = problem.weight * (torch.sigmoid(logits) - problem.targets) / problem.total
        return float((problem.weight * loss).sum()) / problem.total, by_logit
    z = logits.detach().requires_grad_()
    wrong = problem.targets * torch.sigmoid(-z) + (1 - problem.targets) * torch.sigmoid(z)
    bce = softplus(z) - problem.targets * z
    total = (problem.weight * wrong**problem.power * bce).sum() / problem.total
    (by_logit,) = torch.autograd.grad(total, z)
    return total.item(), by_logit


def _precondition_at(problem: BernoulliProblem, x: Tensor) -> Precondition:
    """Each item weighs by p (1 - p), averaged over the classes so that one matrix serves them all."""
    proba = torch.sigmoid(torch.addmm(x[:, -1], problem.features, x[:, :-1].T))
    curvature = (problem.weight * proba * (1 - proba)).mean(dim=1) / problem.total
    floor = _LEAST_WEIGHT / len(curvature)
    return softmax_preconditioner(problem.features, curvature.clamp_min(floor), problem.ridge)
