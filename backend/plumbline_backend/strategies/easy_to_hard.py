"""A curriculum from easy to hard."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.domain.selection import rank
from plumbline_backend.strategies.base import best

FIRST = 0.1
"""Share of the pool, by difficulty, that counts as within reach at the start."""
PER_CLASS = 20
"""Answers per class after which everything is within reach."""
SAMPLE = 10_000
"""Items whose difficulties give the scale: a quantile is then known to half a percent."""


class EasyToHard:
    """The hardest items within reach, where reach grows with the square root of the number of answers.

    Difficulty is the quantile of the margin utility in the pool; competence c = min(1, sqrt(m (1 - 0.1^2) / (20 K) +
    0.1^2)) for m answers of K classes. Source: Bengio et al. 2009; Platanios et al. 2019.
    """

    name = "easy_to_hard"
    needs: frozenset[Need] = frozenset({"proba", "labels"})
    explanation = (
        "Asks items the model finds easy first and harder ones as answers come in, like a curriculum."
    )

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: minus the distance of the difficulty, in [0, 1], from what is within reach."""
        scores, labelled = view.the_scores(), view.the_labels()
        margin = 1 - (scores.top1 - scores.top2)
        drawn = rank(rng.random(len(margin)), view.candidates & np.isfinite(margin), SAMPLE, rng)
        if not len(drawn):
            return Ranking(drawn, np.empty(0), "")
        scale = np.sort(margin[drawn])
        difficulty = (np.searchsorted(scale, margin) + np.searchsorted(scale, margin, side="right")) / (
            2 * len(scale)
        )
        utility = np.where(
            np.isfinite(margin), -np.abs(difficulty - reach(labelled.n_classes, len(labelled.items))), np.nan
        )
        return best(utility, view, n, rng, "it is as hard as the model can use by now")


def reach(n_classes: int, n_labels: int) -> float:
    """Competence in (0, 1]."""
    return min(1.0, float(np.sqrt(n_labels * (1 - FIRST**2) / (PER_CLASS * n_classes) + FIRST**2)))
