"""A cheap, near-exact inverse Hessian for softmax regression on centred features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MAX_FACTOR = 4096
"""Largest matrix to factor: 4096^3 / 3 operations take about half a second on two cores. Beyond it, in both
directions, only the diagonal is used, and a fit needs several times as many iterations."""

Solve = Callable[[Tensor], Tensor]


def softmax_preconditioner(features: Tensor, weight: Tensor, ridge: Tensor) -> Solve:
    """Solves diag(ridge) + [X, 1]^T diag(weight) [X, 1] for each class, the bias without ridge.

    features: (n, d) float32 or float64; weight: (n,) > 0 of the same type; ridge: (d,) float64 >= 0.
    With weight = share_i / 2 this bounds the Hessian of the mean cross-entropy from above (Boehning 1992);
    with share_i / n_classes it is the Hessian at equal probabilities, where every fit starts.
    The returned function takes and returns (n_classes, d + 1) float64, the bias last. Cost: n d^2 + d^3 / 3
    for d <= n; for d > n the n x n Gram matrix is factored instead (Woodbury), n^2 d + n^3 / 3; when both
    exceed MAX_FACTOR, n d for the diagonal.
    """
    n, d = features.shape
    total = weight.sum()
    mean = (weight @ features) / total
    scaled = (features - mean) * weight.sqrt()[:, None]
    if min(n, d) > MAX_FACTOR:
        solve = _diagonal(scaled, ridge)
    else:
        solve = _primal(scaled, ridge) if d <= n else _dual(scaled, ridge)
    curvature, centre = float(total), mean.double()

    def precondition(gradient: Tensor) -> Tensor:
        """The bias is eliminated by measuring the columns from their weighted mean."""
        by_weight, by_bias = gradient[:, :-1], gradient[:, -1:]
        weights = solve(by_weight - by_bias * centre)
        return torch.cat([weights, by_bias / curvature - (weights @ centre)[:, None]], dim=1)

    return precondition


def _primal(scaled: Tensor, ridge: Tensor) -> Solve:
    """(R + Z^T Z)^-1 g for (n, d) Z."""
    factor = _cholesky((scaled.T @ scaled).double(), ridge)
    return lambda gradient: torch.cholesky_solve(gradient.T, factor).T


def _dual(scaled: Tensor, ridge: Tensor) -> Solve:
    """The same by Woodbury: R^-1 g - R^-1 Z^T (I + Z R^-1 Z^T)^-1 Z R^-1 g."""
    z = scaled.double()
    root = _lifted(ridge, (z**2).sum(dim=0)).sqrt()
    halved = z / root
    factor = _cholesky(halved @ halved.T, torch.ones(len(z), dtype=torch.float64))

    def solve(gradient: Tensor) -> Tensor:
        within = gradient / root
        return (within - torch.cholesky_solve(halved @ within.T, factor).T @ halved) / root

    return solve


def _diagonal(scaled: Tensor, ridge: Tensor) -> Solve:
    diagonal = torch.stack([column @ column for column in scaled.T]).double()
    diagonal = _lifted(ridge + diagonal, diagonal)
    return lambda gradient: gradient / diagonal


def _lifted(ridge: Tensor, diagonal: Tensor) -> Tensor:
    """The ridge, at least 1e-8 of the largest diagonal entry: Woodbury loses digits in that proportion."""
    return ridge.clamp_min(1e-8 * float(diagonal.max()) or 1e-300)


def _cholesky(gram: Tensor, ridge: Tensor) -> Tensor:
    """Lower factor of gram + diag(ridge); a singular matrix is lifted just enough to have one."""
    scale = float(gram.diagonal().max()) or 1.0
    lift = 0.0
    while True:
        shifted = gram.clone()
        shifted.diagonal().add_(ridge + lift)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        if not int(failed):
            return factor
        lift = 10 * lift or 1e-12 * scale
