"""Temperature scaling: one number that makes all probabilities softer or sharper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

from plumbline_backend.domain.errors import InputError

MIN_ITEMS = 20
"""Below this the temperature stays 1. Measured on heads for digits that hardly need one (50 labels, 100 draws): a
temperature from 10 items raised the NLL of the others by 0.05 on average, from 20 by 0.012, from 40 lowered it."""
LOW, HIGH = 0.05, 20.0


class Temperature:
    """Divides logits by `temperature_`, which never changes the predicted class.

    The fit minimises the summed negative log-likelihood plus (log T)^2 / 2, a standard normal prior on
    log T: it keeps T away from 0 when every answer happens to be right, and moves T by less than 0.01 from a
    thousand items on. Source: Guo et al. 2017.

    Learned: `temperature_` in [0.05, 20]; `n_` items; `note_` says in words when it was left at 1.
    """

    name = "temperature"

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        self.min_items = min_items
        self.temperature_ = 1.0
        self.n_ = 0
        self.note_ = "not fitted yet: probabilities are the head's own"

    def fit(self, logits: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]]) -> Self:
        """Learn from finite logits (n, K) and targets (n,) that the head was not trained on.

        With fewer than `min_items` items the temperature stays 1 and `note_` says so.
        Raises InputError on NaN or infinite logits, shapes that differ, or targets outside the classes.
        """
        logits, targets = _checked(logits, targets)
        self.n_ = len(targets)
        self.temperature_, self.note_ = 1.0, ""
        if self.n_ < self.min_items:
            self.note_ = (
                f"{self.n_} of the {self.min_items} stream answers needed: probabilities are the head's own"
            )
        else:
            self.temperature_ = _best_temperature(logits, targets)
        return self

    def proba(self, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """softmax(logits / temperature_), (n, K), in float64."""
        return softmax(np.asarray(logits, dtype=np.float64) / self.temperature_, axis=1)

    def cross_fitted(
        self,
        logits: NDArray[np.floating[Any]],
        targets: NDArray[np.integer[Any]],
        folds: int,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """(n, K) probabilities, each item's from a temperature fitted on the other folds.

        What is measured on them is not flattered by having been fitted to the same items. `self` is not
        changed. Raises InputError when folds < 2, and as `fit`.
        """
        if folds < 2:
            raise InputError(f"folds is {folds}; expected at least 2")
        logits, targets = _checked(logits, targets)
        fold = rng.permutation(len(targets)) % folds
        proba = np.empty(logits.shape)
        for held_out in range(folds):
            inside = fold == held_out
            fitted = Temperature(self.min_items).fit(logits[~inside], targets[~inside])
            proba[inside] = fitted.proba(logits[inside])
        return proba

    def parameters(self) -> Mapping[str, float]:
        """{"temperature": T}."""
        return {"temperature": self.temperature_}


def _best_temperature(logits: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The root of the objective's slope in log T. NLL is convex in 1 / T, so the slope changes sign once."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    of_target = shifted[np.arange(len(targets)), targets].sum()

    def slope(log_t: float) -> float:
        beta = np.exp(-log_t)
        expected = (softmax(beta * shifted, axis=1) * shifted).sum()
        return float(beta * (of_target - expected) + log_t)

    low, high = np.log(LOW), np.log(HIGH)
    if slope(low) >= 0:
        return LOW
    if slope(high) <= 0:
        return HIGH
    return float(np.exp(brentq(slope, low, high, xtol=1e-10)))


def _checked(
    logits: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise InputError(
            f"logits have shape {logits.shape} and targets {targets.shape}; expected (n, n_classes) and (n,)"
        )
    wrong = ~np.isfinite(logits).all(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"logits of row {row} are {logits[row][:8]}; expected finite numbers")
    outside = (targets < 0) | (targets >= logits.shape[1])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"target of row {row} is {targets[row]}; expected a class from 0 to {logits.shape[1] - 1}"
        )
    return logits.astype(np.float64, copy=False), targets.astype(np.int64)
