"""Arrays are read although CPython may fail to parse a header beside another thread that parses (gh-106905)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_backend.arrays import ATTEMPTS, load_array, load_arrays


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the next so many parses fail as CPython's do; the list holds how many are left."""
    left = [0]
    parse = ast.parse

    def sometimes(*arguments: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise SystemError("AST constructor recursion depth mismatch (before=57, after=56)")
        return parse(*arguments, **more)

    monkeypatch.setattr(ast, "parse", sometimes)
    return left


def test_a_header_that_could_not_be_parsed_is_parsed_again(failing: list[int], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6.0))
    np.savez(tmp_path / "b.npz", x=np.arange(3), y=np.ones((2, 2)))
    failing[0] = ATTEMPTS - 1
    np.testing.assert_array_equal(load_array(tmp_path / "a.npy"), np.arange(6.0))
    failing[0] = 2
    mapped = load_array(tmp_path / "a.npy", mapped=True)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    failing[0] = 1
    found = load_arrays(tmp_path / "b.npz")
    assert {name: array.shape for name, array in found.items()} == {"x": (3,), "y": (2, 2)}


def test_what_stays_unreadable_is_said(failing: list[int], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6.0))
    failing[0] = ATTEMPTS
    with pytest.raises(SystemError, match="depth mismatch"):
        load_array(tmp_path / "a.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_array(tmp_path / "objects.npy")
    (tmp_path / "short.npy").write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(ValueError, match="EOF"):
        load_array(tmp_path / "short.npy")
