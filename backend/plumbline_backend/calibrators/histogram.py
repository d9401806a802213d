"""Histogram binning of every class against the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.calibrators.base import PostHoc, State, renormalised
from plumbline_backend.calibrators.isotonic import few_per_class
from plumbline_backend.domain.calibration_cells import N_BINS, cells_of, mass_starts

MIN_ITEMS = 50
FEW_PER_CLASS = 20


class Histogram(PostHoc):
    """Each class's probability becomes the share seen in its equal-mass bin, then rows are brought to sum 1.

    Each bin holds one item more than it has, which states its own mean probability, as with isotonic regression.
    May change the predicted class. Source: Zadrozny and Elkan 2001.

    Learned: `edge_` (K, N_BINS) the least probability of each bin (infinite: none), `level_` (K, N_BINS).
    """

    name: ClassVar[str] = "histogram"

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        super().__init__(min_items)
        self._reset()

    def parameters(self) -> Mapping[str, float]:
        """How many bins there are on average per class."""
        if not self.fitted_:
            return {"bins_per_class": 0.0}
        return {"bins_per_class": float(np.isfinite(self.edge_).sum(axis=1).mean())}

    def _reset(self) -> None:
        self.edge_, self.level_ = np.zeros((0, N_BINS)), np.zeros((0, N_BINS))

    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        proba = softmax(logits, axis=1)
        n_classes = proba.shape[1]
        self.edge_ = np.full((n_classes, N_BINS), np.inf)
        self.level_ = np.zeros((n_classes, N_BINS))
        for k in range(n_classes):
            found = cells_of(proba[:, k], targets == k)
            starts = mass_starts(found.count, N_BINS)
            count = np.add.reduceat(found.count, starts)
            stated = np.add.reduceat(found.count * found.confidence, starts) / count
            self.edge_[k, : len(starts)] = found.confidence[starts]
            self.level_[k, : len(starts)] = (np.add.reduceat(found.right, starts) + stated) / (count + 1)
        self.note_ = few_per_class(targets, n_classes, FEW_PER_CLASS)

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        proba = softmax(logits, axis=1)
        scores = np.empty_like(proba)
        for k in range(proba.shape[1]):
            bins = np.searchsorted(self.edge_[k], proba[:, k], side="right") - 1
            scores[:, k] = self.level_[k][np.maximum(bins, 0)]
        return renormalised(scores, proba)

    def _state(self) -> State:
        return {"edge": self.edge_, "level": self.level_}

    def _restore(self, state: State) -> None:
        self.edge_, self.level_ = state["edge"], state["level"]
