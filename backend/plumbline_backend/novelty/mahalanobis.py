"""Mahalanobis distance to the nearest class, with one covariance within all classes."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, solve_triangular

from plumbline_backend.heads.program import Affine, Elementwise, Program, Smallest, affine
from plumbline_backend.novelty.base import checked

RIDGE = 1e-3
"""Added to the covariance as RIDGE * trace / d, so that it can be inverted with fewer items than features."""
CHUNK = 8192


class Mahalanobis:
    """min over classes k of (x - mu_k)^T S^-1 (x - mu_k). Source: Lee et al. 2018."""

    name: ClassVar[str] = "mahalanobis"
    explanation: ClassVar[str] = "distance to the nearest class in units of the spread within classes"
    needs: ClassVar[str] = "features"

    def __init__(self, ridge: float = RIDGE) -> None:
        self.ridge = ridge

    def fit(
        self, features: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], n_classes: int
    ) -> Self:
        """Means of the classes that occur, and the covariance within them."""
        x, y = checked(features, targets, n_classes)
        present, index = np.unique(y, return_inverse=True)
        counts = np.bincount(index).astype(np.float64)
        means = np.zeros((len(present), x.shape[1]))
        np.add.at(means, index, x)
        means /= counts[:, None]
        self.whiten_ = whitening(x - means[index], self.ridge)
        self.means_ = apply_whitening(self.whiten_, means)
        return self

    def score(
        self, features: NDArray[np.floating[Any]], logits: NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]:
        """Squared distances, (n,)."""
        del logits
        return nearest(apply_whitening(self.whiten_, np.asarray(features, dtype=np.float64)), self.means_)

    def program(self, width: int) -> Program:
        """From features: |y|^2 - 2 y.m + |m|^2 for every class, y the whitened item, of which the least counts."""
        return (
            affine(unwhitened(self.whiten_)),
            Elementwise("squares"),
            squared(self.means_, width),
            Smallest(1),
        )


def unwhitened(lower: NDArray[np.float64]) -> NDArray[np.float64]:
    """(d, d) the matrix that `apply_whitening` applies."""
    return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True), dtype=np.float64)


def squared(means: NDArray[np.float64], width: int) -> Affine:
    """Squared distances to means (K, d) from [y, y^2], as a step."""
    return affine(np.hstack([-2 * means, np.ones((len(means), width))]), (means**2).sum(axis=1))


def whitening(centred: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """(d, d) lower triangle L of S = L L^T, for the covariance S of rows that are centred, ridge included."""
    d = centred.shape[1]
    covariance = centred.T @ centred / max(len(centred), 1)
    scale = np.trace(covariance) / d
    covariance[np.diag_indices(d)] += ridge * scale if scale > 0 else 1.0
    lower: NDArray[np.float64] = np.tril(cho_factor(covariance, lower=True)[0])
    return lower


def apply_whitening(lower: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows (n, d) such that their Euclidean distances are Mahalanobis distances."""
    return np.asarray(solve_triangular(lower, rows.T, lower=True).T, dtype=np.float64)


def nearest(rows: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) squared distance of each row to the nearest of the means, in chunks."""
    squares = (means**2).sum(axis=1)
    found = np.empty(len(rows))
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        found[start : start + CHUNK] = (squares - 2 * part @ means.T).min(axis=1) + (part**2).sum(axis=1)
    return np.maximum(found, 0.0)
