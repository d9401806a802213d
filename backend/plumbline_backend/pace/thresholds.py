"""Policies that take an item for its likeliest class when the probability reaches a threshold.

Their papers keep moving averages over training steps; labelling has rounds, so whole-pool statistics stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.pace.policy import (
    START,
    PaceView,
    Weights,
    argmax_only,
    likeliest,
    spread,
    stretched,
)


class Fixed:
    """p >= 0.95 at the starting pace. Source: Sohn et al. 2020 (FixMatch)."""

    name = "fixed"
    needs: frozenset[str] = frozenset()
    explanation = "One threshold for all classes: 0.95 at the starting pace."

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1, at most one class per item."""
        return argmax_only(view, np.exp(-view.lam))

    def parameters(self) -> Mapping[str, Any]:
        """None of its own."""
        return {}


class FlexMatch:
    """Lower thresholds for classes that are learned slowly: t_c = t b_c / (2 - b_c).

    s_c counts items above t whose likeliest class is c, b_c = s_c / max(max s, number below t).
    Source: Zhang et al. 2021.
    """

    name = "flexmatch"
    needs: frozenset[str] = frozenset()
    explanation = "Lowers the threshold of classes that few items reach so far."

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1, at most one class per item."""
        threshold = np.exp(-view.lam)
        first, top = likeliest(view)
        n_classes = view.proba.shape[1]
        above = view.known & (top >= threshold[first]) if n_classes else view.known
        reached = np.bincount(first[above], minlength=n_classes).astype(np.float64)
        learned = reached / max(reached.max(initial=0.0), float(len(first) - above.sum()), 1.0)
        return argmax_only(view, np.maximum(threshold * learned / (2 - learned), self.least))

    least = 0.8
    """A class that no item reaches would get the threshold 0, which takes anything. Chosen by hand on digits: with a
    floor of 0.5, 0.7, 0.8 and 0.9, four or five seeds had 3.7, 3.2, 2.2 and 1.6 % wrong pseudo-labels. So few seeds of
    one data set order the floors and no more; they were not kept."""

    def parameters(self) -> Mapping[str, Any]:
        """The lowest threshold."""
        return {"least": self.least}


class FreeMatch:
    """t_c = (p~_c / max p~) mean(p_max), p~_c the mean probability of class c. Source: Wang et al. 2023."""

    name = "freematch"
    needs: frozenset[str] = frozenset()
    explanation = "Sets the thresholds by how sure the model is of the pool, and lower for rare classes."

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1, at most one class per item."""
        if not view.known.any():
            return np.zeros(view.proba.shape)
        mean = np.asarray(view.proba[view.known], dtype=np.float64).mean(axis=0)
        tau = mean / mean.max() * likeliest(view)[1][view.known].mean()
        return argmax_only(view, stretched(tau, view.lam))

    def parameters(self) -> Mapping[str, Any]:
        """None of its own."""
        return {}


class SoftMatch:
    """v = exp(-min(p - mu, 0)^2 n^2 / (2 s^2)) for the likeliest class, mu and s over the pool, n = 2.

    Weights below `least` count as none: what is that far below the mean would only add noise to the review.
    Source: Chen et al. 2023.
    """

    name = "softmatch"
    needs: frozenset[str] = frozenset()
    explanation = "Takes nearly all items, with weights that fall off below the mean certainty."
    n = 2.0
    least = 0.05

    def weights(self, view: PaceView) -> Weights:
        """(n, K) in [0, 1], at most one class per item."""
        first, top = likeliest(view)
        if not view.known.any():
            return np.zeros(view.proba.shape)
        mean, spread_ = top[view.known].mean(), max(float(top[view.known].std()), 1e-6)
        below = np.minimum(top - stretched(np.full(len(view.lam), mean), view.lam)[first], 0)
        weight = np.exp(-((below * self.n / spread_) ** 2) / 2)
        return spread(view, np.where(weight < self.least, 0.0, weight))

    def parameters(self) -> Mapping[str, Any]:
        """The slope and the least weight."""
        return {"n": self.n, "least": self.least}


