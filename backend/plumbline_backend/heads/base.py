"""What heads share once they have learned: logits, probabilities and scores from a program, and a folder to keep it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.checks import finite, positive, scorable
from plumbline_backend.heads.program import Program, last, run
from plumbline_kernels import score_classes

_ROWS = 65_536
_CELLS = 16_000_000


class Cost(NamedTuple):
    """What a training will take, before it runs: seconds on one core and MiB beyond the features."""

    seconds: float
    mib: float


class ProgramHead:
    """A head that is its program once it has learned.

    A subclass names its settings, its learned arrays and the facts of its fit; each is an attribute. `width_` is
    the number of features that it was fitted on.
    """

    name: str
    explanation: str
    needs: frozenset[str] = frozenset()
    SETTINGS: Sequence[str] = ()
    ARRAYS: Sequence[str] = ()
    FACTS: Sequence[str] = ()

    def program(self) -> Program:
        """The fitted head as steps from features to logits."""
        raise NotImplementedError(f"{type(self).__name__} gives no program")

    def logits(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(n, n_classes) float64 of (n, d) features. Raises InputError on another width."""
        features = self.checked(features)
        return run(self.program(), features)

    def proba(self, features: NDArray[np.floating[Any]], temperature: float = 1.0) -> NDArray[np.float64]:
        """softmax(logits / temperature), (n, n_classes) float64, rows sum to 1."""
        logits = self.logits(features) / positive(temperature)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def scores(self, features: NDArray[np.floating[Any]], temperature: float = 1.0) -> PoolScores:
        """Two largest probabilities, entropy and argmax of (n, d) features, in one pass over the classes."""
        features = self.checked(features)
        positive(temperature)
        finite(features)
        program = self.program()
        final = last(program)
        rows = max(1, min(_ROWS, _CELLS // final.weight.shape[1]))
        parts = []
        for start in range(0, max(1, len(features)), rows):
            hidden = run(program[:-1], features[start : start + rows])
            found = score_classes(
                torch.from_numpy(np.ascontiguousarray(hidden)),
                torch.from_numpy(final.weight),
                bias=torch.from_numpy(final.bias / temperature),
                scale=1 / temperature,
                check_values=False,
            )
            parts.append(
                PoolScores(*(t.numpy() for t in (found.top1, found.top2, found.entropy, found.argmax)))
            )
        return PoolScores.concatenate(parts)

    def facts(self) -> dict[str, Any]:
        """How the fit went, for people."""
        return {name.rstrip("_"): getattr(self, name) for name in self.FACTS}

    def save(self, folder: Path) -> None:
        """Write head.safetensors (what was learned) and head.json (settings, how the fit went)."""
        self.checked(np.empty((0, getattr(self, "width_", 0))))
        save_file(
            {name: np.ascontiguousarray(getattr(self, name)) for name in self.ARRAYS},
            folder / "head.safetensors",
        )
        facts = {name: getattr(self, name) for name in (*self.SETTINGS, *self.FACTS)}
        text = json.dumps({"head": self.name, "width": self.width_, **facts}, indent=2)
        (folder / "head.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The head that `save` wrote into `folder`. Raises InputError when it is another kind of head."""
        facts = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        if facts["head"] != cls.name:
            raise InputError(f"{folder / 'head.json'} holds a {facts['head']!r} head; expected {cls.name!r}")
        head = cls(**{name: facts[name] for name in cls.SETTINGS if name in facts})
        for name in cls.FACTS:
            setattr(head, name, facts.get(name))
        for name, array in load_file(folder / "head.safetensors").items():
            setattr(head, name, array)
        head.width_ = facts["width"]
        return head

    def checked(self, features: NDArray[Any]) -> NDArray[np.floating[Any]]:
        """The features. Raises InputError before the fit or on another width."""
        return scorable(features, getattr(self, "width_", None))

    @classmethod
    def estimate(cls, n: int, d: int, k: int) -> Cost:
        """What fitting n x d features with k classes takes; here a few passes over the items."""
        return Cost(1e-9 * n * d * 4 + 1e-9 * k * d, (8 * n * d + 16 * k * d) / 2**20)

    width_: int
