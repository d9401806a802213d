"""Classes in a tree: leaves that exclude each other, learned from answers that may name only a branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.penalty import checked_l2, penalty
from plumbline_backend.heads.program import Program, affine

_ANCHOR = 0.5
"""An imagined item at the mean, spread evenly over the leaves, of this weight: a leaf that nobody answered yet stays
finite, and shares its branch's probability with its sisters as far as nothing speaks against it."""


class TreeSoftmax(ProgramHead):
    """Softmax over the leaves; an answer that names a branch says that the item is one of the leaves below it.

    Minimises -sum_i share-weighted log sum_{leaf below answer i} p(leaf | x_i) + l2 / 2 |W|^2 on columns of spread 1,
    from zero (the marginal likelihood of coarse labels; convex where every answer is a leaf). The probability of a
    branch is the sum of its leaves', so that answers of all depths are consistent by construction.

    Learned: `weight_` (n_leaves, d), `bias_` (n_leaves,) float64.
    """

    name = "tree"
    explanation = (
        "Learns the finest classes from answers that may be coarse: a parent's probability is the sum of its "
        "children's."
    )
    OPTIONS: Sequence[Any] = ()
    SETTINGS = ("l2", "tolerance", "max_iterations")
    ARRAYS = ("weight_", "bias_")
    FACTS = ("n_iterations_", "converged_", "n_coarse_", "l2_")
    weight_: NDArray[np.float64]
    bias_: NDArray[np.float64]

    def __init__(self, l2: float | None = None, tolerance: float = 1e-6, max_iterations: int = 500) -> None:
        wrong = [*checked_l2(l2)]
        if not tolerance > 0:
            wrong.append(f"tolerance is {tolerance}; expected a number above zero")
        if wrong:
            raise InputError("; ".join(wrong))
        self.l2, self.tolerance, self.max_iterations = l2, tolerance, max_iterations

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: Self | None = None,
    ) -> Self:
        """targets: (n, n_classes) of 0 and 1, 1 for every leaf that the item may be. Raises InputError."""
        x, may, share, total = _checked(features, targets, n_classes, sample_weight)
        mean = share @ x
        spread = np.sqrt(share @ (x - mean) ** 2)
        self.l2_ = penalty(self.l2, spread)
        spread[~(spread > 0)] = 1.0
        d = x.shape[1]
        start = np.zeros((n_classes, d + 1))
        if warm_start is not None and warm_start.weight_.shape == (n_classes, d):
            start[:, :d] = warm_start.weight_ * spread
            start[:, d] = warm_start.bias_ + warm_start.weight_ @ mean
        found = minimize(
            _objective,
            start.ravel(),
            args=((x - mean) / spread, may, share, self.l2_ / total / spread**2, _ANCHOR / total),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": self.tolerance, "ftol": 1e-15, "maxiter": self.max_iterations, "maxcor": 20},
        )
        at = found.x.reshape(n_classes, d + 1)
        self.weight_ = at[:, :d] / spread
        self.bias_ = at[:, d] - self.weight_ @ mean
        self.n_iterations_, self.converged_ = (
            int(found.nit),
            bool(np.abs(found.jac).max() <= 10 * self.tolerance),
        )
        self.n_coarse_ = int((may.sum(axis=1) > 1).sum())
        self.width_ = d
        return self

    def program(self) -> Program:
        """One linear step to the leaves' logits."""
        return (affine(self.weight_, self.bias_),)

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """About a hundred passes over the items for every leaf."""
        return Cost(100 * 4e-10 * n * d * k, (16 * n * d + 40 * n * k) / 2**20)


def _objective(
    at: NDArray[np.float64],
    x: NDArray[np.float64],
    may: NDArray[np.float64],
    share: NDArray[np.float64],
    ridge: NDArray[np.float64],
    anchor: float,
) -> tuple[float, NDArray[np.float64]]:
    """Value and gradient at (K * (d + 1),)."""
    d, n_leaves = x.shape[1], may.shape[1]
    parameters = at.reshape(n_leaves, d + 1)
    weight, bias = parameters[:, :d], parameters[:, d]
    logits = x @ weight.T + bias
    whole = np.logaddexp.reduce(logits, axis=1, keepdims=True)
    inside = np.where(may > 0, logits, -np.inf)
    part = np.logaddexp.reduce(inside, axis=1, keepdims=True)
    prior = bias - np.logaddexp.reduce(bias)
    value = (
        float(share @ (whole - part)[:, 0]) + 0.5 * float((ridge * weight**2).sum()) - anchor * prior.mean()
    )
    by_logit = share[:, None] * (np.exp(logits - whole) - np.exp(inside - part))
    by_weight = by_logit.T @ x + ridge * weight
    by_bias = by_logit.sum(axis=0) + anchor * (np.exp(prior) - 1 / n_leaves)
    return value, np.concatenate([by_weight, by_bias[:, None]], axis=1).ravel()


def _checked(
    features: NDArray[Any], targets: NDArray[Any], n_classes: int, sample_weight: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Features, which leaves an item may be, shares that sum to 1, and the sum of the weights."""
    x, may = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    weight = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0 or may.shape != (len(x), n_classes) or n_classes < 2:
        raise InputError(
            f"features have shape {x.shape} and targets {may.shape}; expected (n, d) with d >= 1 and (n, {n_classes}) "
            "with at least two leaves"
        )
    wrong = []
    if not np.isfinite(x).all():
        wrong.append(f"features hold {int((~np.isfinite(x)).sum())} values that are NaN or infinite")
    if not np.isin(may, (0.0, 1.0)).all() or not may.any(axis=1).all():
        wrong.append("targets hold other values than 0 and 1, or an item that may be no leaf")
    if weight.shape != (len(x),) or not (np.isfinite(weight) & (weight >= 0)).all():
        wrong.append(f"sample_weight must be {len(x)} finite numbers, zero or more")
    elif not weight.any():
        wrong.append("sample_weight is zero for all items; expected at least one above zero")
    if wrong:
        raise InputError("; ".join(wrong))
    kept = weight > 0
    total = float(weight[kept].sum())
    return x[kept], may[kept], weight[kept] / total, total
