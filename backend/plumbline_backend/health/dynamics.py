"""How a label behaves while a model learns: hard ones are late, wrong ones are fought against."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError

RUNS = 4
"""Runs that are averaged. With two classes or more no item is a threshold sample in more than two of them."""
EPOCHS, EARLY = 20, 4
BATCH = 64
RATE = 0.05
TAIL = 0.99


class Dynamics(NamedTuple):
    """All (n,). `aum`: mean over epochs of the label's logit minus the largest other one; low is suspicious.

    `el2n`: length of p - onehot after the first epochs, 0 to sqrt 2; high is hard or wrong. `low_aum`: True where the
    area is negative and below the 99th percentile of items that were given a class that does not exist.
    """

    aum: NDArray[np.float64]
    el2n: NDArray[np.float64]
    low_aum: NDArray[np.bool_]


def training_dynamics(
    features: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    n_classes: int,
    rng: np.random.Generator,
) -> Dynamics:
    """Train a linear softmax by stochastic gradient descent a few times and watch every label.

    features: (n, d) finite; labels: (n,). In each run n / (K + 1) random items are given a class of their own, and are
    left out of that run's averages. With fewer than two items per class no area is called low. Raises InputError on
    NaN, shapes that differ or labels outside the classes.
    Source: Pleiss et al. 2020 (AUM); Paul, Ganguli and Dziugaite 2021 (EL2N).
    """
    x, y = _checked(features, labels, n_classes)
    n = len(y)
    if n == 0:
        return Dynamics(np.empty(0), np.empty(0), np.empty(0, dtype=bool))
    share = n // (n_classes + 1)
    area, hard, seen = np.zeros(n), np.zeros(n), np.zeros(n)
    bars = []
    order = rng.permutation(n)
    for run in range(RUNS):
        fake = np.roll(order, -run * share)[:share]
        given = y.copy()
        given[fake] = n_classes
        margin, early = _run(x, given, n_classes + 1, np.random.default_rng(rng.integers(2**63)))
        real = np.ones(n, dtype=bool)
        real[fake] = False
        area[real] += margin[real]
        hard[real] += early[real]
        seen[real] += 1
        if len(fake):
            bars.append(float(np.quantile(margin[fake], TAIL)))
    aum, el2n = area / np.maximum(seen, 1), hard / np.maximum(seen, 1)
    low = aum <= np.mean(bars) if len(bars) and share >= 2 else np.zeros(n, dtype=bool)
    return Dynamics(aum, el2n, np.asarray(low & (aum < 0)))


def _run(
    x: torch.Tensor, given: NDArray[np.int64], n_classes: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean margin over the epochs, mean EL2N over the early ones), each (n,)."""
    target = torch.from_numpy(given)
    onehot = torch.nn.functional.one_hot(target, n_classes).float()
    weight = torch.zeros(x.shape[1] + 1, n_classes)
    margins, errors = torch.zeros(len(x)), torch.zeros(len(x))
    for epoch in range(EPOCHS):
        order = torch.from_numpy(rng.permutation(len(x)))
        for rows in order.split(BATCH):
            p = torch.softmax(x[rows] @ weight[:-1] + weight[-1], dim=1)
            gap = (p - onehot[rows]) / len(rows)
            weight[:-1] -= RATE * (x[rows].T @ gap) * np.sqrt(BATCH)
            weight[-1] -= RATE * gap.sum(dim=0) * np.sqrt(BATCH)
        logits = x @ weight[:-1] + weight[-1]
        own = logits.gather(1, target[:, None])[:, 0]
        other = logits.masked_fill(onehot.bool(), -torch.inf).max(dim=1).values
        margins += own - other
        if epoch < EARLY:
            errors += (torch.softmax(logits, dim=1) - onehot).norm(dim=1)
    return (margins / EPOCHS).double().numpy(), (errors / EARLY).double().numpy()


def _checked(
    features: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], n_classes: int
) -> tuple[torch.Tensor, NDArray[np.int64]]:
    x, y = np.asarray(features, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise InputError(f"features have shape {x.shape} and labels {y.shape}; expected (n, d) and (n,)")
    if not np.isfinite(x).all():
        raise InputError("features hold NaN or infinite values; expected finite numbers")
    if len(y) and (y.min() < 0 or y.max() >= n_classes):
        raise InputError(
            f"labels run from {y.min()} to {y.max()}; expected classes from 0 to {n_classes - 1}"
        )
    spread = x.std(axis=0) if len(x) else np.ones(x.shape[1])
    standard = (x - (x.mean(axis=0) if len(x) else 0)) / np.where(spread > 1e-12, spread, 1.0)
    return torch.from_numpy(standard.astype(np.float32)), y
