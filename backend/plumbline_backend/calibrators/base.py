"""What calibrators share: checking, too few items, cross-fitting, and being saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.program import Program

State = dict[str, NDArray[Any]]
"""What was learned, as arrays by name; enough to apply the calibrator elsewhere."""


class PostHoc(ABC):
    """Maps logits (n, K) to probabilities (n, K). Before `fit`, and after too few items, it is the softmax.

    Subclasses learn in `_learn` and answer in `_apply`; both get finite float64 logits, with 0 as the maximum of every
    row where `shift_invariant` is set: a constant added to a row then means nothing.

    Learned: `n_` items; `fitted_`; `note_`, words on why it was not fitted or how far it can be trusted, else "".
    """

    name: ClassVar[str]
    changes_predictions: ClassVar[bool] = True
    """Whether the likeliest class may be another one afterwards."""
    shift_invariant: ClassVar[bool] = True
    most_items: ClassVar[int | None] = None
    """It learns from at most so many items, drawn at random; None: from all."""

    def __init__(self, min_items: int) -> None:
        self.min_items = min_items
        self.n_ = 0
        self.fitted_ = False
        self.note_ = "not fitted yet: probabilities are the head's own"

    def fit(self, logits: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]]) -> Self:
        """Learn from finite logits (n, K) and targets (n,) that the head was not trained on.

        With fewer than `min_items` items nothing is learned and `note_` says so.
        Raises InputError on NaN or infinite logits, shapes that differ, or targets outside the classes.
        """
        logits, targets = checked(logits, targets)
        self._reset()
        self.n_, self.fitted_, self.note_ = len(targets), False, ""
        if self.n_ < self.min_items:
            self.note_ = (
                f"{self.n_} of the {self.min_items} stream answers needed: probabilities are the head's own"
            )
            return self
        self.note_ = self._refusal(logits.shape[1])
        if not self.note_:
            self.fitted_ = True
            rows = self._rows()
            self._learn(self._prepared(logits[rows]), targets[rows])
        return self

    def proba(self, logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(n, K), rows sum to 1, in float64."""
        logits = self._prepared(np.asarray(logits, dtype=np.float64))
        return self._apply(logits) if self.fitted_ and len(logits) else softmax(logits, axis=1)

    def _rows(self) -> slice | NDArray[np.int64]:
        if self.most_items is None or self.n_ <= self.most_items:
            return slice(None)
        return np.sort(np.random.default_rng(0).permutation(self.n_)[: self.most_items])

    def _prepared(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return centred(logits) if self.shift_invariant else logits

    def cross_fitted(
        self,
        logits: NDArray[np.floating[Any]],
        targets: NDArray[np.integer[Any]],
        folds: int,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """(n, K) probabilities, each item's from a calibrator fitted on the other folds.

        What is measured on them is not flattered by having been fitted to the same items. `self` is not
        changed. Raises InputError when folds < 2, and as `fit`.
        """
        if folds < 2:
            raise InputError(f"folds is {folds}; expected at least 2")
        logits, targets = checked(logits, targets)
        fold = rng.permutation(len(targets)) % folds
        proba = np.empty(logits.shape)
        for held_out in range(folds):
            inside = fold == held_out
            fitted = type(self)(self.min_items).fit(logits[~inside], targets[~inside])
            proba[inside] = fitted.proba(logits[inside])
        return proba

    def program(self, n_classes: int) -> Program:
        """Steps from logits to scores whose softmax is `proba`, as exports write them; none when it was not fitted."""
        return self._program(n_classes) if self.fitted_ else ()

    def state(self) -> State:
        """Arrays from which `from_state` makes the same calibrator; empty when it was not fitted."""
        return self._state() if self.fitted_ else {}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """The calibrator that `state` describes."""
        made = cls()  # type: ignore[call-arg]
        made.note_ = ""
        if state:
            made.fitted_ = True
            made._restore(state)
        return made

    @abstractmethod
    def parameters(self) -> Mapping[str, float]:
        """What was learned, in a few finite numbers by name."""

    def _refusal(self, n_classes: int) -> str:
        """Why so many classes cannot be calibrated this way, or ""."""
        del n_classes
        return ""

    @abstractmethod
    def _reset(self) -> None:
        """Forget what was learned."""

    @abstractmethod
    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None: ...

    @abstractmethod
    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]: ...

    @abstractmethod
    def _program(self, n_classes: int) -> Program: ...

    @abstractmethod
    def _state(self) -> State: ...

    @abstractmethod
    def _restore(self, state: State) -> None: ...


def checked(
    logits: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits (n, K) as float64 and targets (n,) as int64. Raises InputError naming the first row that is wrong."""
    logits, targets = np.asarray(logits), np.asarray(targets)
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise InputError(
            f"logits have shape {logits.shape} and targets {targets.shape}; expected (n, n_classes) and (n,)"
        )
    wrong = ~np.isfinite(logits).all(axis=1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(f"logits of row {row} are {logits[row][:8]}; expected finite numbers")
    outside = (targets < 0) | (targets >= logits.shape[1])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"target of row {row} is {targets[row]}; expected a class from 0 to {logits.shape[1] - 1}"
        )
    return logits.astype(np.float64, copy=False), targets.astype(np.int64)


@contextmanager
def one_thread() -> Iterator[None]:
    """Small networks train faster on one thread: on a busy machine several wait for each other at every step."""
    import torch  # takes seconds to import, and most calibrators do without

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def centred(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logits with 0 as every row's maximum."""
    return logits - logits.max(axis=1, keepdims=True, initial=-np.inf)


def renormalised(scores: NDArray[np.float64], fallback: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of one-against-rest probabilities (n, K) brought to sum 1; rows of zeros become those of `fallback`."""
    total = scores.sum(axis=1, keepdims=True)
    return np.where(total > 0, scores / np.where(total > 0, total, 1.0), fallback)
