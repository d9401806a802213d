"""Random sampling."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.domain.selection import rank


class Random:
    """Every candidate is as likely as every other; also what is asked before there is a model."""

    name = "random"
    needs: frozenset[Need] = frozenset()
    explanation = "Asks items at random, whatever the model thinks: the baseline every strategy must beat."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Candidates in random order; the utility is the number that was drawn, in [0, 1)."""
        drawn = rng.random(view.n_items, dtype=np.float32)
        items = rank(drawn, view.candidates, n, rng)
        return Ranking(items, drawn[items].astype(np.float64), "drawn at random")
