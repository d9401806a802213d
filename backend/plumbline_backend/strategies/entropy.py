"""Entropy sampling."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Utility
from plumbline_backend.strategies.base import ScoreStrategy


class Entropy(ScoreStrategy):
    """The entropy of the class probabilities. Source: Shannon 1948; Settles and Craven 2008."""

    name = "entropy"
    explanation = "Asks the items whose probability is spread over the most classes."
    why = "its probability is spread over many classes"

    def utility(self, scores: PoolScores, rng: np.random.Generator) -> Utility:  # noqa: ARG002
        """(n_items,) in nats, from 0 to log(n_classes)."""
        return scores.entropy.copy()
