"""What a query strategy may look at, what it must be given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Positions, Proba

Need = Literal["proba", "features", "labels", "committee", "descriptions"]
NEEDS: tuple[Need, ...] = get_args(Need)
_MISSING: dict[Need, str] = {
    "proba": "class probabilities, which need a trained model: answers of two classes",
    "features": "features of the items",
    "labels": "labelled items",
    "committee": "several trained heads, which need answers of two classes",
    "descriptions": "class names in the items' own feature space: a pool with a text column",
}

_T = TypeVar("_T")
ProbaOf = Callable[[NDArray[np.floating[Any]]], Proba]
"""Class probabilities (m, n_classes) of features (m, d)."""


class FeatureRows(Protocol):
    """Features of a whole pool that need not fit into memory."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n_items, n_features)."""
        ...

    def gather(self, positions: Positions) -> NDArray[np.float32]:
        """(m, d) rows at these positions, the caller's own."""
        ...

    def chunks(self, rows: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first position, rows) in order; the rows may be views that must not be written to."""
        ...


class ArrayRows:
    """Features that are in memory, as `FeatureRows`."""

    def __init__(self, array: NDArray[np.floating[Any]]) -> None:
        self._array = array

    @property
    def shape(self) -> tuple[int, int]:
        """(n_items, n_features)."""
        return self._array.shape[0], self._array.shape[1]

    def gather(self, positions: Positions) -> NDArray[np.float32]:
        """(m, d) float32."""
        return np.asarray(self._array[positions], dtype=np.float32)

    def chunks(self, rows: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Views of at most `rows` rows."""
        for start in range(0, len(self._array), rows):
            yield start, np.asarray(self._array[start : start + rows], dtype=np.float32)


class Labelled(NamedTuple):
    """Items with an answer: positions (m,), class indices (m,) in 0 .. n_classes - 1."""

    items: Positions
    targets: NDArray[np.int64]
    n_classes: int


class Descriptions(NamedTuple):
    """Class texts as features: prompts (n_prompts, n_classes, width), to be compared with columns start..stop."""

    prompts: NDArray[np.floating[Any]]
    start: int
    stop: int


@dataclass(frozen=True)
class PoolView:
    """A pool as a strategy sees it. What is None is not known; `candidates` (n_items,) says what may be asked.

    `committee` trains its heads when it is called. Strategies change nothing in here.
    """

    candidates: NDArray[np.bool_]
    scores: PoolScores | None = None
    features: FeatureRows | None = None
    labelled: Labelled | None = None
    proba: ProbaOf | None = None
    committee: Callable[[], Sequence[ProbaOf]] | None = None
    descriptions: Descriptions | None = None

    def __post_init__(self) -> None:
        n = len(self.candidates)
        if self.scores is not None and len(self.scores) != n:
            raise InputError(f"scores are of {len(self.scores)} items; expected {n}, as there are candidates")
        if self.features is not None and self.features.shape[0] != n:
            raise InputError(f"features are of {self.features.shape[0]} items; expected {n}")

    @property
    def n_items(self) -> int:
        """How many items the pool holds."""
        return len(self.candidates)

    @property
    def known(self) -> frozenset[Need]:
        """The needs that this view meets."""
        there: dict[Need, bool] = {
            "proba": self.scores is not None and self.proba is not None,
            "features": self.features is not None,
            "labels": self.labelled is not None and len(self.labelled.items) > 0,
            "committee": self.committee is not None,
            "descriptions": self.descriptions is not None,
        }
        return frozenset(need for need, is_there in there.items() if is_there)

    def check(self, name: str, needs: frozenset[Need]) -> None:
        """Raises InputError, saying what strategy `name` lacks, unless every need is met."""
        lacking = sorted(needs - self.known)
        if lacking:
            words = "; ".join(f"{need}: {_MISSING[need]}" for need in lacking)
            raise InputError(f"strategy {name!r} cannot rank the items without {words}")

    # What a strategy has declared is there; asking for anything else is a mistake in the strategy.

    def the_scores(self) -> PoolScores:
        """The scores, for strategies that need "proba"."""
        return _declared(self.scores, "proba")

    def the_features(self) -> FeatureRows:
        """The features, for strategies that need "features"."""
        return _declared(self.features, "features")

    def the_labels(self) -> Labelled:
        """The labelled items, for strategies that need "labels"."""
        return _declared(self.labelled, "labels")

    def the_proba(self) -> ProbaOf:
        """The model, for strategies that need "proba"."""
        return _declared(self.proba, "proba")

    def the_committee(self) -> Sequence[ProbaOf]:
        """The trained members, for strategies that need "committee"."""
        return _declared(self.committee, "committee")()

    def the_descriptions(self) -> Descriptions:
        """The classes' texts, for strategies that need "descriptions"."""
        return _declared(self.descriptions, "descriptions")


class Ranking(NamedTuple):
    """Items to ask, best first, all different: positions (m,), utilities (m,) and in words why these."""

    items: Positions
    utility: NDArray[np.float64]
    why: str


def _declared(value: _T | None, need: Need) -> _T:
    if value is None:
        raise InputError(f"there is no {need!r} here; a strategy that uses it must name it in `needs`")
    return value
