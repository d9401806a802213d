"""Random sampling."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Utility


class Random:
    """Every item is as likely as every other; also what is asked before there is a model."""

    name = "random"
    needs: frozenset[str] = frozenset()
    explanation = "Asks items at random, whatever the model thinks: the baseline every strategy must beat."

    def utility(self, scores: PoolScores, rng: np.random.Generator) -> Utility:
        """(n_items,) uniform in [0, 1)."""
        return rng.random(len(scores), dtype=np.float32)
