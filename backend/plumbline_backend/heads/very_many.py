"""Heads for very many classes: no step ever has a row of logits for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.heads.absent import over_all_classes
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import Labelled, labelled
from plumbline_backend.heads.class_sampling import LOSSES, Sampled, near_batches
from plumbline_backend.heads.cosine import unit_rows
from plumbline_backend.heads.program import Program, affine
from plumbline_backend.heads.z_loss import ZLossWeights

SHARPENED_ON = 1_000
"""Items on which the common scale of the logits is found."""
REACHABLE = 0.8
"""Of sqrt(K - 1), the largest standardised logit among K classes, that the Z-loss asks for at most."""
TRUST = 0.3
"""Standard deviations of its logits by which an item moves the logit of its class at most."""
_CELLS = 8_000_000


class _Stepwise(ProgramHead):
    """Unit rows of standardised columns and a one; begins at the classes' mean directions; learns in small steps."""

    SETTINGS: Sequence[str] = ("epochs", "rate", "seed")
    ARRAYS = ("weight_", "bias_")
    FACTS: Sequence[str] = ("loss_", "sharpness_")

    def __init__(self, epochs: int, rate: float, seed: int) -> None:
        if epochs < 1 or not 0 < rate < float("inf"):
            raise InputError(
                f"epochs is {epochs}, rate {rate}; expected one or more, and a number above zero"
            )
        self.epochs = epochs
        self.rate = rate
        self.seed = seed

    def learned(
        self,
        weight: NDArray[np.float64],
        x: NDArray[np.float64],
        y: NDArray[np.int64],
        share: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(K, d + 1) after all epochs. x (n, d + 1), y (n,) in 0 .. K - 1, share (n,) with mean 1. Sets `loss_`."""
        raise NotImplementedError(f"{type(self).__name__} learns nothing")

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: _Stepwise | None = None,  # noqa: ARG002 - a few epochs from the means are as quick
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses. A soft item stands once for each of its classes."""
        items = labelled(features, targets, n_classes, sample_weight)
        self.width_ = items.features.shape[1]
        plain = items.features.astype(np.float64)
        mean, spread = plain.mean(axis=0), plain.std(axis=0)
        scale = 1 / (np.where(spread > 1e-12, spread, 1.0) * np.sqrt(self.width_))
        rows, y, weight = Labelled((plain - mean) * scale, *items[1:]).copies()
        present, place = np.unique(y, return_inverse=True)
        x = np.column_stack([rows, np.ones(len(rows))])
        start = _mean_directions(x, place, weight, len(present))
        found = self.learned(start, x, place.astype(np.int64), weight / weight.mean())
        self.sharpness_ = sharpness(found, x, place, weight, np.random.default_rng([self.seed, 1]))
        found = self.sharpness_ * found
        back = found[:, :-1] * scale
        final = affine(back, found[:, -1] - back @ mean)
        sample = plain[: max(1, min(len(plain), _CELLS // len(present)))]
        final = over_all_classes(final, present, n_classes, sample)
        self.weight_, self.bias_ = final.weight, final.bias
        return self

    def program(self) -> Program:
        """One step: W x + b."""
        return (affine(self.weight_, self.bias_),)


class ZLoss(_Stepwise):
    """Trained item by item with the Z-loss, whose step costs d^2 however many classes there are.

    a, b: the loss is softplus(a (b - z)) / a of the right class's standardised logit z. See ZLossWeights.
    """

    name = "z_loss"
    explanation = (
        "Ranks the right class above all others at a cost that does not grow with the number of classes; calibrate "
        "before trusting its probabilities."
    )
    SETTINGS = ("epochs", "rate", "seed", "a", "b")

    def __init__(
        self, epochs: int = 5, rate: float = 0.3, seed: int = 0, a: float = 1.0, b: float = 6.0
    ) -> None:
        super().__init__(epochs, rate, seed)
        if not 0 < a < float("inf") or not np.isfinite(b):
            raise InputError(f"a is {a}, b {b}; expected a number above zero and a finite one")
        self.a = a
        self.b = b

    def learned(
        self,
        weight: NDArray[np.float64],
        x: NDArray[np.float64],
        y: NDArray[np.int64],
        share: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """One step per item and epoch, at a rate that falls to a tenth."""
        rng = np.random.default_rng(self.seed)
        reachable = REACHABLE * float(np.sqrt(len(weight) - 1))  # no logit stands farther out among K
        weights = ZLossWeights(weight, self.a, min(self.b, reachable))
        for epoch in range(self.epochs):
            rate = self.rate * 0.1 ** (epoch / max(1, self.epochs - 1))
            losses = [
                weights.step(x[i], int(y[i]), rate * min(float(share[i]), 3.0), TRUST)
                for i in rng.permutation(len(x))
            ]
            self.loss_ = float(np.mean(losses))
        return weights.weight

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """Measured: 0.25 ms a step at 128 columns and a million classes."""
        return Cost(5 * n * (5e-5 + 1.2e-8 * d * d), (16 * k * d + 24 * d * d + 16 * n * d) / 2**20)


class SampledSoftmax(_Stepwise):
    """Softmax over a batch's own classes and some others, for very many classes.

    loss: "softmax"; "decoupled", which leaves the right class out of the sum over the others, so that easy items stop
    pulling late; "soft_top_k", which asks the right class to be among the k largest only. Half of the batches are
    negative-aware: their items are of classes that lie near each other, so that the hard negatives are at hand.
    n_sampled: other classes drawn uniformly for each batch. Source: Jean et al. 2015; An
    et al. 2022; Lapin et al. 2016.
    """

    name = "sampled_softmax"
    explanation = (
        "Softmax over each batch's classes, their neighbours and a sample of the rest: for tens of thousands of "
        "classes and more, in bounded memory."
    )
    SETTINGS = ("epochs", "rate", "seed", "loss", "k", "batch", "n_sampled")

    def __init__(
        self,
        epochs: int = 10,
        rate: float = 0.3,
        seed: int = 0,
        loss: str = "softmax",
        k: int = 3,
        batch: int = 128,
        n_sampled: int = 1024,
    ) -> None:
        super().__init__(epochs, rate, seed)
        if loss not in LOSSES:
            raise InputError(f"loss is {loss!r}; {did_you_mean(str(loss), LOSSES)}")
        if k < 1 or batch < 1 or n_sampled < 1:
            raise InputError(f"k is {k}, batch {batch}, n_sampled {n_sampled}; expected one or more")
        self.loss = loss
        self.k = k
        self.batch = batch
        self.n_sampled = n_sampled

    def learned(
        self,
        weight: NDArray[np.float64],
        x: NDArray[np.float64],
        y: NDArray[np.int64],
        share: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Row-wise Adagrad; batches of near classes and random ones in turn."""
        rng = np.random.default_rng(self.seed)
        sampled = Sampled(5.0 * weight, self.loss, self.k, self.n_sampled, self.rate)
        for epoch in range(self.epochs):
            losses = [
                sampled.step(x[rows], y[rows], share[rows], rng)
                for rows in self._batches(weight, y, epoch, rng)
            ]
            self.loss_ = float(np.mean(losses))
        return sampled.weight

    def _batches(
        self, directions: NDArray[np.float64], y: NDArray[np.int64], epoch: int, rng: np.random.Generator
    ) -> Iterator[NDArray[np.int64]]:
        if epoch % 2:
            yield from near_batches(directions, y, self.batch, rng)
            return
        order = rng.permutation(len(y))
        for start in range(0, len(y), self.batch):
            yield order[start : start + self.batch]

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """Ten epochs over at most 1,152 classes a batch."""
        classes = min(k, 1152)
        return Cost(
            0.05 + 10 * n * d * classes * 1.2e-10 * 4, (16 * k * d + 16 * n * d + 24 * 128 * classes) / 2**20
        )


def sharpness(
    weight: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[Any],
    share: NDArray[np.float64],
    rng: np.random.Generator,
) -> float:
    """The factor of the logits with the least negative log-likelihood on at most 1,000 of the items, 1e-2 to 1e2."""
    n = max(1, min(len(x), SHARPENED_ON, _CELLS // len(weight)))
    rows = rng.permutation(len(x))[:n]
    logits = x[rows] @ weight.T
    own, part = logits[np.arange(n), y[rows]], share[rows] / share[rows].sum()

    def surprise(log_factor: float) -> float:
        factor = float(np.exp(log_factor))
        return float(part @ (logsumexp(factor * logits, axis=1) - factor * own))

    return float(np.exp(minimize_scalar(surprise, bounds=(-4.6, 4.6), method="bounded").x))


def _mean_directions(
    x: NDArray[np.float64], y: NDArray[Any], weight: NDArray[np.float64], n_classes: int
) -> NDArray[np.float64]:
    """(K, d + 1) unit rows towards each class's mean, the last column zero."""
    sums = np.zeros((n_classes, x.shape[1]))
    np.add.at(sums, y, x * weight[:, None])
    sums[:, -1] = 0.0
    return np.asarray(unit_rows(sums))
