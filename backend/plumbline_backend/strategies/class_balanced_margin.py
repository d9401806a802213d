"""Margin sampling with the classes kept in balance."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import best

LONGER = 10
"""Class balance decides among so many times the wanted items of smallest margin."""


class ClassBalancedMargin:
    """Of the items of smallest margin, first those predicted as the class with the fewest answers.

    The balance is a tie-breaker: an item outside the ten-fold shortlist by margin is never asked for its class.
    Source: Aggarwal et al. 2020 (balanced active learning by predicted class).
    """

    name = "class_balanced_margin"
    needs: frozenset[Need] = frozenset({"proba", "labels"})
    explanation = "Asks close calls like margin, first those that look like a class with few answers."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: the margin utility, in [0, 1]; the order is by turns of the classes."""
        scores, labelled = view.the_scores(), view.the_labels()
        margin = 1 - (scores.top1 - scores.top2)
        why = "its two likeliest classes are close, and its class has few answers"
        short = best(margin, view, LONGER * n, rng, why)
        predicted = scores.argmax[short.items]
        have = np.bincount(labelled.targets, minlength=labelled.n_classes)
        queues = {c: iter(np.flatnonzero(predicted == c)) for c in np.unique(predicted).tolist()}
        counts = {c: float(have[c]) if c < len(have) else 0.0 for c in queues}
        order: list[int] = []
        while len(order) < n and queues:
            fewest = min(queues, key=lambda c: (counts[c], c))
            row = next(queues[fewest], None)
            if row is None:
                del queues[fewest]
            else:
                order.append(int(row))
                counts[fewest] += 1
        rows = np.array(order, dtype=np.int64)
        return Ranking(short.items[rows], short.utility[rows], why)
