"""BALD: disagreement of a committee in probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import best
from plumbline_backend.strategies.committee import over_pool


class Bald:
    """Mutual information of the answer and the model: the entropy of the members' mean less their mean entropy.

    Members are heads trained on bootstrapped answers. Source: Houlsby et al. 2011; Lakshminarayanan et al. 2017.
    """

    name = "bald"
    needs: frozenset[Need] = frozenset({"proba", "features", "committee"})
    explanation = "Asks the items on which heads trained on resampled answers are sure of different classes."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility in nats, from 0 to log(n_classes)."""
        utility = over_pool(view, mutual_information)
        return best(utility, view, n, rng, "heads trained on resampled answers disagree about it")


def mutual_information(proba: NDArray[np.floating]) -> NDArray[np.floating]:
    """proba (n_members, m, n_classes) -> (m,) in nats, at least 0."""
    mean = proba.mean(axis=0)
    inner = np.zeros(len(mean))
    for member in proba:
        inner += _entropy(member)
    return np.maximum(_entropy(mean) - inner / len(proba), 0)


def _entropy(proba: NDArray[np.floating]) -> NDArray[np.floating]:
    return -(proba * np.log(np.maximum(proba, 1e-12))).sum(axis=1)
