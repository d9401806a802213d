"""A loss over a million classes whose step does not grow with their number, and softmax over a sample of them.

Both train one weight matrix W (K, d) against features h; neither ever has a row of K logits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from plumbline_backend.domain.errors import InputError

Matrix = NDArray[np.float64]
REFRESH = 2_000
"""Steps after which V, U and the kept sums are made afresh, so that their rounding does not add up."""


class ZLossWeights:
    """W = V U + 1 w^T, trained by L = softplus(a (b - (o_c - mean) / deviation)) / a over all logits o = W h.

    Kept beside V (K, d): U and U^-1 (d, d), w (d,), Q = W^T W (d, d) and s = W^T 1 (d,). A step costs O(d^2) and
    touches a single row of V. The loss ranks, it gives no probabilities: calibrate afterwards.
    Source: de Brebisson and Vincent 2016.
    """

    def __init__(self, weight: Matrix, a: float = 0.1, b: float = 10.0) -> None:
        if weight.ndim != 2 or len(weight) < 2:
            raise InputError(
                f"weight has shape {weight.shape}; expected (n_classes, d) with two classes or more"
            )
        if not a > 0:
            raise InputError(f"a is {a}; expected a number above zero")
        self.a = a
        self.b = b
        self._rows = np.array(weight, dtype=np.float64)
        self._fresh()

    @property
    def weight(self) -> Matrix:
        """W (K, d), multiplied out."""
        return np.asarray(self._rows @ self._mix + self._shared)

    def step(self, feature: Matrix, target: int, rate: float, trust: float = float("inf")) -> float:
        """One step of gradient descent on one item (d,) of class `target`; returns its loss before the step.

        trust: the most that a step may move the right class's logit, in standard deviations of the item's logits; the
        loss grows steep where they lie close together.
        """
        if not 0 <= target < len(self._rows):
            raise InputError(f"target is {target}; expected a class from 0 to {len(self._rows) - 1}")
        h = np.asarray(feature, dtype=np.float64)
        loss, g = self._gradients(h, target)
        rate = min(rate, trust * g.deviation**2 / max(float(h @ h), 1e-12))
        k, shift, own = 2 * rate * g.squares, rate * g.total, rate * g.own
        length = float(h @ h)
        # W <- W (I - k h h^T) - (shift 1 + own e_c) h^T, spread over the parts.
        row = self._row(target)
        squared = self._squares @ h
        self._turn(h, k, length)
        self._shared -= k * (self._shared @ h) * h + shift * h
        self._rows[target] -= own * (h @ self._unmix)
        self._update_sums(h, k, shift, own, row, squared)
        self._steps += 1
        if self._steps % REFRESH == 0:
            self._rows = self.weight
            self._fresh()
        return loss

    def _fresh(self) -> None:
        d = self._rows.shape[1]
        self._mix, self._unmix, self._shared = np.eye(d), np.eye(d), np.zeros(d)
        self._squares, self._total, self._steps = self._rows.T @ self._rows, self._rows.sum(axis=0), 0

    def _row(self, target: int) -> Matrix:
        return np.asarray(self._rows[target] @ self._mix + self._shared)

    def _gradients(self, h: Matrix, target: int) -> tuple[float, _Scalars]:
        """The loss, and its slopes."""
        n = len(self._rows)
        total, squares = float(self._total @ h), float(h @ self._squares @ h)
        own = float(self._row(target) @ h)
        mean = total / n
        variance = max(squares / n - mean**2, 1e-12)
        deviation = variance**0.5
        z = (own - mean) / deviation
        loss = float(np.logaddexp(0.0, self.a * (self.b - z)) / self.a)
        by_z = -float(expit(self.a * (self.b - z)))
        by_variance = -by_z * (own - mean) / (2 * variance * deviation)
        by_mean = -by_z / deviation - 2 * mean * by_variance
        return loss, _Scalars(by_mean / n, by_variance / n, by_z / deviation, deviation)

    def _turn(self, h: Matrix, k: float, length: float) -> None:
        """U <- U (I - k h h^T), and its inverse by Sherman and Morrison."""
        if abs(1 - k * length) < 1e-6:
            raise InputError(f"the step is too large: rate times slope is {k * length:.3g}; lower the rate")
        self._mix -= k * np.outer(self._mix @ h, h)
        self._unmix += k / (1 - k * length) * np.outer(h, h @ self._unmix)

    def _update_sums(
        self, h: Matrix, k: float, shift: float, own: float, row: Matrix, squared: Matrix
    ) -> None:
        """W^T W and W^T 1 of the new W from those of the old one."""
        n = len(self._rows)
        along = float(h @ squared)
        cut = (
            self._squares
            - k * np.outer(squared, h)
            - k * np.outer(h, squared)
            + k**2 * along * np.outer(h, h)
        )
        kept = self._total - k * float(self._total @ h) * h
        row = row - k * float(row @ h) * h
        added = shift * kept + own * row
        spread = n * shift**2 + 2 * shift * own + own**2
        self._squares = cut - np.outer(added, h) - np.outer(h, added) + spread * np.outer(h, h)
        self._total = kept - (n * shift + own) * h


class _Scalars(NamedTuple):
    """Slopes of the loss by sum o, sum o^2 and o_c, and the standard deviation of the logits."""

    total: float
    squares: float
    own: float
    deviation: float
