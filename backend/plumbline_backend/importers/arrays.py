"""NumPy arrays to Arrow columns: native byte order, masks as missing, vectors as fixed-size lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def array_to_arrow(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """An Arrow array with one value, or one fixed-size list of numbers, per row.

    values: (n,) or (n, ...); missing: the same shape, True where there is no value. Big-endian numbers
    are swapped; fixed-width bytes become text where they are UTF-8.
    """
    native = values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))
    if native.ndim > 1:
        flat = native.reshape(len(native), -1)
        mask = None if missing is None else missing.reshape(-1)
        if flat.dtype.kind in "US":
            return pa.array(flat.tolist())
        return pa.FixedSizeListArray.from_arrays(_flat(flat.reshape(-1), mask), flat.shape[1])
    return _flat(native, missing)


def _flat(values: NDArray[Any], missing: NDArray[np.bool_] | None) -> pa.Array:
    if values.dtype.kind == "S":
        return pa.array([None if m else v for v, m in _pairs(values, missing)], pa.binary())
    if values.dtype.kind == "U":
        return pa.array([None if m else v for v, m in _pairs(values, missing)], pa.string())
    if values.dtype == np.float16 or values.dtype.itemsize > 8:
        values = values.astype(np.float32 if values.dtype == np.float16 else np.float64)
    return pa.array(np.ascontiguousarray(values), mask=missing)


def _pairs(values: NDArray[Any], missing: NDArray[np.bool_] | None) -> zip[tuple[Any, bool]]:
    flags = [False] * len(values) if missing is None else missing.tolist()
    return zip(values.tolist(), flags, strict=True)
