"""What can be swapped in the loop: the shape of a strategy, a head and a calibrator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Proba

Features = NDArray[np.floating[Any]]
"""(n_items, n_features), finite."""
Logits = NDArray[np.floating[Any]]
"""(n_items, n_classes), finite."""
Targets = NDArray[np.integer[Any]]
"""(n_items,), class indices in 0 .. n_classes - 1."""


class Strategy(Protocol):
    """Says which items would teach the model most."""

    name: str
    needs: frozenset[Need]
    """What must be known of the pool (see `NEEDS`); nothing: works before the first answer."""
    explanation: str
    """One sentence for the person who chooses it."""

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """At most `n` different candidates, best first, in bounded memory. Changes nothing in `view`.

        Items without scores or with NaN never come before others; `rng` alone decides what is random.
        """
        ...


class Head(Protocol):
    """A classifier over features."""

    name: str
    explanation: str
    """One sentence for the person who chooses it."""
    needs: frozenset[str]
    """Arguments of the constructor that must be known of the project ("class_texts", "unlabelled"), or nothing."""
    width_: int
    """Features it was fitted on."""

    def fit(
        self,
        features: Features,
        targets: NDArray[Any],
        n_classes: int,
        sample_weight: NDArray[np.floating[Any]] | None = None,
        warm_start: Self | None = None,
    ) -> Self:
        """Learn from labelled items; targets are classes (n,) or probabilities (n, n_classes).

        `warm_start` is an earlier head of the same kind. Raises InputError on what cannot be learned from.
        """
        ...

    def logits(self, features: Features) -> NDArray[np.float64]:
        """(n_items, n_classes)."""
        ...

    def proba(self, features: Features, temperature: float = 1.0) -> NDArray[np.float64]:
        """(n_items, n_classes), rows sum to 1."""
        ...

    def scores(self, features: Features, temperature: float = 1.0) -> PoolScores:
        """What the queries need of each item, without an n_items x n_classes array."""
        ...

    def program(self) -> Any:
        """The fitted head as steps from features to logits (heads/program.py): what exports are made from."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """How the fit went, by name, for people."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `load` needs into an existing folder."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The head that `save` wrote."""
        ...

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Any:
        """Seconds and MiB that fitting n items of d features with k classes takes (heads/base.py's Cost)."""
        ...


class Calibrator(Protocol):
    """Turns logits into probabilities that can be taken at their word."""

    name: str

    def fit(self, logits: Logits, targets: Targets) -> Self:
        """Learn from items that the head was not trained on."""
        ...

    def proba(self, logits: Logits) -> NDArray[np.float64]:
        """(n_items, n_classes), rows sum to 1."""
        ...

    def cross_fitted(self, logits: Logits, targets: Targets, folds: int, rng: np.random.Generator) -> Proba:
        """Each item's probabilities from a calibrator fitted on the other folds, for honest metrics."""
        ...

    def parameters(self) -> Mapping[str, float]:
        """What was learned, by name."""
        ...
