"""Categories: one column per value, or hashed into 64 buckets when there are too many values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.utils import murmurhash3_32

from plumbline_backend.importers.convert import to_text
from plumbline_backend.pool.transforms.base import Block

MAX_ONE_HOT = 50
N_BUCKETS = 64


class CategoryTransform:
    """One-hot (up to 50 values in the sample) or hashed; one text column, missing values as "".

    mode "one_hot": feature j is 1.0 where the value equals values[j], else 0.0; a value that the sample
    did not have gives zeros everywhere.
    mode "hash": feature j is 1.0 where murmurhash3_32(value's UTF-8 bytes, seed 0, unsigned) % 64 == j.

    State (JSON): column (name), mode ("one_hot" or "hash"), values (list of text, sorted; empty for
    "hash"), n_buckets (64). No arrays.
    """

    name = "category"

    def __init__(self) -> None:
        self.column_ = ""
        self.mode_: Literal["one_hot", "hash"] = "one_hot"
        self.values_: tuple[str, ...] = ()

    def fit(self, columns: Sequence[pa.Array], names: Sequence[str], rng: np.random.Generator) -> Self:
        """The values of the sample, sorted. `rng` is not used."""
        del rng
        self.column_ = names[0]
        values = sorted(pc.unique(_text(columns[0])).to_pylist())
        if len(values) > MAX_ONE_HOT:
            self.mode_, self.values_ = "hash", ()
        else:
            self.mode_, self.values_ = "one_hot", tuple(values)
        return self

    def apply(self, columns: Sequence[pa.Array]) -> Block:
        """(n, number of values or 64) float32 of zeros and ones."""
        encoded = _text(columns[0]).dictionary_encode()
        words = encoded.dictionary.to_pylist()
        if self.mode_ == "hash":
            width = N_BUCKETS
            places = [murmurhash3_32(word, seed=0, positive=True) % N_BUCKETS for word in words]
        else:
            width = len(self.values_)
            index = {value: j for j, value in enumerate(self.values_)}
            places = [index.get(word, -1) for word in words]
        out = np.zeros((len(encoded), width), dtype=np.float32)
        if len(encoded):
            at = np.array(places, dtype=np.int64)[np.asarray(encoded.indices)]
            rows = np.flatnonzero(at >= 0)
            out[rows, at[rows]] = 1.0
        return out

    @property
    def feature_names(self) -> tuple[str, ...]:
        """ "COLUMN = value", or "COLUMN bucket j"."""
        if self.mode_ == "hash":
            return tuple(f"{self.column_} bucket {j}" for j in range(N_BUCKETS))
        return tuple(f"{self.column_} = {value}" for value in self.values_)

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See the class."""
        values = list(self.values_)
        return {"column": self.column_, "mode": self.mode_, "values": values, "n_buckets": N_BUCKETS}, {}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See the class."""
        del arrays
        made = cls()
        made.column_, made.mode_, made.values_ = state["column"], state["mode"], tuple(state["values"])
        return made


def _text(column: pa.Array) -> pa.Array:
    return pc.fill_null(to_text(column).array, "")
