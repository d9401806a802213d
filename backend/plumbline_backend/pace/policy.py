"""What a pace policy sees and what it answers: the shape of every entry of the registry.

The pace of a class is `lam`, the lambda of self-paced learning: an upper end for the loss -ln p of taking an item for
that class. `START` is a probability of 0.95, FixMatch's threshold; policies that choose their own threshold give it
unchanged at `START`, and a stricter or laxer one for another pace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import Proba

START = -log(0.95)
"""The pace at which a class begins."""
LARGEST = 0.9
"""The pace never rises above this loss, a probability of 0.41, where two classes can both be inside; the log weights
need a lambda below 1."""
SMALLEST = -log(0.9999)
"""A pace that has shrunk to here accepts next to nothing."""

Weights = NDArray[np.float64]
"""(n_items, n_classes) in [0, 1]: how much the item would count as each class; 0 where it is not taken for it."""


@dataclass(frozen=True)
class PaceView:
    """What is known of the items that may be pseudo-labelled.

    proba: (n, K) calibrated, rows sum to 1; a row with NaN is never taken. lam: (K,) the pace of each class.
    groups: (n,) cluster of each item, for policies that want diversity; zeros where there are no clusters.
    Raises InputError on shapes that differ or a pace outside [0, LARGEST].
    """

    proba: Proba
    lam: NDArray[np.float64]
    groups: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.proba.ndim != 2 or self.lam.shape != self.proba.shape[1:]:
            raise InputError(
                f"proba has shape {self.proba.shape} and lam {self.lam.shape}; expected (n, K) and (K,)"
            )
        if self.groups.shape != self.proba.shape[:1]:
            raise InputError(f"groups has shape {self.groups.shape}; expected ({len(self.proba)},)")
        if not ((self.lam >= 0) & (self.lam <= LARGEST)).all():
            raise InputError(f"lam is {self.lam.tolist()}; expected values from 0 to {LARGEST}")

    @property
    def loss(self) -> NDArray[np.float64]:
        """(n, K) -ln p, infinite where p is 0 or unknown."""
        proba = np.nan_to_num(np.asarray(self.proba, dtype=np.float64), nan=0.0)
        with np.errstate(divide="ignore"):
            return -np.log(np.clip(proba, 0.0, 1.0))

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,) True where every probability is a finite number."""
        return np.asarray(np.isfinite(self.proba).all(axis=1))


class Pace(Protocol):
    """Says which items may be pseudo-labelled, as what, and with what weight."""

    name: str
    needs: frozenset[str]
    """Beyond probabilities: "groups" or nothing."""
    explanation: str
    """One sentence for the person who chooses it."""

    def weights(self, view: PaceView) -> Weights:
        """(n, K) in [0, 1]; zero for rows with NaN. Does not change `view`."""
        ...

    def parameters(self) -> Mapping[str, Any]:
        """The policy's own constants, by name."""
        ...


def argmax_only(view: PaceView, threshold: NDArray[np.float64]) -> Weights:
    """Weight 1 for the likeliest class where its probability reaches that class's threshold, (K,)."""
    return spread(view, likeliest(view)[1] >= threshold[likeliest(view)[0]])


def likeliest(view: PaceView) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n,) likeliest class and its probability; probability 0 where the row holds a NaN."""
    proba = np.where(view.known[:, None], np.asarray(view.proba, dtype=np.float64), 0.0)
    if proba.shape[1] == 0:
        return np.zeros(len(proba), dtype=np.int64), np.zeros(len(proba))
    first = proba.argmax(axis=1)
    return first.astype(np.int64), proba[np.arange(len(proba)), first]


def spread(view: PaceView, weight: NDArray[Any]) -> Weights:
    """(n, K) with `weight` (n,) in the column of the likeliest class and zeros elsewhere."""
    out = np.zeros(view.proba.shape)
    if out.size:
        out[np.arange(len(out)), likeliest(view)[0]] = np.where(view.known, weight, 0.0)
    return out


def stretched(threshold: NDArray[np.float64], lam: NDArray[np.float64]) -> NDArray[np.float64]:
    """A policy's own threshold at another pace: its loss times lam / START, so that at START it is unchanged."""
    return np.clip(threshold, 0.0, 1.0) ** (lam / START)
