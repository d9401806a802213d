"""Histogram binning of every class against the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.calibrators.base import PostHoc, State, renormalised
from plumbline_backend.calibrators.isotonic import Curve, few_per_class, joined_ramps
from plumbline_backend.domain.calibration_cells import N_BINS, cells_of, mass_starts
from plumbline_backend.heads.program import Elementwise, Program, RowWise, affine

MIN_ITEMS = 50
FEW_PER_CLASS = 20


class Histogram(PostHoc):
    """Each class's probability becomes the share seen in its equal-mass bin, then rows are brought to sum 1.

    Each bin holds one item more than it has, which states its own mean probability, as with isotonic regression.
    May change the predicted class. Source: Zadrozny and Elkan 2001.

    Learned: `edge_` (K, N_BINS) where each bin begins, half way from the greatest probability of the one before so that
    no item lies on an edge (0 for the first; infinite: none), `level_` (K, N_BINS).
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
            below = found.confidence[np.maximum(starts - 1, 0)]
            self.edge_[k, : len(starts)] = np.where(starts > 0, (below + found.confidence[starts]) / 2, 0.0)
            self.level_[k, : len(starts)] = (np.add.reduceat(found.right, starts) + stated) / (count + 1)
        self.note_ = few_per_class(targets, n_classes, FEW_PER_CLASS)

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        proba = softmax(logits, axis=1)
        scores = np.empty_like(proba)
        for k in range(proba.shape[1]):
            bins = np.searchsorted(self.edge_[k], proba[:, k], side="right") - 1
            scores[:, k] = self.level_[k][np.maximum(bins, 0)]
        return renormalised(scores, proba)

    def _program(self, n_classes: int) -> Program:
        curves = [_steps(edge, level) for edge, level in zip(self.edge_, self.level_, strict=True)]
        return RowWise("softmax"), joined_ramps(curves), Elementwise("log"), affine(np.eye(n_classes))

    def _state(self) -> State:
        return {"edge": self.edge_, "level": self.level_}

    def _restore(self, state: State) -> None:
        self.edge_, self.level_ = state["edge"], state["level"]


def _steps(edge: NDArray[np.float64], level: NDArray[np.float64]) -> Curve:
    """From 0 to 1 within one float64 at each edge: the scale is a power of two, so that nothing is rounded."""
    edge = edge[np.isfinite(edge)][1:]
    before = np.nextafter(edge, -np.inf)
    scale = 2.0 ** np.minimum(54 - np.frexp(edge)[1], 1000)
    return scale, -before * scale, np.diff(level[: len(edge) + 1]), float(level[0])
