"""Matrix scaling with off-diagonal and intercept regularisation (ODIR)."""

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

MIN_ITEMS = 100
MAX_CLASSES = 200
"""40,000 parameters take 20 s on two cores; more classes have too few items each for a matrix anyway."""
PENALTIES = (0.01, 1.0, 100.0)
HELD_OUT = 5
"""One item in five chooses the penalty."""


class Matrix(PostHoc):
    """softmax(matrix_ @ logits + offset_), which may change the predicted class.

    Minimises the mean NLL plus penalty * (mean squared off-diagonal entry + mean squared offset), starting from the
    best temperature; the penalty is the one of 0.01, 1 and 100 with the least NLL on every fifth item.
    Source: Kull et al. 2019.

    Learned: `matrix_` (K, K), `offset_` (K,), `penalty_`.
    """

    name: ClassVar[str] = "matrix"
    most_items: ClassVar[int | None] = 20_000
    shift_invariant: ClassVar[bool] = False

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        super().__init__(min_items)
        self._reset()

    def parameters(self) -> Mapping[str, float]:
        """The penalty, the mean of the diagonal and the root mean square of what is off it."""
        if not self.fitted_:
            return {"penalty": 0.0, "mean_diagonal": 1.0, "off_diagonal_rms": 0.0}
        off = self.matrix_ - np.diag(np.diag(self.matrix_))
        return {
            "penalty": self.penalty_,
            "mean_diagonal": float(np.diag(self.matrix_).mean()),
            "off_diagonal_rms": float(np.sqrt((off**2).mean())),
        }

    def _refusal(self, n_classes: int) -> str:
        if n_classes > MAX_CLASSES:
            return f"{n_classes} classes; matrix scaling takes at most {MAX_CLASSES}: probabilities are the head's own"
        return ""

    def _reset(self) -> None:
        self.matrix_, self.offset_, self.penalty_ = np.eye(0), np.zeros(0), 0.0

    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        scale = best_temperature(logits, targets)
        middle = logits.max(axis=1).mean()
        z = (logits - middle) / scale
        held = np.arange(len(z)) % HELD_OUT == HELD_OUT - 1

        def held_nll(penalty: float) -> float:
            matrix, offset = _minimum(z[~held], targets[~held], penalty)
            scaled = z[held] @ matrix.T + offset
            own = scaled[np.arange(len(scaled)), targets[held]]
            return float((logsumexp(scaled, axis=1) - own).mean())

        self.penalty_ = min(PENALTIES, key=held_nll)
        matrix, offset = _minimum(z, targets, self.penalty_)
        self.matrix_ = matrix / scale
        self.offset_ = offset - self.matrix_.sum(axis=1) * middle

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return softmax(logits @ self.matrix_.T + self.offset_, axis=1)

    def _program(self, n_classes: int) -> Program:
        del n_classes
        return (affine(self.matrix_, self.offset_),)

    def _state(self) -> State:
        return {"matrix": self.matrix_, "offset": self.offset_, "penalty": np.array(self.penalty_)}

    def _restore(self, state: State) -> None:
        self.matrix_, self.offset_ = state["matrix"], state["offset"]
        self.penalty_ = float(state["penalty"])


def _minimum(
    z: NDArray[np.float64], targets: NDArray[np.int64], penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix (K, K) and offset (K,) of the least penalised NLL."""
    n, k = z.shape
    rows, off = np.arange(n), 1.0 - np.eye(k)
    pairs = max(k * (k - 1), 1)

    def objective(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        matrix, offset = np.eye(k) + x[: k * k].reshape(k, k), x[k * k :]
        scaled = z @ matrix.T + offset
        error = softmax(scaled, axis=1)
        error[rows, targets] -= 1
        outside = matrix * off
        loss = (logsumexp(scaled, axis=1) - scaled[rows, targets]).mean()
        loss += penalty * ((outside**2).sum() / pairs + (offset**2).sum() / k)
        slope = error.T @ z / n + 2 * penalty * outside / pairs
        return float(loss), np.concatenate([slope.ravel(), error.sum(axis=0) / n + 2 * penalty * offset / k])

    options = {"maxiter": 300, "gtol": 1e-8, "ftol": 1e-13}
    found: Any = minimize(objective, np.zeros(k * k + k), jac=True, method="L-BFGS-B", options=options)
    return np.eye(k) + found.x[: k * k].reshape(k, k), found.x[k * k :]
