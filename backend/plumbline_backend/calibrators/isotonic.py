"""Isotonic regression of every class against the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from plumbline_backend.calibrators.base import PostHoc, State, renormalised
from plumbline_backend.domain import calibration_cells as cells
from plumbline_backend.heads.program import Elementwise, Program, Ramps, RowWise, affine

MIN_ITEMS = 50
FEW_PER_CLASS = 20
STEEPEST = 1e300
"""Probabilities that are this close are one step up."""
"""Fewer items of a class than this are told: a staircase through so few answers follows chance."""


class Isotonic(PostHoc):
    """Each class's probability through its own staircase, then rows brought to sum 1; may change the predicted class.

    Each step holds one item more than it has, which states its own mean probability: no step is exactly 0 or 1, so
    that a later answer is never impossible. Between steps the staircase is joined by lines. Source: Zadrozny and
    Elkan 2002.

    Learned: `x_`, `y_`: (n_points,) each for all classes after each other; `start_` (K + 1,) where a class begins.
    """

    name: ClassVar[str] = "isotonic"

    def __init__(self, min_items: int = MIN_ITEMS) -> None:
        super().__init__(min_items)
        self._reset()

    def parameters(self) -> Mapping[str, float]:
        """How many points the staircases have together, and per class."""
        n = float(len(self.x_))
        return {"points": n, "points_per_class": n / max(len(self.start_) - 1, 1)}

    def _reset(self) -> None:
        self.x_, self.y_ = np.zeros(0), np.zeros(0)
        self.start_ = np.zeros(1, dtype=np.int64)

    def _learn(self, logits: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        proba = softmax(logits, axis=1)
        curves = [_staircase(proba[:, k], targets == k) for k in range(proba.shape[1])]
        self.x_ = np.concatenate([x for x, _ in curves])
        self.y_ = np.concatenate([y for _, y in curves])
        self.start_ = np.cumsum([0, *(len(x) for x, _ in curves)])
        self.note_ = few_per_class(targets, proba.shape[1], FEW_PER_CLASS)

    def _apply(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        proba = softmax(logits, axis=1)
        scores = np.empty_like(proba)
        for k in range(proba.shape[1]):
            own = slice(self.start_[k], self.start_[k + 1])
            scores[:, k] = np.interp(proba[:, k], self.x_[own], self.y_[own])
        return renormalised(scores, proba)

    def _program(self, n_classes: int) -> Program:
        curves = [_ramp(self.x_[own], self.y_[own]) for own in map(slice, self.start_[:-1], self.start_[1:])]
        return RowWise("softmax"), joined_ramps(curves), Elementwise("log"), affine(np.eye(n_classes))

    def _state(self) -> State:
        return {"x": self.x_, "y": self.y_, "start": self.start_}

    def _restore(self, state: State) -> None:
        self.x_, self.y_, self.start_ = state["x"], state["y"], state["start"]


def few_per_class(targets: NDArray[np.int64], n_classes: int, few: int) -> str:
    """A warning when classes have fewer than `few` items, or ""."""
    counts = np.bincount(targets, minlength=n_classes)
    n_few = int((counts < few).sum())
    if not n_few:
        return ""
    return (
        f"{n_few} of {n_classes} classes have fewer than {few} items (the fewest {int(counts.min())}): their "
        "curves follow chance"
    )


Curve = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]
"""scale, offset and rise (points,) of one column's ramps, and its base."""


def joined_ramps(curves: Sequence[Curve]) -> Ramps:
    """A curve for each class, the shorter ones filled up with zeros."""
    shape = len(curves), max(1, *(len(rise) for _, _, rise, _ in curves))
    scale, offset, rise = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for k, (own_scale, own_offset, own_rise, _) in enumerate(curves):
        n = len(own_rise)
        scale[k, :n], offset[k, :n], rise[k, :n] = own_scale, own_offset, own_rise
    return Ramps(scale, offset, rise, np.array([base for *_, base in curves]))


def _ramp(x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
    """Lines through the points (x, y), level outside. Within a step nothing rises, so only what is between counts."""
    rise = np.diff(y)
    at = np.flatnonzero(rise)
    scale = np.minimum(1 / np.diff(x)[at], STEEPEST)
    return scale, -x[at] * scale, rise[at], float(y[0])


def _staircase(
    proba: NDArray[np.float64], has: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both ends of every step: ascending x and non-decreasing y, (n_points,) each."""
    found = cells.cells_of(proba, has)
    fitted: NDArray[Any] = cells.isotonic(found)
    starts = np.flatnonzero(np.r_[True, np.diff(fitted) > 0])
    count = np.add.reduceat(found.count, starts)
    right = np.add.reduceat(found.right, starts)
    stated = np.add.reduceat(found.count * found.confidence, starts)
    level = np.maximum.accumulate((right + stated / count) / (count + 1))
    last = np.append(starts[1:], len(fitted)) - 1
    x = np.stack([found.confidence[starts], found.confidence[last]], axis=1).ravel()
    return x, np.repeat(level, 2)
