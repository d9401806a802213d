"""Items that are sets of vectors (tokens, patches): their first and second moments feed a linear head."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.base import Cost, ProgramHead
from plumbline_backend.heads.checks import labelled
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.program import Elementwise, Program, affine, run


class MomentProbe(ProgramHead):
    """Mean of an item's vectors and mean squares of their random projections, then linear softmax.

    vectors: T; the features (n, T m) are T vectors of m numbers one after the other, rows of zeros for missing ones.
    Columns are measured in their root mean squares over the vectors there are. probes: second moments taken,
    p^T (sum x x^T) p for so many random directions p. One vector per item makes it a quadratic head. Source: after Gao
    et al. 2023 (moment probing).
    """

    name = "moment_probe"
    explanation = (
        "For items made of many vectors, such as words or patches: learns from their average and from how they vary "
        "together."
    )
    SETTINGS = ("vectors", "probes", "l2", "seed", "max_iterations")
    ARRAYS = ("directions_", "size_", "weight_", "bias_")
    FACTS = ("n_moments_", "converged_")

    def __init__(
        self, vectors: int = 1, probes: int = 32, l2: float = 1.0, seed: int = 0, max_iterations: int = 500
    ) -> None:
        if vectors < 1 or probes < 1 or not 0 <= l2 < float("inf"):
            raise InputError(
                f"vectors is {vectors}, probes {probes}, l2 {l2}; expected one or more, one or more, zero or more"
            )
        self.vectors = vectors
        self.probes = probes
        self.l2 = l2
        self.seed = seed
        self.max_iterations = max_iterations

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: MomentProbe | None = None,  # noqa: ARG002 - the linear head is convex
    ) -> Self:
        """Learn; refuses what LinearSoftmax.fit refuses, and a width that `vectors` does not divide."""
        items = labelled(features, targets, n_classes, sample_weight)
        self.width_ = items.features.shape[1]
        if self.width_ % self.vectors:
            raise InputError(f"{self.width_} features are not {self.vectors} vectors; expected a multiple")
        m = self.width_ // self.vectors
        rng = np.random.default_rng(self.seed)
        self.directions_ = rng.normal(size=(self.probes, m)) / np.sqrt(m)
        x = items.features.astype(np.float64)
        each = x.reshape(-1, m)
        size = np.sqrt((each**2).sum(axis=0) / max(1, np.count_nonzero(each.any(axis=1))))
        self.size_ = np.where(size > 0, size, 1.0)
        moments = run(self._moments(), x)
        head = LinearSoftmax(l2=self.l2, max_iterations=self.max_iterations).fit(
            moments, items.targets, n_classes, items.weight
        )
        self.weight_, self.bias_ = head.weight_, head.bias_
        self.n_moments_, self.converged_ = moments.shape[1], head.converged_
        return self

    def program(self) -> Program:
        """Projections of every vector, their squares, their means, one matrix."""
        return (*self._moments(), affine(self.weight_, self.bias_))

    def _moments(self) -> Program:
        """(m + probes) per item: the vectors' mean, and the mean square along each direction."""
        t, m = self.vectors, self.width_ // self.vectors
        project = np.concatenate(
            [np.kron(np.full((1, t), 1 / t), np.eye(m)), np.kron(np.eye(t), self.directions_)]
        )
        scaled = affine(project / np.tile(self.size_, t))
        total, n_probes = m + t * self.probes, self.probes
        gather = np.zeros((m + n_probes, 2 * total))
        gather[:m, :m] = np.eye(m)
        gather[m:, total + m :] = np.kron(np.full((1, t), 1 / t), np.eye(n_probes))
        return (scaled, Elementwise("squares"), affine(gather))

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """A linear head over 32 more columns."""
        return LinearSoftmax.estimate(n, d + 32, k)
