"""Weights of self-paced learning: each is the minimum over v in [0, 1] of v loss + f(v; lambda).

A weight stands for each class on its own, so that an item can have none, one or several: only those with exactly one
are pseudo-labelled. Source: Lin et al. 2017 (arXiv 1701.03555); Jiang et al. 2014 (SPLD).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from plumbline_backend.pace.policy import PaceView, Weights


class Hard:
    """1 where loss < lambda."""

    name = "hard"
    needs: frozenset[str] = frozenset()
    explanation = "Takes every item whose loss for exactly one class is below the pace, all with full weight."

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1."""
        return (view.loss < view.lam).astype(np.float64) * view.known[:, None]

    def parameters(self) -> Mapping[str, Any]:
        """None of its own."""
        return {}


class Linear:
    """max(0, 1 - loss / lambda)."""

    name = "linear"
    needs: frozenset[str] = frozenset()
    explanation = "Like hard, but the weight falls evenly to zero at the pace: the doubtful teach less."

    def weights(self, view: PaceView) -> Weights:
        """(n, K) in [0, 1]."""
        lam = np.maximum(view.lam, np.finfo(float).tiny)
        return np.where(view.loss < view.lam, 1 - np.minimum(view.loss / lam, 1), 0.0) * view.known[:, None]

    def parameters(self) -> Mapping[str, Any]:
        """None of its own."""
        return {}


class Log:
    """ln(loss + z) / ln z below lambda, with z = 1 - lambda."""

    name = "log"
    needs: frozenset[str] = frozenset()
    explanation = "Like linear, but the weight falls slowly at first and then fast."

    def weights(self, view: PaceView) -> Weights:
        """(n, K) in [0, 1]."""
        z = 1 - np.maximum(view.lam, 1e-12)
        inside = (view.loss < view.lam) & view.known[:, None]
        loss = np.where(inside, view.loss, 0.0)
        return np.where(inside, np.clip(np.log(loss + z) / np.log(z), 0.0, 1.0), 0.0)

    def parameters(self) -> Mapping[str, Any]:
        """None of its own."""
        return {}


class Mixture:
    """1 up to `inner` lambda, 0 from lambda on, z / loss - z / lambda between, z = l1 l2 / (l1 - l2)."""

    name = "mixture"
    needs: frozenset[str] = frozenset()
    explanation = "Full weight well inside the pace, and a falling one in its outer half."
    inner = 0.5

    def weights(self, view: PaceView) -> Weights:
        """(n, K) in [0, 1]."""
        outer = np.maximum(view.lam, 1e-12)
        inner = self.inner * outer
        z = outer * inner / (outer - inner)
        loss = np.maximum(view.loss, np.finfo(float).tiny)
        between = np.where(np.isfinite(loss), z / loss - z / outer, 0.0)
        weight = np.where(view.loss <= inner, 1.0, np.where(view.loss >= outer, 0.0, between))
        return np.where(view.known[:, None] & (view.loss < view.lam), weight, 0.0)

    def parameters(self) -> Mapping[str, Any]:
        """Where the full weight ends, as a share of the pace."""
        return {"inner": self.inner}


class Diverse:
    """SPLD: in each cluster the i-th smallest loss is taken below lambda + gamma / (sqrt i + sqrt(i - 1))."""

    name = "spld"
    needs: frozenset[str] = frozenset({"groups"})
    explanation = (
        "Prefers items from different clusters: the first of each cluster enters sooner than the rest."
    )
    gamma = 1.0
    """In units of the pace: the surest item of every cluster may have twice the loss of the others."""

    def weights(self, view: PaceView) -> Weights:
        """(n, K) of 0 and 1."""
        loss, out = view.loss, np.zeros(view.proba.shape)
        for j, lam in enumerate(view.lam):
            rank = _ranks_within(loss[:, j], view.groups)
            bar = lam + self.gamma * lam / (np.sqrt(rank) + np.sqrt(rank - 1))
            out[:, j] = (loss[:, j] < bar) & view.known
        return out

    def parameters(self) -> Mapping[str, Any]:
        """The bonus of a cluster's first item."""
        return {"gamma": self.gamma}


def _ranks_within(loss: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(n,) place of each item among those of its group, 1 for the smallest loss; ties in order of position."""
    if not len(loss):
        return np.empty(0)
    order = np.lexsort((np.arange(len(loss)), loss, groups))
    sorted_groups = groups[order]
    first = np.flatnonzero(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]])
    starts = np.repeat(first, np.diff(np.r_[first, len(loss)]))
    ranks = np.empty(len(loss))
    ranks[order] = np.arange(len(loss)) - starts + 1
    return ranks
