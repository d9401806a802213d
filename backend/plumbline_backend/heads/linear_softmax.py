"""Softmax regression: a convex head, trained exactly, fast enough to follow the labelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import finite, positive
from plumbline_backend.heads.lbfgs import Solution
from plumbline_backend.heads.penalty import checked_l2
from plumbline_backend.heads.program import Program, affine
from plumbline_backend.heads.softmax_problem import Loss, SoftmaxProblem, build, solve
from plumbline_kernels import score_classes

_CHUNK = 16_384
"""Rows whose logits are computed together."""
_SINGLE_LIMIT = 1e3
"""Scores are computed in float32 while the terms of a logit add up to less than this: their rounding error
is then below 1e3 * 2^-24 = 6e-5. Features far from zero for their spread (raw years, identifiers) exceed it."""


class LinearSoftmax(ProgramHead):
    """p(k | x) = softmax(W x + b), the minimum of sum_i w_i loss_i + l2 / 2 |W|^2; the bias is free.

    l2 is scikit-learn's 1 / C (for two classes 2 / C: there it penalises one difference of weights, here
    both vectors); None has it chosen by the features' spread, and `l2_` says what it came to. `tolerance`
    bounds the largest entry of the mean objective's gradient, columns measured in their standard deviations, so
    that units do not matter; at the default the objective is within about 1e-6 of its minimum, relatively.

    Learned, in float64: `weight_` (n_classes, n_features), `bias_` (n_classes,). How the fit went:
    `objective_` (the sum above), `gradient_` (the entry that met the tolerance), `n_iterations_`,
    `n_evaluations_`, `converged_` (False when `max_iterations` or rounding ended it sooner).

    A class without a labelled item has no place in the optimum (its bias would go to minus infinity): it gets
    no weights, and the bias that gives it 1 / (n + n_classes) of a typical item (rule of succession).
    """

    name = "linear_softmax"
    explanation = (
        "Weighs every feature for every class, to the exact optimum: the steady choice when the features are good "
        "(embeddings, clean columns)."
    )

    def __init__(
        self,
        l2: float | None = None,
        tolerance: float = 1e-5,
        max_iterations: int = 500,
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        z_regularization: float = 0.0,
        nkd: float = 0.0,
    ) -> None:
        numbers = {"adjust": adjust, "z_regularization": z_regularization, "nkd": nkd}
        wrong = [*checked_l2(l2)]
        wrong += [
            f"{what} is {value}; expected a finite number, zero or more"
            for what, value in numbers.items()
            if not 0 <= value < float("inf")
        ]
        if nkd and (label_smoothing or z_regularization):
            wrong.append(f"nkd is {nkd}; expected 0 with label smoothing or z-regularization")
        if not tolerance > 0:
            wrong.append(f"tolerance is {tolerance}; expected a number above zero")
        if not 0 <= label_smoothing < 1:
            wrong.append(f"label_smoothing is {label_smoothing}; expected 0 or more and less than 1")
        if wrong:
            raise InputError("; ".join(wrong))
        self.l2 = l2
        self.tolerance = tolerance
        self.max_iterations = max_iterations
        self.adjust = adjust
        self.label_smoothing = label_smoothing
        self.z_regularization = z_regularization
        self.nkd = nkd

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: LinearSoftmax | None = None,
    ) -> Self:
        """Learn from features (n, d), targets (n,) in 0 .. n_classes - 1 or (n, n_classes) probabilities, weights >= 0.

        `warm_start` is a head fitted on the same features; its first rows are used when the number of
        classes differs. It changes the time, not the result. Raises InputError, naming all that is wrong,
        on NaN or infinite features, shapes that differ, targets outside the classes, negative weights, or
        fewer than two classes among the items of positive weight.
        """
        loss = Loss(self.adjust, self.label_smoothing, self.z_regularization, self.nkd)
        problem = build(features, targets, n_classes, sample_weight, self.l2, loss)
        found = solve(problem, _start(problem, warm_start), self.tolerance, self.max_iterations)
        self.take(found, problem, n_classes)
        return self

    def take(self, found: Solution, problem: SoftmaxProblem, n_classes: int) -> None:
        """Become the head that a search has found, here or elsewhere."""
        self._keep(found.point.x, problem, n_classes)
        self.l2_ = problem.l2
        self.objective_ = found.point.value * problem.total
        self.gradient_ = float(found.point.gradient.abs().max())
        self.n_iterations_ = found.n_iterations
        self.n_evaluations_ = found.n_evaluations
        self.converged_ = found.converged

    def logits(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """W x + b of (n, d) features as (n, n_classes) float64. Raises InputError on another width."""
        features = self.checked(features)
        out = np.empty((len(features), len(self.bias_)))
        for start in range(0, len(features), _CHUNK):
            rows = slice(start, start + _CHUNK)
            np.matmul(features[rows].astype(np.float64), self.weight_.T, out=out[rows])
        out += self.bias_
        return out

    def program(self) -> Program:
        """One step: W x + b."""
        return (affine(self.weight_, self.bias_),)

    def scores(self, features: NDArray[np.floating[Any]], temperature: float = 1.0) -> PoolScores:
        """Two largest probabilities, entropy and argmax of (n, d) features, in one pass over the classes.

        float32 for float32 features, unless their offsets need float64. Raises InputError on another width
        or non-finite features.
        """
        features = self.checked(features)
        single = features.dtype in (np.float32, np.float16) and self.magnitude_ < _SINGLE_LIMIT
        x = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32 if single else np.float64))
        found = score_classes(
            x,
            torch.from_numpy(self.weight_).to(x.dtype),
            bias=torch.from_numpy(self.bias_ / positive(temperature)).to(x.dtype),
            scale=1 / temperature,
            check_values=False,
        )
        if not torch.isfinite(found.top1).all():  # what is not finite in a row leaves no finite score of it
            finite(features)
        return PoolScores(found.top1.numpy(), found.top2.numpy(), found.entropy.numpy(), found.argmax.numpy())

    def save(self, folder: Path) -> None:
        """Write head.safetensors (weight, bias) and head.json (settings, how the fit went)."""
        self.checked(np.empty((0, getattr(self, "width_", 0))))
        save_file({"weight": self.weight_, "bias": self.bias_}, folder / "head.safetensors")
        facts = {name: getattr(self, name) for name in _SETTINGS + _FACTS}
        (folder / "head.json").write_text(json.dumps({"head": self.name, **facts}, indent=2) + "\n")

    def facts(self) -> dict[str, Any]:
        """How the fit went: objective, largest gradient entry, iterations, whether it converged."""
        return {name.rstrip("_"): getattr(self, name) for name in _FACTS}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The head that `save` wrote into `folder`. Raises InputError when it is another kind of head."""
        facts = json.loads((folder / "head.json").read_text())
        if facts["head"] != cls.name:
            raise InputError(f"{folder / 'head.json'} holds a {facts['head']!r} head; expected {cls.name!r}")
        head = cls(**{name: facts[name] for name in _SETTINGS if name in facts})
        for name in _FACTS:
            setattr(head, name, facts.get(name))
        arrays = load_file(folder / "head.safetensors")
        head.weight_, head.bias_ = arrays["weight"], arrays["bias"]
        head.width_ = head.weight_.shape[1]
        return head

    def _keep(self, found: Tensor, problem: SoftmaxProblem, n_classes: int) -> None:
        """Back from standardised columns and present classes to the caller's."""
        weight = found[:, :-1] / problem.spread
        bias = found[:, -1] - weight @ problem.mean
        self.width_ = weight.shape[1]
        self.weight_ = np.zeros((n_classes, self.width_))
        self.bias_ = np.full(n_classes, _bias_of_absent(found, problem, n_classes))
        self.weight_[problem.present] = weight.numpy()
        self.bias_[problem.present] = bias.numpy()
        self.magnitude_ = float((weight.abs() @ (problem.mean.abs() + problem.spread)).max())

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """Measured on one core: 10,000 x 384 with 100 classes took about 2 s; the pairs of the search hold 26 k d."""
        return Cost(5e-9 * n * d * k + 1e-10 * n * d * d, (8 * 26 * k * d + 8 * n * d + 8 * n) / 2**20)


