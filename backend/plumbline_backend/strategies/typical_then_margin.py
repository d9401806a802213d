"""The default: typical items first, then close calls."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.margin import Margin
from plumbline_backend.strategies.typiclust import TypiClust

COLD, PER_CLASS = 10, 3
"""Answers asked for by typicality: ten, or three per known class where that is more. Labels for 90 / 95 % of full
accuracy, medians of 12 seeds, with 3 and 5 per class: digits 55 / 93 and 45 / 90, ImageSegments 40 / 63 with 3, and
margin from the start 63 / 93 (6 seeds) and 40 / 68; results/label_efficiency.json has the final figures."""


class TypicalThenMargin:
    """TypiClust while there are few answers, margin sampling from then on.

    With few answers a model's margins say little about the pool: typical items find the classes sooner. Source:
    Hacohen et al. 2022; Bahri et al. 2022.
    """

    name = "typical_then_margin"
    needs: frozenset[Need] = frozenset({"features"})
    explanation = "Asks typical items of every region first, then the closest calls; the default."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility of the strategy in force."""
        return (TypiClust() if self.is_cold(view) else Margin()).pick(view, n, rng)

    @staticmethod
    def is_cold(view: PoolView) -> bool:
        """Whether there are too few answers, or there is no model, for margins to count."""
        if view.scores is None or view.labelled is None:
            return True
        return len(view.labelled.items) < max(COLD, PER_CLASS * view.labelled.n_classes)
