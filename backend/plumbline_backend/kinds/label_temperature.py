"""One temperature for a whole head, fitted on what people said of items that the head never saw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

LOWEST, HIGHEST = 0.05, 20.0


class OneTemperature(ABC):
    """The T in [LOWEST, HIGHEST] of least negative log-likelihood.

    Learned: `temperature_`, and `note_`, which says where it stayed 1: fewer than `at_least` items.
    """

    def __init__(self, at_least: int = 1) -> None:
        self.at_least = at_least
        self.temperature_ = 1.0
        self.note_ = ""

    @classmethod
    def at(cls, temperature: float) -> Self:
        """One that was fitted before."""
        found = cls()
        found.temperature_ = temperature
        return found

    @abstractmethod
    def proba(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, K)."""

    @abstractmethod
    def known(self, truth: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) which items say anything."""

    @abstractmethod
    def loss(self, logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
        """Mean negative log-likelihood of what is said, of logits that are divided already."""

    def fit(self, logits: NDArray[np.float64], truth: NDArray[np.int64]) -> Self:
        """logits (n, K); truth (n, K)."""
        known = self.known(truth)
        n = int(known.sum())
        if n < self.at_least or n == 0:
            self.note_ = f"not calibrated yet: {n} random-stream answers, {self.at_least} are needed"
            return self
        found = minimize_scalar(
            lambda t: self.loss(logits[known] / np.exp(t), truth[known]),
            bounds=(np.log(LOWEST), np.log(HIGHEST)),
            method="bounded",
        )
        self.temperature_ = float(np.exp(found.x))
        return self

    def cross_fitted(
        self, logits: NDArray[np.float64], truth: NDArray[np.int64], folds: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """(n, K), each item by a temperature from the other folds' items; the own one where they are too few."""
        proba = self.proba(logits)
        if len(logits) < max(folds, self.at_least):
            return proba
        fold = rng.permutation(len(logits)) % folds
        for k in range(folds):
            held = fold == k
            fitted = type(self)().fit(logits[~held], truth[~held])
            proba[held] = fitted.proba(logits[held])
        return proba


class LabelTemperature(OneTemperature):
    """p = sigmoid(z / T). truth: 1 yes, 0 no, -1 not said."""

    def proba(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each class by itself."""
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits / self.temperature_, -700, 700))))

    def known(self, truth: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Items of which a class is said."""
        return np.asarray((truth >= 0).any(axis=1))

    def loss(self, logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
        """Over the said pairs."""
        said = truth >= 0
        z = np.where(truth[said] == 1, logits[said], -logits[said])
        return float(np.logaddexp(0.0, -z).mean())


class LeafTemperature(OneTemperature):
    """p = softmax(z / T) over leaves. truth: 1 for every leaf that the answer leaves open, 0 for the others."""

    def proba(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows sum to 1."""
        z = logits / self.temperature_
        return np.asarray(np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)))

    def known(self, truth: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Items whose answer rules out some leaf and leaves one open."""
        return np.asarray((truth == 1).any(axis=1) & (truth == 0).any(axis=1))

    def loss(self, logits: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
        """Of the answered branch, whose probability is the sum of its leaves'."""
        inside = np.where(truth == 1, logits, -np.inf)
        return float((np.logaddexp.reduce(logits, axis=1) - np.logaddexp.reduce(inside, axis=1)).mean())
