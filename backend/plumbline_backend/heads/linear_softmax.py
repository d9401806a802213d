"""Softmax regression: a convex head, trained exactly, fast enough to follow the labelling."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.lbfgs import minimise
from plumbline_backend.heads.preconditioner import softmax_preconditioner

_CHUNK = 16_384
"""Rows whose logits are computed together."""


class LinearSoftmax:
    """p(k | x) = softmax(W x + b), the minimum of sum_i w_i loss_i + l2 / 2 |W|^2; the bias is free.

    l2 is scikit-learn's 1 / C (for two classes 2 / C: there it penalises one difference of weights, here
    both vectors). `tolerance` bounds the largest entry of the mean objective's gradient, columns measured
    in their standard deviations, so the result does not depend on units.

    Learned, in float64: `weight_` (n_classes, n_features), `bias_` (n_classes,), `n_iterations_`,
    `n_evaluations_`, `gradient_` (the size that met the tolerance), `converged_`, `objective_` (the sum).

    A class without a labelled item is not in the optimum (its bias has none): it gets no weights and the
    bias that gives it 1 / (n + n_classes) of the probability at a typical item (rule of succession).
    """

    name = "linear_softmax"

    def __init__(self, l2: float = 1.0, tolerance: float = 1e-6, max_iterations: int = 500) -> None:
        if not 0 <= l2 < float("inf"):
            raise InputError(f"l2 is {l2}; expected a finite number, zero or more")
        if not tolerance > 0:
            raise InputError(f"tolerance is {tolerance}; expected a number above zero")
        self.l2 = l2
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[np.integer[Any]],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: LinearSoftmax | None = None,
    ) -> Self:
        """Learn from features (n, d), targets (n,) in 0 .. n_classes - 1 and weights (n,) >= 0.

        `warm_start` is a head fitted on the same features; its first rows are used when the number of
        classes differs. It changes the time, not the result. Raises InputError, naming all that is wrong,
        on NaN or infinite features, shapes that differ, targets outside the classes, negative weights, or
        fewer than two classes among the items of positive weight.
        """
        data = _prepare(features, targets, n_classes, sample_weight)
        start = _start(data, warm_start)
        solution = minimise(
            _objective(data, self.l2),
            start,
            softmax_preconditioner(data.centred, data.share, self.l2 / data.total, 1 / len(data.present)),
            _measure(data, self.l2),
            self.tolerance,
            self.max_iterations,
        )
        self._keep(solution.point.x, data, n_classes)
        self.objective_ = solution.point.value * data.total
        self.gradient_ = solution.gradient_size
        self.n_iterations_ = solution.n_iterations
        self.n_evaluations_ = solution.n_evaluations
        self.converged_ = solution.converged
        return self

    def logits(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """W x + b of (n, d) features as (n, n_classes) float64. Raises InputError on another width."""
        features = self._checked(features)
        out = np.empty((len(features), len(self.bias_)))
        for start in range(0, len(features), _CHUNK):
            rows = slice(start, start + _CHUNK)
            out[rows] = features[rows].astype(np.float64) @ self.weight_.T + self.bias_
        return out

    def proba(self, features: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
        """softmax(logits / temperature), (n, n_classes) float64, rows sum to 1."""
        logits = self.logits(features)
        logits /= temperature
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def scores(self, features: NDArray[np.floating[Any]], temperature: float = 1.0) -> PoolScores:
        """Two largest probabilities, entropy and argmax of (n, d) features, in one pass over the classes."""
        proba = self.proba(features, temperature)
        top = np.sort(proba, axis=1)[:, -2:]
        entropy = -(proba * np.log(np.maximum(proba, 1e-300))).sum(axis=1)
        return PoolScores(top[:, 1], top[:, 0], entropy, proba.argmax(axis=1))

    def save(self, folder: Path) -> None:
        """Write head.safetensors (weight, bias) and head.json (settings, how the fit went)."""
        save_file({"weight": self.weight_, "bias": self.bias_}, folder / "head.safetensors")
        facts = {name: getattr(self, name) for name in _SETTINGS + _FACTS}
        (folder / "head.json").write_text(json.dumps({"head": self.name, **facts}, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The head that `save` wrote into `folder`."""
        facts = json.loads((folder / "head.json").read_text())
        if facts["head"] != cls.name:
            raise InputError(f"{folder / 'head.json'} holds a {facts['head']!r} head; expected {cls.name!r}")
        head = cls(**{name: facts[name] for name in _SETTINGS})
        for name in _FACTS:
            setattr(head, name, facts[name])
        arrays = load_file(folder / "head.safetensors")
        head.weight_, head.bias_ = arrays["weight"], arrays["bias"]
        return head

    def _keep(self, found: Tensor, data: _Data, n_classes: int) -> None:
        """Back from centred features and present classes to the caller's."""
        weight, bias = found[:, :-1], found[:, -1] - found[:, :-1] @ data.mean
        logits = data.centred @ weight.T + found[:, -1]
        level = float((data.share * torch.logsumexp(logits, dim=1)).sum())
        self.weight_ = np.zeros((n_classes, weight.shape[1]))
        self.bias_ = np.full(n_classes, level - np.log(len(data.targets) + n_classes))
        self.weight_[data.present] = weight.numpy()
        self.bias_[data.present] = bias.numpy()

    def _checked(self, features: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        if not hasattr(self, "weight_"):
            raise InputError("this head has not been fitted; call fit first")
        if features.ndim != 2 or features.shape[1] != self.weight_.shape[1]:
            raise InputError(f"features have shape {features.shape}; expected (n, {self.weight_.shape[1]})")
        return features


_SETTINGS = ("l2", "tolerance", "max_iterations")
_FACTS = ("objective_", "gradient_", "n_iterations_", "n_evaluations_", "converged_")


class _Data(NamedTuple):
    """Items of positive weight. share: weights over their total; present: classes that occur."""

    centred: Tensor
    mean: Tensor
    targets: Tensor
    share: Tensor
    total: float
    present: NDArray[np.int64]


def _prepare(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    n_classes: int,
    sample_weight: NDArray[np.floating[Any]] | None,
) -> _Data:
    weight = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    _refuse(np.asarray(features), np.asarray(targets), n_classes, weight)
    used = np.flatnonzero(weight > 0)
    x = torch.from_numpy(np.asarray(features)[used].astype(np.float64))
    present, indices = np.unique(np.asarray(targets)[used], return_inverse=True)
    total = float(weight[used].sum())
    share = torch.from_numpy(weight[used] / total)
    mean = share @ x
    x -= mean
    return _Data(x, mean, torch.from_numpy(indices.astype(np.int64)), share, total, present.astype(np.int64))


def _refuse(
    features: NDArray[Any], targets: NDArray[Any], n_classes: int, weight: NDArray[np.float64]
) -> None:
    """Raise one InputError with everything that is wrong."""
    if features.ndim != 2 or features.shape[1] == 0 or targets.shape != features.shape[:1]:
        raise InputError(
            f"features have shape {features.shape} and targets {targets.shape}; "
            "expected (n, d) with d >= 1, and (n,)"
        )
    if weight.shape != targets.shape:
        raise InputError(f"sample_weight has shape {weight.shape}; expected {targets.shape}")
    wrong = []
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        row, column = bad[0]
        wrong.append(
            f"features hold {len(bad)} values that are NaN or infinite, the first in row {row}, "
            f"column {column}; expected finite numbers"
        )
    outside = np.flatnonzero((targets < 0) | (targets >= n_classes))
    if len(outside):
        wrong.append(
            f"target of row {outside[0]} is {targets[outside[0]]}; expected a class from 0 to {n_classes - 1}"
        )
    if not (np.isfinite(weight) & (weight >= 0)).all():
        wrong.append("sample_weight holds negative or non-finite values; expected zero or more")
    elif len(np.unique(targets[weight > 0])) < 2:
        seen = np.unique(targets[weight > 0]).tolist()
        wrong.append(
            f"items of positive weight have the classes {seen}; expected at least two different ones"
        )
    if wrong:
        raise InputError("; ".join(wrong))


def _start(data: _Data, warm_start: LinearSoftmax | None) -> Tensor:
    """(n_present, d + 1) with the bias, for centred features, last."""
    d = data.centred.shape[1]
    start = torch.zeros(len(data.present), d + 1, dtype=torch.float64)
    if warm_start is None:
        return start
    if warm_start.weight_.shape[1] != d:
        raise InputError(f"warm_start has {warm_start.weight_.shape[1]} features; expected {d}")
    known = data.present < len(warm_start.bias_)
    rows = torch.from_numpy(np.flatnonzero(known))
    weight = torch.from_numpy(warm_start.weight_[data.present[known]])
    start[rows, :-1] = weight
    start[rows, -1] = torch.from_numpy(warm_start.bias_[data.present[known]]) + weight @ data.mean
    return start


def _objective(data: _Data, l2: float) -> Callable[[Tensor], tuple[float, Tensor]]:
    ridge = l2 / data.total

    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        weight = x[:, :-1].clone().requires_grad_()
        bias = x[:, -1].clone().requires_grad_()
        losses = cross_entropy(torch.addmm(bias, data.centred, weight.T), data.targets, reduction="none")
        loss = data.share @ losses
        by_weight, by_bias = torch.autograd.grad(loss, (weight, bias))
        value = loss.item() + ridge / 2 * float((x[:, :-1] ** 2).sum())
        return value, torch.cat([by_weight + ridge * x[:, :-1], by_bias[:, None]], dim=1)

    return evaluate


def _measure(data: _Data, l2: float) -> Callable[[Tensor], float]:
    """Largest entry of the gradient, each column divided by its spread (with the penalty's own scale)."""
    spread = (data.share @ data.centred**2 + l2 / data.total).sqrt()
    scale = torch.cat([spread, torch.ones(1, dtype=torch.float64)])
    scale = torch.where(scale > 0, scale, 1.0)

    def measure(gradient: Tensor) -> float:
        return float((gradient / scale).abs().max())

    return measure
