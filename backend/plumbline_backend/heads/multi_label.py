"""One logistic regression per class, learned together from answers that may say nothing of some classes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.bernoulli_problem import build, solve, start_of, unscaled
from plumbline_backend.heads.checks import finite, positive
from plumbline_backend.heads.options import Option
from plumbline_backend.heads.program import Program, affine, run

SURE = 0.9
"""A class of which nothing was said counts as a yes, where correction is on, from this probability of the first fit."""
_ROWS = 65_536
_CELLS = 16_000_000


class MultiLabel(ProgramHead):
    """p(k | x) = sigmoid(w_k x + b_k), each class from the items that say yes or no of it.

    Convex, to the optimum, unless an option asks for a second fit from the first (the three parts of COMIC, Zhang et
    al. 2023, for partial labels and a long tail, on one head):
    correction: classes not said, of probability `SURE` or more, are learned as yes with this weight (0: left out).
    focus: a label of loss -log q weighs (1 - q)^g, g = focus for no; for yes focus times the class's number of yes
    over the largest such number, so that rare classes keep theirs (multi-focal).
    balance: yes of class k weigh (n_no / n_yes)^balance, at most 100.
    mix: share of extra items made as the mean of two, carrying what either carries, where both say everything (the
    union of LaSO, Alfassy et al. 2019, on the features as they are, without its networks).

    Learned: `weight_` (K, d), `bias_` (K,) float64. l2 as in linear_softmax.
    """

    name = "multi_label"
    explanation = (
        "Decides each class by itself from the answers that say yes or no of it: for items that carry several classes "
        "or none."
    )
    OPTIONS = (
        Option("correction", "Classes not said", {"Leave them out": 0.0, "Take sure ones as yes": 0.5}, 0.0,
               "For partial answers: a class of which nothing was said and that the first fit gives 90 % or more is "
               "learned as a yes of half the weight."),
        Option("focus", "Easy labels", {"Count fully": 0.0, "Count less": 1.0, "Count much less": 2.0}, 0.0,
               "Labels that are already right count less, so that the rare and the hard count more; the yes of rare "
               "classes always count fully."),
        Option("balance", "Rare classes", {"As they are": 0.0, "Raised": 0.5, "As often as not": 1.0}, 0.0,
               "A yes of a rare class weighs more. Finds more of the rare ones, at the price of false ones."),
        Option("mix", "Mixed items", {"None": 0.0, "One for every two": 0.5, "One for each": 1.0}, 0.0,
               "Adds items made of two, carrying the classes of both: for few labels with sets not seen together."),
    )  # fmt: skip
    SETTINGS = ("l2", "correction", "focus", "balance", "mix", "tolerance", "max_iterations", "seed")
    ARRAYS = ("weight_", "bias_")
    FACTS = ("n_iterations_", "converged_", "n_said_", "n_corrected_", "n_mixed_")

    weight_: NDArray[np.float64]
    bias_: NDArray[np.float64]

    def __init__(
        self,
        l2: float = 1.0,
        correction: float = 0.0,
        focus: float = 0.0,
        balance: float = 0.0,
        mix: float = 0.0,
        tolerance: float = 1e-6,
        max_iterations: int = 500,
        seed: int = 0,
    ) -> None:
        given = {"l2": l2, "focus": focus, "mix": mix}
        wrong = [
            f"{name} is {value}; expected a finite number, zero or more"
            for name, value in given.items()
            if not 0 <= value < float("inf")
        ]
        for name, value in (("correction", correction), ("balance", balance)):
            if not 0 <= value <= 1:
                wrong.append(f"{name} is {value}; expected 0 to 1")
        if not tolerance > 0:
            wrong.append(f"tolerance is {tolerance}; expected a number above zero")
        if wrong:
            raise InputError("; ".join(wrong))
        self.l2, self.correction, self.focus, self.balance, self.mix = l2, correction, focus, balance, mix
        self.tolerance, self.max_iterations, self.seed = tolerance, max_iterations, seed

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: Self | None = None,
    ) -> Self:
        """targets: (n, n_classes) in [0, 1], 1 yes and 0 no; below 0: nothing was said. Raises InputError."""
        x, y, items = _checked(features, targets, n_classes, sample_weight)
        x, y, items = self._with_mixed(x, y, items)
        said = (y >= 0).astype(np.float64)
        self.n_said_ = int(said.sum())
        weight = said * self._balanced(y, said)
        clean = np.where(y >= 0, y, 0.0).astype(np.float64)
        self.n_corrected_ = 0
        self._solve(x, clean, weight, items, warm_start)
        if self.correction or self.focus:
            power = self._focused(clean, said) if self.focus else None
            if self.correction:
                taken = (said == 0) & (self.proba(x) >= SURE)
                self.n_corrected_ = int(taken.sum())
                clean, weight = np.where(taken, 1.0, clean), np.where(taken, self.correction, weight)
            self._solve(x, clean, weight, items, self, power)
        return self

    def _solve(
        self,
        x: NDArray[np.floating[Any]],
        y: NDArray[np.float64],
        weight: NDArray[np.float64],
        items: NDArray[np.float64],
        warm: Self | None,
        power: NDArray[np.float64] | None = None,
    ) -> None:
        problem = build(x, y, weight, items, self.l2, power)
        same = warm is not None and warm.weight_.shape == (y.shape[1], x.shape[1])
        start = (
            start_of(problem, warm.weight_, warm.bias_)
            if warm is not None and same
            else torch.zeros((y.shape[1], x.shape[1] + 1), dtype=torch.float64)
        )
        found = solve(problem, start, self.tolerance, self.max_iterations)
        self.weight_, self.bias_ = unscaled(problem, found.point.x)
        self.n_iterations_, self.converged_ = found.n_iterations, found.converged
        self.width_ = x.shape[1]

    def _balanced(self, y: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, K) weights of the labels by how rare a yes is in its class."""
        if not self.balance:
            return np.ones_like(said)
        yes, no = (y > 0.5).sum(axis=0), ((y >= 0) & (y <= 0.5)).sum(axis=0)
        factor = np.clip((np.maximum(no, 1) / np.maximum(yes, 1)) ** self.balance, 1.0, 100.0)
        return np.where(y > 0.5, factor, 1.0)

    def _focused(self, y: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, K) powers of the focal loss."""
        yes = ((y > 0.5) & (said > 0)).sum(axis=0)
        return np.where(y > 0.5, self.focus * yes / max(1, int(yes.max())), self.focus)

    def _with_mixed(
        self, x: NDArray[np.floating[Any]], y: NDArray[np.float64], items: NDArray[np.float64]
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.float64], NDArray[np.float64]]:
        """The items and, behind them, the mixed ones."""
        full = np.flatnonzero((y >= 0).all(axis=1))
        n_mixed = round(self.mix * len(full)) if len(full) > 1 else 0
        self.n_mixed_ = n_mixed
        if not n_mixed:
            return x, y, items
        rng = np.random.default_rng(self.seed)
        one, two = rng.choice(full, size=n_mixed), rng.choice(full, size=n_mixed)
        return (
            np.concatenate([x, (x[one] + x[two]) / 2]).astype(x.dtype),
            np.concatenate([y, np.maximum(y[one], y[two])]),
            np.concatenate([items, (items[one] + items[two]) / 2]),
        )

    def program(self) -> Program:
        """One linear step; the classes are apart, so a sigmoid follows and no softmax."""
        return (affine(self.weight_, self.bias_),)

    def proba(self, features: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
        """(n, n_classes): each the probability that the item carries the class."""
        return sigmoid(self.logits(features) / positive(temperature))

    def scores(self, features: NDArray[np.floating[Any]], temperature: float = 1.0) -> PoolScores:
        """By the class the head is least sure of: top1 = max(p, 1 - p), top2 the other; so that margin, least
        confident and entropy rank items by their closest decision. entropy: mean over the classes; argmax: likeliest.
        """
        features = self.checked(features)
        positive(temperature)
        finite(features)
        rows = max(1, min(_ROWS, _CELLS // len(self.bias_)))
        parts = []
        for start in range(0, max(1, len(features)), rows):
            proba = sigmoid(run(self.program(), features[start : start + rows]) / temperature)
            parts.append(label_scores(proba))
        return PoolScores.concatenate(parts)

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """Some thirty passes over the items for every class, and one factorisation."""
        return Cost(30 * 2e-10 * n * d * k + 2e-10 * n * d * d, (8 * n * d + 40 * n * k + 16 * d * d) / 2**20)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-z)) without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


def label_scores(proba: NDArray[np.float64]) -> PoolScores:
    """What queries need of (n, K) independent probabilities; see `MultiLabel.scores`."""
    sure = np.maximum(proba, 1 - proba)
    least = sure.min(axis=1, initial=1.0)
    safe = np.clip(proba, 1e-12, 1 - 1e-12)
    entropy = -(safe * np.log(safe) + (1 - safe) * np.log(1 - safe))
    return PoolScores(least, 1 - least, entropy.mean(axis=1), proba.argmax(axis=1).astype(np.int64))


def _checked(
    features: NDArray[Any], targets: NDArray[Any], n_classes: int, sample_weight: NDArray[Any] | None
) -> tuple[NDArray[np.floating[Any]], NDArray[np.float64], NDArray[np.float64]]:
    """Items of positive weight. Raises one InputError for all mistakes."""
    x, y = np.asarray(features), np.asarray(targets)
    weight = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] == 0 or y.shape != (len(x), n_classes) or n_classes < 1:
        raise InputError(
            f"features have shape {x.shape} and targets {y.shape}; expected (n, d) with d >= 1 and (n, {n_classes})"
        )
    wrong = []
    if not np.isfinite(x).all():
        wrong.append(f"features hold {int((~np.isfinite(x)).sum())} values that are NaN or infinite")
    if not (y <= 1).all():
        wrong.append("targets hold NaN or values above 1; expected 0 to 1, or below 0 where nothing is said")
    if weight.shape != (len(x),) or not (np.isfinite(weight) & (weight >= 0)).all():
        wrong.append(f"sample_weight must be {len(x)} finite numbers, zero or more")
    elif not ((y >= 0) & (weight > 0)[:, None]).any():
        wrong.append("no item of positive weight says yes or no of any class; expected at least one")
    if wrong:
        raise InputError("; ".join(wrong))
    kept = weight > 0
    return x[kept], y[kept].astype(np.float64), weight[kept]
