"""Numbers: missing ones filled with the median, each column standardised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline_backend.pool.transforms.base import Block

CLIP = 1e6
"""Standard deviations at which a value is cut: keeps an outlier of 1e300 finite, changes nothing real."""
COLUMNS_AT_ONCE = 16
"""Columns whose moments are taken together: 16 of a sample of 50,000 are 6 MB."""


class NumericTransform:
    """z = clip((x or median) - mean) * scale, -1e6, 1e6), then one 0/1 column per column with gaps.

    Columns are float or integer arrays (one feature each) or fixed-size lists of float32 (one feature per
    place). With x the (n, w) float32 matrix of all their values side by side, NaN where missing, all
    arithmetic in float32 in this order:

        filled = where(isnan(x), median, x)
        z      = clip((filled - mean) * scale, -clip, clip)
        out    = concatenate([z, isnan(x)[:, missing_index] as 0.0 / 1.0], axis=1)

    State (JSON): names (list of w column or place names), widths (list: 1 for a plain column, the length
    for a vector column, in the order of the columns), clip (float). Arrays: mean, scale, median
    (each (w,) float32; scale is 1/std, or 0 for a constant column) and missing_index (int64, the places
    among the w that had gaps in the sample; places that are always missing together are listed once).
    """

    name = "numeric"

    def __init__(self) -> None:
        self.names_: tuple[str, ...] = ()
        self.widths_: tuple[int, ...] = ()
        self.mean_: NDArray[np.float32] = np.empty(0, np.float32)
        self.scale_: NDArray[np.float32] = np.empty(0, np.float32)
        self.median_: NDArray[np.float32] = np.empty(0, np.float32)
        self.missing_index_: NDArray[np.int64] = np.empty(0, np.int64)

    def fit(self, columns: Sequence[pa.Array], names: Sequence[str], rng: np.random.Generator) -> Self:
        """Means, deviations and medians in float64 over the values that are there. `rng` is not used."""
        del rng
        self.widths_ = tuple(_width(column) for column in columns)
        self.names_ = tuple(
            name if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) else f"{name}[{j}]"
            for name, column, width in zip(names, columns, self.widths_, strict=True)
            for j in range(width)
        )
        x = to_matrix(columns)
        there = ~np.isnan(x)
        n = there.sum(axis=0)
        mean, variance, median = _moments(x, there)
        std = np.sqrt(variance)
        resolution = np.abs(mean) * np.finfo(np.float32).eps
        varies = std > np.maximum(resolution, np.finfo(np.float32).tiny)
        scale = np.divide(1.0, std, out=np.zeros_like(std), where=varies)
        self.mean_ = mean.astype(np.float32)
        self.scale_ = np.minimum(scale, np.finfo(np.float32).max).astype(np.float32)
        self.median_ = median.astype(np.float32)
        gaps = np.flatnonzero((n > 0) & (n < len(x)))
        _, first = np.unique(there[:, gaps], axis=1, return_index=True)
        self.missing_index_ = gaps[np.sort(first)].astype(np.int64)
        return self

    def apply(self, columns: Sequence[pa.Array]) -> Block:
        """(n, w + columns with gaps) float32, finite."""
        x = to_matrix(columns)
        missing = np.isnan(x)
        filled = np.where(missing, self.median_, x)
        with np.errstate(over="ignore"):
            z = np.clip((filled - self.mean_) * self.scale_, np.float32(-CLIP), np.float32(CLIP))
        return np.concatenate([z, missing[:, self.missing_index_].astype(np.float32)], axis=1)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The column names, then "NAME is missing" for columns with gaps."""
        return (*self.names_, *(f"{self.names_[i]} is missing" for i in self.missing_index_))

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See the class."""
        state = {"names": list(self.names_), "widths": list(self.widths_), "clip": CLIP}
        arrays: dict[str, NDArray[Any]] = {
            "mean": self.mean_,
            "scale": self.scale_,
            "median": self.median_,
            "missing_index": self.missing_index_,
        }
        return state, arrays

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See the class."""
        made = cls()
        made.names_ = tuple(state["names"])
        made.widths_ = tuple(state["widths"])
        made.mean_, made.scale_ = arrays["mean"], arrays["scale"]
        made.median_, made.missing_index_ = arrays["median"], arrays["missing_index"]
        return made


def _moments(x: NDArray[np.float32], there: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Mean, variance and median of each column's values that are there; (w,) each, 0 where none is.

    In float64, some columns at a time: a whole sample of 50,000 vectors of 1,536 numbers would take 0.6 GB per step.
    """
    mean, variance, median = np.zeros((3, x.shape[1]))
    for start in range(0, x.shape[1], COLUMNS_AT_ONCE):
        part = slice(start, start + COLUMNS_AT_ONCE)
        values, given = x[:, part].astype(np.float64), there[:, part]
        n = np.maximum(given.sum(axis=0), 1)
        mean[part] = np.where(given, values, 0.0).sum(axis=0) / n
        variance[part] = (np.where(given, values - mean[part], 0.0) ** 2).sum(axis=0) / n
        for j in range(values.shape[1]):
            kept = values[given[:, j], j]
            median[start + j] = np.median(kept) if len(kept) else 0.0
    return mean, variance, median


def to_matrix(columns: Sequence[pa.Array]) -> NDArray[np.float32]:
    """(n, w) float32, NaN where a value is missing; values beyond float32 become its largest number."""
    parts = []
    for column in columns:
        if pa.types.is_fixed_size_list(column.type):
            width = column.type.list_size
            parts.append(np.asarray(column.flatten(), dtype=np.float32).reshape(len(column), width))
            continue
        values = np.asarray(pc.fill_null(pc.cast(column, pa.float64(), safe=False), np.nan))
        limit = float(np.finfo(np.float32).max)
        parts.append(np.clip(values, -limit, limit).astype(np.float32)[:, None])
    return np.concatenate(parts, axis=1)


def _width(column: pa.Array) -> int:
    return int(column.type.list_size) if pa.types.is_fixed_size_list(column.type) else 1
