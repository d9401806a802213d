"""Vector scaling: a factor and an offset for every class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from plumbline_backend.calibrators.base import PostHoc, State
from plumbline_backend.calibrators.temperature import best_temperature
from plumbline_backend.heads.program import Program, affine

MIN_ITEMS = 50


class Vector(PostHoc):
    """softmax(factor_ * logits + offset_), which may change the predicted class.

    Starts from the best temperature T and minimises the summed NLL plus half the squared distance of the factors
    times T from 1 and of the offsets from 0, a standard normal prior. Source: Guo et al. 2017.

    Learned: `factor_` and `offset_`, each (K,).
    """

    name: ClassVar[str] = "vector"
    shift_invariant: ClassVar[bool] = False

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        super().__init__(min_items)
        self._reset()

    def parameters(self) -> Mapping[str, float]:
        """The range of the factors and of the offsets."""
        if not self.fitted_:
            return {"smallest_factor": 1.0, "largest_factor": 1.0, "offset_range": 0.0}
        return {
            "smallest_factor": float(self.factor_.min()),
            "largest_factor": float(self.factor_.max()),
            "offset_range": float(np.ptp(self.offset_)),
        }

    def _reset(self) -> None:
        self.factor_, self.offset_ = np.ones(0), np.zeros(0)

    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        n, k = logits.shape
        scale = best_temperature(logits, targets)
        middle = logits.max(axis=1).mean()
        z = (logits - middle) / scale
        onehot_z = np.bincount(targets, z[np.arange(n), targets], k)
        counts = np.bincount(targets, minlength=k)

        def objective(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            change, offset = x[:k], x[k:]
            scaled = z * (1 + change) + offset
            p = softmax(scaled, axis=1)
            loss = logsumexp(scaled, axis=1).sum() - (1 + change) @ onehot_z - offset @ counts
            slope = np.concatenate([(p * z).sum(axis=0) - onehot_z + change, p.sum(axis=0) - counts + offset])
            return float(loss + (x @ x) / 2), slope

        found: Any = minimize(objective, np.zeros(2 * k), jac=True, method="L-BFGS-B", options={"gtol": 1e-8})
        self.factor_ = (1 + found.x[:k]) / scale
        self.offset_ = found.x[k:] - self.factor_ * middle

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return softmax(self.factor_ * logits + self.offset_, axis=1)

    def _program(self, n_classes: int) -> Program:
        del n_classes
        return (affine(np.diag(self.factor_), self.offset_),)

    def _state(self) -> State:
        return {"factor": self.factor_, "offset": self.offset_}

    def _restore(self, state: State) -> None:
        self.factor_, self.offset_ = state["factor"], state["offset"]
