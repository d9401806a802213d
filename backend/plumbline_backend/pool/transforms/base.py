"""What every transform offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Block = NDArray[np.float32]
"""(n_items, n_features) float32, finite."""


class Transform(Protocol):
    """Fitted on a sample of columns, applied to all; its state is JSON plus named arrays.

    `columns` are Arrow arrays of equal length as the pool stores them. `apply` never returns NaN or
    infinities, and depends on nothing but the state and the values, so that it can be exported.
    """

    name: str

    def fit(self, columns: Sequence[pa.Array], names: Sequence[str], rng: np.random.Generator) -> Self:
        """Learn from a sample. Raises InputError when the columns cannot be used."""

    def apply(self, columns: Sequence[pa.Array]) -> Block:
        """(n, n_features) float32 for the columns' n values."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One name per feature."""

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Everything learned: a JSON-like dict and named arrays."""

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The transform that `to_state` came from."""
