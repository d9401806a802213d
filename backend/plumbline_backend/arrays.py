"""Arrays on disk, read while other threads of the process parse too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ATTEMPTS = 5


def load_array(path: Path, mapped: bool = False) -> NDArray[Any]:
    """The array of an .npy file; mapped: read-only on disk. Raises what `numpy.load` does; pickles are refused."""
    mode: Literal["r"] | None = "r" if mapped else None
    array: NDArray[Any] = _read(lambda: np.load(path, mmap_mode=mode, allow_pickle=False))
    return array


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name. Raises what `numpy.load` raises; pickles are refused."""

    def read() -> dict[str, NDArray[Any]]:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    return _read(read)


def _read(read: Callable[[], Any]) -> Any:
    """Read once more where Python could not parse an array's header.

    numpy parses headers with `ast`, and CPython before 3.11.8 and 3.12.1 now and then raises a SystemError, "AST
    constructor recursion depth mismatch", where another thread parses too (gh-106905). It says nothing of the file.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return read()
        except SystemError:
            continue
    return read()
