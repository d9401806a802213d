"""Margin sampling."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Utility
from plumbline_backend.strategies.base import ScoreStrategy


class Margin(ScoreStrategy):
    """One minus the gap between the two likeliest classes. Source: Scheffer et al. 2001."""

    name = "margin"
    explanation = "Asks the items where the two likeliest classes are closest; the best default on most data."
    why = "its two likeliest classes are close"

    def utility(self, scores: PoolScores, rng: np.random.Generator) -> Utility:  # noqa: ARG002
        """(n_items,) in [0, 1]."""
        gap = scores.top1 - scores.top2
        return np.subtract(1, gap, out=gap)