_SETTINGS = ("l2", "tolerance", "max_iterations", "adjust", "label_smoothing", "z_regularization", "nkd")
_FACTS = ("l2_", "magnitude_", "objective_", "gradient_", "n_iterations_", "n_evaluations_", "converged_")


def _start(problem: SoftmaxProblem, warm_start: LinearSoftmax | None) -> Tensor:
    """(n_present, d + 1), the bias last: zeros, or the earlier head seen from the standardised columns."""
    d = len(problem.mean)
    start = torch.zeros(len(problem.present), d + 1, dtype=torch.float64)
    if warm_start is None:
        return start
    if warm_start.weight_.shape[1] != d:
        raise InputError(f"warm_start has {warm_start.weight_.shape[1]} features; expected {d}")
    known = problem.present < len(warm_start.bias_)
    weight = torch.from_numpy(warm_start.weight_[problem.present[known]])
    bias = torch.from_numpy(warm_start.bias_[problem.present[known]]) + weight @ problem.mean
    start[torch.from_numpy(known)] = torch.cat([weight * problem.spread, bias[:, None]], dim=1)
    return start


def _bias_of_absent(found: Tensor, problem: SoftmaxProblem, n_classes: int) -> float:
    """Mean logsumexp over the labelled items, less log(n + n_classes)."""
    n = len(problem.targets)
    if len(problem.present) == n_classes:
        return 0.0
    total = 0.0
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        logits = torch.addmm(found[:, -1], problem.features[rows].double(), found[:, :-1].T)
        total += float(problem.share[rows] @ torch.logsumexp(logits, dim=1))
    return total - float(np.log(n + n_classes))
