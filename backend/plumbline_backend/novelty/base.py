"""What an out-of-scope score is: how little an item looks like anything that has a label."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.program import Program


class OutOfScope(Protocol):
    """Learns from labelled items and scores others: higher is farther from all classes."""

    name: ClassVar[str]
    explanation: ClassVar[str]
    needs: ClassVar[str]
    """"features" or "logits": what `score` reads. The other argument is ignored."""

    def fit(
        self, features: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], n_classes: int
    ) -> Self:
        """features (n, d), targets (n,) in 0 .. n_classes - 1. Raises InputError on what cannot be learned from."""
        ...

    def score(
        self, features: NDArray[np.floating[Any]], logits: NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]:
        """(n,) finite scores of items with features (n, d) and raw logits (n, K) of the head."""
        ...

    def program(self, width: int) -> Program | None:
        """Steps from what it reads, `width` numbers an item, to the score (n, 1); None where it cannot travel."""
        ...


def checked(
    features: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Both as float64 and int64. Raises InputError naming what is wrong."""
    features, targets = np.asarray(features), np.asarray(targets)
    if features.ndim != 2 or targets.shape != features.shape[:1]:
        raise InputError(
            f"features have shape {features.shape} and targets {targets.shape}; expected (n, d) and (n,)"
        )
    if not len(features):
        raise InputError("out-of-scope score: found 0 labelled items; expected at least one")
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise InputError(f"features of row {row} hold NaN or infinite values; expected finite numbers")
    if targets.min() < 0 or targets.max() >= n_classes:
        raise InputError(f"targets go from {targets.min()} to {targets.max()}; expected 0 to {n_classes - 1}")
    return features.astype(np.float64), targets.astype(np.int64)
