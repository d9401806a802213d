"""Least-confident sampling."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Utility
from plumbline_backend.strategies.base import ScoreStrategy


class LeastConfident(ScoreStrategy):
    """One minus the probability of the likeliest class. Source: Lewis and Gale 1994."""

    name = "least_confident"
    explanation = "Asks the items whose likeliest class has the lowest probability."
    why = "its likeliest class is improbable"

    def utility(self, scores: PoolScores, rng: np.random.Generator) -> Utility:  # noqa: ARG002
        """(n_items,) in [0, 1)."""
        return 1 - scores.top1
