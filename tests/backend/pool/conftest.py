"""Pools made from columns, without a file in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plumbline_backend.domain.types import Column, ColumnRole
from plumbline_backend.importers import ProblemLog, SourceBatch
from plumbline_backend.pool import Pool
from plumbline_backend.pool.build import write_pool

MakePool = Callable[..., Pool]


@pytest.fixture
def make_pool(tmp_path: Path) -> MakePool:
    """make_pool({"name": ("role", values), ...}, batch_rows=1000): a new pool in a new folder."""
    made: list[Pool] = []

    def run(columns: Mapping[str, tuple[ColumnRole, Sequence[Any]]], batch_rows: int = 1000) -> Pool:
        arrays = {name: _array(role, values) for name, (role, values) in columns.items()}
        described = [Column(n, _type(arrays[n]), role) for n, (role, _) in columns.items()]
        n_rows = len(next(iter(arrays.values())))

        def read(_: ProblemLog) -> Iterator[SourceBatch]:
            whole = pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
            for start in range(0, n_rows, batch_rows):
                piece = whole.slice(start, batch_rows)
                yield SourceBatch(piece, np.arange(start + 1, start + len(piece) + 1), 1.0)

        folder = tmp_path / f"pool{len(made)}"
        write_pool("made.test", read, folder, described, {})
        made.append(Pool.open(folder))
        return made[-1]

    return run


def _array(role: str, values: Sequence[Any]) -> pa.Array:
    if role == "features":
        matrix = np.asarray(values, dtype=np.float32)
        return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
    if role == "image":
        return pa.array(values, pa.binary())
    if role == "numeric":
        return pa.array(values, from_pandas=True)
    return pa.array(values, pa.string())


def _type(array: pa.Array) -> str:
    if pa.types.is_fixed_size_list(array.type):
        return f"fixed_size_list<float>[{array.type.list_size}]"
    return str(array.type)
