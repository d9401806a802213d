"""First and second moments of labelled items, which add up exactly from session to session."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.checks import Labelled

_ROWS = 16_384


class Moments(NamedTuple):
    """mass (K,), sums (K, d) and products (d, d), all weighted, of items measured from `origin` (d,)."""

    mass: NDArray[np.float64]
    sums: NDArray[np.float64]
    products: NDArray[np.float64]
    origin: NDArray[np.float64]

    @property
    def means(self) -> NDArray[np.float64]:
        """(K, d), from the origin; zero for a class without items."""
        return self.sums / np.where(self.mass > 0, self.mass, 1.0)[:, None]

    def within(self) -> NDArray[np.float64]:
        """(d, d) covariance within the classes: (T - sum n_k mu_k mu_k^T) / (N - K).

        Where no class has more than its one item it is unknown, and a sphere of the mean variance of all items
        stands in; where all items are equal, the unit sphere.
        """
        d = self.products.shape[0]
        means = self.means
        freedom = self.mass.sum() - np.count_nonzero(self.mass)
        scatter = self.products - (means * self.mass[:, None]).T @ means
        if freedom > 0 and np.trace(scatter) > 1e-12 * np.trace(self.products):
            return scatter / freedom
        centre = self.sums.sum(axis=0) / self.mass.sum()
        variance = (np.trace(self.products) / self.mass.sum() - centre @ centre) / d
        return np.eye(d) * (variance if variance > 1e-12 * np.trace(self.products) else 1.0)


def moments_of(items: Labelled, origin: NDArray[np.float64]) -> Moments:
    """The moments of one session, in float64 and some rows at a time."""
    d = items.features.shape[1]
    sums, products = np.zeros((items.n_classes, d)), np.zeros((d, d))
    for start in range(0, len(items.features), _ROWS):
        rows = items.rows(np.arange(start, min(start + _ROWS, len(items.features))))
        x = rows.features.astype(np.float64) - origin
        sums += rows.sums(x)
        products += (x * rows.weight[:, None]).T @ x
    return Moments(items.mass(), sums, products, origin)


def added(one: Moments, other: Moments) -> Moments:
    """Both sessions as one; classes of the longer list are kept. Raises InputError when they do not fit."""
    if one.origin.shape != other.origin.shape or (one.origin != other.origin).any():
        raise InputError("the sessions are measured from different origins; expected one origin for all")
    k = max(len(one.mass), len(other.mass))

    def padded(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([rows, np.zeros((k - len(rows), *rows.shape[1:]))])

    return Moments(
        padded(one.mass) + padded(other.mass),
        padded(one.sums) + padded(other.sums),
        one.products + other.products,
        one.origin,
    )
