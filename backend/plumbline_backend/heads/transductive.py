"""Few labels and many items without: labels spread along a graph of neighbours, then teach a linear head."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg
from sklearn.neighbors import NearestNeighbors

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import finite, labelled
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.neighbours import within_limit
from plumbline_backend.heads.program import Program, affine

NEIGHBOURS = 10


class Transductive(ProgramHead):
    """F = (I - a S)^-1 Y over a graph of each item's 10 nearest, S its normalised Laplacian's other half.

    What an unlabelled item receives, over its sum, is its soft label; its weight is the gap between its two largest
    shares, and all of them together weigh `share` times what the labels do. Source: Zhou et al. 2004.
    """

    name = "transductive"
    explanation = (
        "Spreads your labels along neighbouring unlabelled items and learns from both: for few classes whose items "
        "lie together; with 150 classes and one label each it did far worse than nearest_mean."
    )
    needs = frozenset({"unlabelled"})
    MAX_CLASSES = 1000
    SETTINGS = ("alpha", "share", "l2")
    ARRAYS = ("weight_", "bias_")
    FACTS = ("n_unlabelled_", "converged_")

    def __init__(
        self,
        unlabelled: NDArray[np.floating[Any]] | None = None,
        alpha: float = 0.9,
        share: float = 1.0,
        l2: float = 1.0,
    ) -> None:
        if not 0 < alpha < 1 or not 0 <= share < float("inf") or not 0 <= l2 < float("inf"):
            raise InputError(
                f"alpha is {alpha}, share {share} and l2 {l2}; expected alpha between 0 and 1, the others zero or more"
            )
        self.alpha = alpha
        self.share = share
        self.l2 = l2
        self._unlabelled = unlabelled

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: Transductive | None = None,  # noqa: ARG002 - the graph is made anew
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses, unlabelled items of another width, and too many classes."""
        items = within_limit(
            labelled(features, targets, n_classes, sample_weight), self.name, self.MAX_CLASSES
        )
        d = items.features.shape[1]
        others = np.empty((0, d)) if self._unlabelled is None else np.asarray(self._unlabelled)
        if others.ndim != 2 or others.shape[1] != d:
            raise InputError(f"unlabelled items have shape {others.shape}; expected (n, {d})")
        finite(others)
        given = items.targets if items.soft else np.eye(n_classes)[items.targets]
        received, weight = self._spread(items.features, given, others)
        total = weight.sum()
        if total > 0:
            weight = weight * (self.share * items.weight.sum() / total)
        head = LinearSoftmax(l2=self.l2).fit(
            np.concatenate([items.features, others.astype(items.features.dtype)]),
            np.concatenate([given, received]),
            n_classes,
            np.concatenate([items.weight, weight]),
        )
        self.weight_, self.bias_, self.width_ = head.weight_, head.bias_, d
        self.n_unlabelled_, self.converged_ = int((weight > 0).sum()), head.converged_
        return self

    def program(self) -> Program:
        """One step: W x + b."""
        return (affine(self.weight_, self.bias_),)

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """A graph over five thousand unlabelled items, and a linear head over all."""
        more = n + 5000
        return Cost(
            LinearSoftmax.estimate(more, d, k).seconds + 2e-10 * more**2 * d, 8 * more * (d + 3 * k) / 2**20
        )

    def _spread(
        self,
        features: NDArray[np.floating[Any]],
        given: NDArray[np.float64],
        others: NDArray[np.floating[Any]],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Soft labels (m, K) and weights (m,) of the unlabelled items."""
        n, k = given.shape
        received = np.full((len(others), k), 1 / k)
        if not len(others):
            return received, np.zeros(0)
        similar = _normalised_graph(np.concatenate([features, others]).astype(np.float64))
        system = sparse.identity(similar.shape[0], format="csr") - self.alpha * similar
        start = np.zeros((similar.shape[0], k))
        start[:n] = given / np.maximum(given.sum(axis=0), 1e-12)  # each class sends out the same
        for column in np.flatnonzero(given.any(axis=0)):
            solved, _ = cg(system, start[:, column], rtol=1e-5, maxiter=100)
            received[:, column] = np.maximum(solved[n:], 0.0)
        received[:, ~given.any(axis=0)] = 0.0
        sums = received.sum(axis=1)
        reached = sums > 1e-12
        received[reached] /= sums[reached, None]
        received[~reached] = 1 / k
        ordered = np.sort(received, axis=1)
        return received, np.where(reached, ordered[:, -1] - ordered[:, -2], 0.0)


def _normalised_graph(x: NDArray[np.float64]) -> Any:
    """D^-1/2 W D^-1/2 of the symmetric graph with Gaussian weights, each item's width its own tenth distance."""
    k = min(NEIGHBOURS, len(x) - 1)
    found = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(x)
    distance, places = found.kneighbors(x)
    width = np.maximum(distance[:, -1:], 1e-12)
    weight = np.exp(-((distance / width) ** 2))[:, 1:]
    rows = np.repeat(np.arange(len(x)), k)
    graph = sparse.csr_matrix((weight.ravel(), (rows, places[:, 1:].ravel())), shape=(len(x), len(x)))
    graph = graph.maximum(graph.T)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = sparse.diags(1 / np.sqrt(np.maximum(degree, 1e-12)))
    return scale @ graph @ scale
