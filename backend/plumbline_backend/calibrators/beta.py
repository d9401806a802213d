"""Beta calibration of every class against the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from plumbline_backend.calibrators.base import PostHoc, State, renormalised
from plumbline_backend.calibrators.temperature import best_temperature
from plumbline_backend.heads.program import FLOOR, Elementwise, Program, RowWise, affine

MIN_ITEMS = 50
_LEAST = float(np.log(FLOOR))
"""log of the smallest probability worked with, -691."""


class Beta(PostHoc):
    """sigmoid(a log p - b log(1 - p) + c) for every class with a, b >= 0, then rows brought to sum 1.

    p comes from the best temperature, so that a = b = 1 and c = 0 say that nothing more is needed; half the squared
    distance from there is added to the summed log loss of a class, a standard normal prior that steadies rare classes.
    May change the predicted class. Source: Kull, Silva Filho and Flach 2017.

    Learned: `temperature_`; `coefficients_` (K, 3): a, b, c.
    """

    name: ClassVar[str] = "beta"
    most_items: ClassVar[int | None] = 20_000

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        super().__init__(min_items)
        self._reset()

    def parameters(self) -> Mapping[str, float]:
        """The temperature before it, and the mean a, b and c."""
        mean = self.coefficients_.mean(axis=0) if self.fitted_ else np.array([1.0, 1.0, 0.0])
        return {"temperature": self.temperature_, **dict(zip("abc", map(float, mean), strict=True))}

    def _reset(self) -> None:
        self.temperature_, self.coefficients_ = 1.0, np.zeros((0, 3))

    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        self.temperature_ = best_temperature(logits, targets)
        log_p, log_q = _log_pair(logits / self.temperature_)
        self.coefficients_ = np.stack(
            [_fitted(log_p[:, k], log_q[:, k], targets == k) for k in range(logits.shape[1])]
        )

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        log_p, log_q = _log_pair(logits / self.temperature_)
        a, b, c = self.coefficients_.T
        return renormalised(expit(a * log_p - b * log_q + c), softmax(logits / self.temperature_, axis=1))

    def _program(self, n_classes: int) -> Program:
        """log p and log(1 - p) side by side; 1 - p as the sum of the others, which loses no digits near 1."""
        one = np.eye(n_classes)
        a, b, c = self.coefficients_.T
        return (
            affine(one / self.temperature_),
            RowWise("softmax"),
            affine(np.vstack([one, 1 - one])),
            Elementwise("log"),
            affine(np.hstack([np.diag(a), np.diag(-b)]), c),
            Elementwise("sigmoid"),
            Elementwise("log"),
            affine(one),
        )

    def _state(self) -> State:
        return {"temperature": np.array(self.temperature_), "coefficients": self.coefficients_}

    def _restore(self, state: State) -> None:
        self.temperature_ = float(state["temperature"])
        self.coefficients_ = state["coefficients"]


def _log_pair(logits: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log p and log(1 - p), (n, K) each, both finite; 1 - p is exact also where p rounds to 1."""
    log_p = np.maximum(log_softmax(logits, axis=1), _LEAST)
    proba = softmax(logits, axis=1)
    rest = proba.sum(axis=1, keepdims=True) - proba
    top = proba.argmax(axis=1)
    others = proba.copy()
    others[np.arange(len(top)), top] = 0.0
    rest[np.arange(len(top)), top] = others.sum(axis=1)
    return log_p, np.log(np.maximum(rest, np.exp(_LEAST)))


def _fitted(
    log_p: NDArray[np.float64], log_q: NDArray[np.float64], has: NDArray[np.bool_]
) -> NDArray[np.float64]:
    columns = np.stack([log_p, -log_q, np.ones(len(log_p))], axis=1)
    neutral = np.array([1.0, 1.0, 0.0])

    def objective(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = columns @ x
        loss = (np.logaddexp(0, z) - has * z).sum() + ((x - neutral) ** 2).sum() / 2
        return float(loss), columns.T @ (expit(z) - has) + (x - neutral)

    bounds = [(0, None), (0, None), (None, None)]
    found: Any = minimize(objective, neutral, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)