class DynamicEntropy:
    """The surest share of the pool by entropy: half of it at the starting pace. Source: SemiUHPE, Zhou et al. 2024."""

    name = "dynamic_entropy"
    needs: frozenset[str] = frozenset()
    explanation = (
        "Takes the half of the pool with the lowest entropy at the starting pace, whatever its values."
    )
    share = 0.5

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1, at most one class per item. Never an item that is as uncertain as can be."""
        known = view.known
        if not known.any():
            return np.zeros(view.proba.shape)
        p = np.clip(np.asarray(view.proba, dtype=np.float64), 1e-300, 1)
        entropy = np.where(known, -(np.where(known[:, None], p, 1) * np.log(p)).sum(axis=1), np.inf)
        share = np.minimum(self.share * view.lam / START, 1.0)
        bars = np.quantile(entropy[known], share, method="lower")
        most = np.log(max(view.proba.shape[1], 2))
        return spread(view, (entropy <= bars[likeliest(view)[0]]) & (entropy < most * (1 - 1e-9)))

    def parameters(self) -> Mapping[str, Any]:
        """The share that is taken at the starting pace."""
        return {"share": self.share}


class MarginPair:
    """p1 >= t and p1 - p2 >= d: sure, and much surer than of the runner-up; d lies midway between 2 t - 1 and t."""

    name = "margin_pair"
    needs: frozenset[str] = frozenset()
    explanation = "Asks for a high probability and for a wide gap to the second class."

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1, at most one class per item."""
        threshold = np.exp(-view.lam)
        gap = np.maximum((3 * threshold - 1) / 2, 0)
        first, top = likeliest(view)
        if view.proba.shape[1] < 2:
            return argmax_only(view, threshold)
        second = np.partition(np.where(view.known[:, None], view.proba, 0.0), -2, axis=1)[:, -2]
        return spread(view, (top >= threshold[first]) & (top - second >= gap[first]))

    def parameters(self) -> Mapping[str, Any]:
        """None of its own."""
        return {}


class TransductiveBound:
    """The threshold of each class that minimises a bound on the error of what it takes, over how much it takes.

    For votes v_j and P(y = i | x) both given by the calibrated probabilities, the error of class i taken for j at
    theta is at most the least over gamma >= theta of I_ij[theta, gamma) + (M_ij[gamma, 1] + M_ij[0, theta)) / gamma,
    I the mass and M the mass weighted by the vote among items whose likeliest class is j. Summed over i != j.
    Source: Feofanov, Devijver and Amini 2019.
    """

    name = "transductive_bound"
    needs: frozenset[str] = frozenset()
    explanation = "Chooses each class's threshold so that a bound on its error rate is smallest."
    steps = 50

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1, at most one class per item."""
        first, top = likeliest(view)
        theta = np.ones(view.proba.shape[1])
        for j in range(len(theta)):
            votes = top[(first == j) & view.known]
            if len(votes):
                theta[j] = _best_threshold(votes, self.steps)
        return argmax_only(view, stretched(theta, view.lam))

    def parameters(self) -> Mapping[str, Any]:
        """How many thresholds are tried."""
        return {"steps": self.steps}


def _best_threshold(votes: NDArray[np.float64], steps: int) -> float:
    """Argmin of bound / share. votes: (m,) of the items taken for the class; P(y != j | x) is one minus the vote."""
    votes = np.sort(votes)
    wrong = 1 - votes
    grid = np.unique(np.quantile(votes, np.linspace(0, 1, steps)))
    at = np.searchsorted(votes, grid)
    mass = np.r_[0.0, np.cumsum(wrong)]
    moment = np.r_[0.0, np.cumsum(wrong * votes)]
    best, chosen = np.inf, float(grid[-1])
    for a, theta in zip(at, grid, strict=True):
        later = at[at >= a]
        gamma = votes[later]
        inside = mass[later] - mass[a]
        bound = (inside + (moment[-1] - moment[later] + moment[a]) / np.maximum(gamma, 1e-12)).min()
        ratio = bound / (len(votes) - a)
        if ratio < best:
            best, chosen = ratio, float(theta)
    return chosen
