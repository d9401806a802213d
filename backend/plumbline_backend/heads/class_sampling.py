"""Softmax steps over a few of very many classes: which classes, which loss, which items together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
LOSSES = ("softmax", "decoupled", "soft_top_k")
_BITS = 12


class Sampled:
    """`weight` (K, d), trained by row-wise Adagrad against a batch's own classes and `n_sampled` others.

    Logits of drawn classes are raised by log((K - m) / drawn), m the batch's classes, so that the sum over them
    estimates that over all. Memory: batch x (m + n_sampled) beside two arrays of K and the weights. Source: Bengio and
    Senecal 2008; Jean et al. 2015.
    """

    def __init__(self, weight: Matrix, loss: str, k: int, n_sampled: int, rate: float) -> None:
        self.weight = weight.copy()
        self._loss = loss
        self._k = k
        self._n_sampled = n_sampled
        self._rate = rate
        self._squares = np.full(len(weight), 1e-8)

    def step(self, x: Matrix, y: NDArray[np.int64], share: Matrix, rng: np.random.Generator) -> float:
        """One step on (n, d) items of classes y with weights `share`; returns their mean loss before it."""
        n_classes = len(self.weight)
        own = np.unique(y)
        n_other = n_classes - len(own)
        if n_other <= self._n_sampled:
            drawn, lift = np.setdiff1d(np.arange(n_classes), own), 0.0
        else:
            drawn = np.setdiff1d(rng.integers(n_classes, size=self._n_sampled), own)
            lift = float(np.log(n_other / max(1, len(drawn))))
        classes = np.concatenate([own, drawn])
        logits = x @ self.weight[classes].T
        logits[:, len(own) :] += lift
        losses, slopes = loss_and_slopes(self._loss, logits, np.searchsorted(own, y), self._k)
        slopes *= (share / len(x))[:, None]
        gradient = slopes.T @ x
        self._squares[classes] += (gradient**2).mean(axis=1)
        self.weight[classes] -= self._rate * gradient / np.sqrt(self._squares[classes])[:, None]
        return float((share * losses).mean())


def loss_and_slopes(name: str, logits: Matrix, place: NDArray[np.int64], k: int = 1) -> tuple[Matrix, Matrix]:
    """(n,) losses and (n, m) slopes of (n, m) logits whose right class stands at `place`.

    softmax: -log p. decoupled: the right class is left out of the sum over classes. soft_top_k: the k - 1 largest other
    classes are left out of it, so that it costs nothing to come k-th.
    """
    items = np.arange(len(logits))
    counted = np.ones(logits.shape, dtype=bool)
    if name == "decoupled" and logits.shape[1] > 1:
        counted[items, place] = False
    if name == "soft_top_k" and k > 1 and logits.shape[1] > k:
        others = logits.copy()
        others[items, place] = -np.inf
        first = np.argpartition(-others, k - 2, axis=1)[:, : k - 1]
        np.put_along_axis(counted, first, False, axis=1)
    kept = np.where(counted, logits, -np.inf)
    top = kept.max(axis=1, keepdims=True)
    slopes = np.exp(kept - top)
    total = slopes.sum(axis=1, keepdims=True)
    losses = np.log(total[:, 0]) + top[:, 0] - logits[items, place]
    slopes /= total
    slopes[items, place] -= 1
    if name == "decoupled":
        # Without the right class in the sum the loss has no floor: an item that is safe stops pulling.
        safe = np.maximum(losses, 0.0) == 0.0
        losses, slopes[safe] = np.maximum(losses, 0.0), 0.0
    return losses, slopes


def near_batches(
    directions: Matrix, y: NDArray[np.int64], batch: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Batches of items whose classes lie near each other, in random order; every item once.

    Classes with the same signs along twelve random directions come together: n_classes x 12 numbers, no pairs.
    """
    signs = directions @ rng.normal(size=(directions.shape[1], _BITS)) > 0
    code = signs @ (1 << np.arange(_BITS)) + rng.random(len(directions))
    order = np.lexsort((rng.random(len(y)), code[y]))
    starts = np.arange(0, len(y), batch)
    for start in rng.permutation(starts):
        yield order[start : start + batch]
