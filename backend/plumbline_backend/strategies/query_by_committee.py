"""Query by committee: disagreement in votes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import best
from plumbline_backend.strategies.committee import over_pool

TIE_WEIGHT = 1e-3
"""Weight of the consensus' margin: less than the smallest step between two vote entropies (0.007 for 8 members)."""


class QueryByCommittee:
    """Entropy of the members' votes; equal votes are told apart by the margin of the mean probabilities.

    Members are heads trained on bootstrapped answers. Source: Seung et al. 1992; Dagan and Engelson 1995.
    """

    name = "query_by_committee"
    needs: frozenset[Need] = frozenset({"proba", "features", "committee"})
    explanation = "Asks the items on which heads trained on resampled answers vote for different classes."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility in nats, from 0 to log(n_members) + 0.001."""
        return best(
            over_pool(view, vote_entropy), view, n, rng, "heads trained on resampled answers vote differently"
        )


def vote_entropy(proba: NDArray[np.floating]) -> NDArray[np.floating]:
    """proba (n_members, m, n_classes) -> (m,)."""
    n_members, m, n_classes = proba.shape
    share = np.zeros((m, n_classes))
    for member in proba:
        share[np.arange(m), member.argmax(axis=1)] += 1 / n_members
    entropy = -(share * np.log(np.maximum(share, 1e-12))).sum(axis=1)
    if n_classes < 2:
        return entropy
    top = np.partition(proba.mean(axis=0), n_classes - 2, axis=1)
    return entropy + TIE_WEIGHT * (1 - (top[:, -1] - top[:, -2]))
