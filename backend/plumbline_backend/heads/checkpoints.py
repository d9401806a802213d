"""A long training's state on disk, so that a worker that was killed is gone on from and not begun again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

EVERY_S = 10.0
"""A training shorter than this writes nothing."""


class Checkpoint:
    """One file, replaced as a whole. key: what the training depends on; another key's state is not taken up."""

    def __init__(self, path: Path, key: str, every_s: float = EVERY_S) -> None:
        self.path = path
        self._key = key
        self._every_s = every_s
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether the last state is old enough to be replaced."""
        return time.monotonic() - self._last >= self._every_s

    def save(self, state: dict[str, Any], rng: np.random.Generator) -> None:
        """Write tensors, numbers and words, and where the random numbers stand."""
        self._last = time.monotonic()
        unfinished = self.path.with_suffix(".unfinished")
        whole = {"key": self._key, "rng": _plain(rng.bit_generator.state), **state}
        with unfinished.open("wb") as stream:
            torch.save(whole, stream)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(self.path)

    def load(self, rng: np.random.Generator) -> dict[str, Any] | None:
        """The state of the same training, with `rng` put where it stood; None when there is none."""
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(self.path, weights_only=True)
        if state["key"] != self._key:
            return None
        rng.bit_generator.state = _numbers(state["rng"])
        return state

    def remove(self) -> None:
        """Forget the state; the training is done."""
        self.path.unlink(missing_ok=True)


def _plain(state: Any) -> Any:
    """128-bit integers as words."""
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return f"int {state}" if isinstance(state, int) else state


def _numbers(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _numbers(value) for name, value in state.items()}
    return int(state[4:]) if isinstance(state, str) and state.startswith("int ") else state
