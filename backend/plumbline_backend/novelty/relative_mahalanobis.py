"""Mahalanobis distance to the nearest class, less the distance to all items together."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.heads.program import Elementwise, Program, Smallest, affine
from plumbline_backend.novelty.base import checked
from plumbline_backend.novelty.mahalanobis import (
    RIDGE,
    Mahalanobis,
    apply_whitening,
    nearest,
    squared,
    unwhitened,
    whitening,
)


class RelativeMahalanobis:
    """min over classes k of M_k(x) - M_0(x), M_0 with the mean and covariance of all labelled items.

    What makes an item unusual without speaking for or against any class cancels. Source: Ren et al. 2021.
    """

    name: ClassVar[str] = "relative_mahalanobis"
    explanation: ClassVar[str] = "distance to the nearest class, less the distance to all items together"
    needs: ClassVar[str] = "features"

    def __init__(self, ridge: float = RIDGE) -> None:
        self.ridge = ridge

    def fit(
        self, features: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], n_classes: int
    ) -> Self:
        """The classes' Gaussian and the background's."""
        x, _ = checked(features, targets, n_classes)
        self.classes_ = Mahalanobis(self.ridge).fit(features, targets, n_classes)
        middle = x.mean(axis=0)
        self.background_ = whitening(x - middle, self.ridge)
        self.middle_ = apply_whitening(self.background_, middle[None])
        return self

    def score(
        self, features: NDArray[np.floating[Any]], logits: NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]:
        """Differences of squared distances, (n,); they may be negative."""
        x = np.asarray(features, dtype=np.float64)
        return self.classes_.score(x, logits) - nearest(apply_whitening(self.background_, x), self.middle_)

    def program(self, width: int) -> Program:
        """From features: whitened both ways side by side, and M_k - M_0 for every class, of which the least counts."""
        near, far = squared(self.classes_.means_, width), squared(self.middle_, width)
        parts = [
            near.weight[:, :width],
            -far.weight[:, :width],
            near.weight[:, width:],
            -far.weight[:, width:],
        ]
        weight = np.hstack([np.broadcast_to(part, (len(near.bias), width)) for part in parts])
        whitened = np.vstack([unwhitened(self.classes_.whiten_), unwhitened(self.background_)])
        return affine(whitened), Elementwise("squares"), affine(weight, near.bias - far.bias), Smallest(1)
