"""A cheap, near-exact inverse Hessian for softmax regression on centred features."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MAX_FACTOR = 4096
"""Largest matrix to factor: 4096^3 / 3 operations take about half a second on two cores. Beyond it, in both
directions, the diagonal is used and the fit needs several times as many iterations."""

Precondition = Callable[[Tensor], Tensor]


def softmax_preconditioner(features: Tensor, weight: Tensor, ridge: float, curvature: float) -> Precondition:
    """Solves (ridge I + curvature X^T diag(weight) X) for each class, and curvature for the bias.

    features: (n, d) float64, centred under `weight`, which is (n,) and sums to 1; ridge >= 0 is the penalty
    per unit of weight. With curvature 1/2 this bounds the Hessian of the mean cross-entropy from above
    (Boehning 1992); with 1 / n_classes it is the Hessian at equal probabilities.
    The returned function takes and returns (n_classes, d + 1), the bias last. The cost is n d^2 + d^3 / 3
    for d <= n; for d > n the n x n Gram matrix is factored instead (Woodbury), n^2 d + n^3 / 3; when both
    exceed MAX_FACTOR only the diagonal is used, n d.
    """
    n, d = features.shape
    if min(n, d) > MAX_FACTOR:
        solve = _diagonal(features, weight, ridge, curvature)
    elif d <= n:
        solve = _primal(features, weight, ridge, curvature)
    else:
        solve = _dual(features, weight, ridge, curvature)

    def precondition(gradient: Tensor) -> Tensor:
        return torch.cat([solve(gradient[:, :-1]), gradient[:, -1:] / curvature], dim=1)

    return precondition


def _primal(features: Tensor, weight: Tensor, ridge: float, curvature: float) -> Precondition:
    scaled = _scaled(features, weight, curvature)
    gram = (scaled.T @ scaled).double()
    factor = _cholesky(gram, ridge)
    return lambda gradient: torch.cholesky_solve(gradient.T, factor).T


def _dual(features: Tensor, weight: Tensor, ridge: float, curvature: float) -> Precondition:
    """(r I + Z^T Z)^-1 g = (g - Z^T (r I + Z Z^T)^-1 Z g) / r, with Z the scaled features."""
    scaled = _scaled(features, weight, curvature).double()
    gram = scaled @ scaled.T
    ridge = max(ridge, 1e-6 * float(gram.diagonal().mean()), 1e-30)
    factor = _cholesky(gram, ridge)
    return lambda gradient: (gradient - torch.cholesky_solve(scaled @ gradient.T, factor).T @ scaled) / ridge


def _diagonal(features: Tensor, weight: Tensor, ridge: float, curvature: float) -> Precondition:
    diagonal = curvature * (weight[:, None] * features**2).sum(dim=0) + ridge
    diagonal = diagonal.clamp_min(1e-12 * float(diagonal.max()) + 1e-30)
    return lambda gradient: gradient / diagonal


def _scaled(features: Tensor, weight: Tensor, curvature: float) -> Tensor:
    return features * (curvature * weight).sqrt()[:, None]


def _cholesky(gram: Tensor, ridge: float) -> Tensor:
    """Lower factor of gram + ridge I; a singular matrix gets the smallest lift that makes it definite."""
    scale = float(gram.diagonal().mean()) or 1.0
    lift = 0.0
    while True:
        shifted = gram.clone()
        shifted.diagonal().add_(ridge + lift)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        if not int(failed):
            return factor
        lift = 10 * lift or 1e-12 * scale
