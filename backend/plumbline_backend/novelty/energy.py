"""Free energy of the head's raw logits."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from plumbline_backend.heads.program import Program, RowWise, affine
from plumbline_backend.novelty.base import checked


class Energy:
    """-logsumexp(logits), of raw logits: a temperature would change the order. Source: Liu et al. 2020."""

    name: ClassVar[str] = "energy"
    explanation: ClassVar[str] = "how small all of the head's logits are together"
    needs: ClassVar[str] = "logits"

    def fit(
        self, features: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], n_classes: int
    ) -> Self:
        """Learns nothing."""
        checked(features, targets, n_classes)
        return self

    def score(
        self, features: NDArray[np.floating[Any]], logits: NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]:
        """(n,) in units of the logits."""
        del features
        return -np.asarray(logsumexp(np.asarray(logits, dtype=np.float64), axis=1), dtype=np.float64)

    def program(self, width: int) -> Program:
        """From raw logits."""
        del width
        return RowWise("logsumexp"), affine(np.array([[-1.0]]))
