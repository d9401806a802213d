"""A cheap, near-exact inverse Hessian for softmax regression on centred features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MAX_FACTOR = 4096
"""Largest matrix to factor: 4096^3 / 3 operations take about half a second on two cores. Beyond it, in both
directions, only the diagonal is used, and a fit needs several times as many iterations."""

Solve = Callable[[Tensor], Tensor]


def softmax_preconditioner(features: Tensor, share: Tensor, ridge: Tensor, curvature: float) -> Solve:
    """Solves (diag(ridge) + curvature X^T diag(share) X) for each class, and curvature for the bias.

    features: (n, d) float32 or float64, centred; share: (n,) of the same type, sums to 1; ridge: (d,)
    float64 >= 0. With curvature 1/2 this bounds the Hessian of the mean cross-entropy from above (Boehning
    1992); with 1 / n_classes it is the Hessian at equal probabilities, where every fit starts.
    The returned function takes and returns (n_classes, d + 1) float64, the bias last. Cost: n d^2 + d^3 / 3
    for d <= n; for d > n the n x n Gram matrix is factored instead (Woodbury), n^2 d + n^3 / 3; when both
    exceed MAX_FACTOR, n d for the diagonal.
    """
    n, d = features.shape
    if min(n, d) > MAX_FACTOR:
        solve = _diagonal(features, share, ridge, curvature)
    else:
        scaled = features * (curvature * share).sqrt()[:, None]
        solve = _primal(scaled, ridge) if d <= n else _dual(scaled, ridge)

    def precondition(gradient: Tensor) -> Tensor:
        return torch.cat([solve(gradient[:, :-1]), gradient[:, -1:] / curvature], dim=1)

    return precondition


def _primal(scaled: Tensor, ridge: Tensor) -> Solve:
    """(R + Z^T Z)^-1 g for (n, d) Z."""
    factor = _cholesky((scaled.T @ scaled).double(), ridge)
    return lambda gradient: torch.cholesky_solve(gradient.T, factor).T


def _dual(scaled: Tensor, ridge: Tensor) -> Solve:
    """The same by Woodbury: R^-1 g - R^-1 Z^T (I + Z R^-1 Z^T)^-1 Z R^-1 g."""
    z = scaled.double()
    ridge = ridge.clamp_min(1e-9 * float((z**2).sum(dim=0).max()) or 1.0)
    halved = z / ridge.sqrt()
    factor = _cholesky(halved @ halved.T, torch.ones(len(z), dtype=torch.float64))

    def solve(gradient: Tensor) -> Tensor:
        within = gradient / ridge.sqrt()
        outside = torch.cholesky_solve(halved @ within.T, factor).T @ halved
        return (within - outside) / ridge.sqrt()

    return solve


def _diagonal(features: Tensor, share: Tensor, ridge: Tensor, curvature: float) -> Solve:
    squares = torch.stack([share @ column**2 for column in features.T])
    diagonal = curvature * squares.double() + ridge
    diagonal = diagonal.clamp_min(1e-9 * float(diagonal.max()) or 1.0)
    return lambda gradient: gradient / diagonal


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
