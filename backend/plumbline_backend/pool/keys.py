"""Keys to positions: sorted 64-bit hashes on disk; duplicates found while a pool is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.arrays import load_array

Digests = NDArray[np.uint64]
"""(n, 2): the 128-bit hash of each key; the first half is the one that is stored and searched."""


def digests_of(keys: Sequence[str]) -> Digests:
    """(n, 2) uint64 BLAKE2b digests of the keys' UTF-8 bytes."""
    joined = b"".join(hashlib.blake2b(key.encode(), digest_size=16).digest() for key in keys)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)


class KeyIndexBuilder:
    """Says which keys were seen before, in 24 bytes a key.

    Keys are kept as sorted runs that double in length, so that a batch is looked up in a few binary
    searches and every key is merged only log2(n / batch) times. Two keys count as equal when all 128
    bits of their digests agree: at a billion keys the chance of a false duplicate is below 1e-20.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Digests, NDArray[np.int64]]] = []
        self.n_keys = 0

    def earlier_rows(self, digests: Digests, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) the source row in which each key was first used, or -1 where it is new."""
        earlier = np.full(len(digests), -1, dtype=np.int64)
        for run, run_rows in self._runs:
            at = np.searchsorted(run[:, 0], digests[:, 0])
            inside = np.flatnonzero(at < len(run))
            hits = inside[run[at[inside], 0] == digests[inside, 0]]
            for i in hits:
                found = _match(run, int(at[i]), digests[i])
                if found >= 0:
                    earlier[i] = run_rows[found]
        seen: dict[bytes, int] = {}
        for i, digest in enumerate(digests):
            first = seen.setdefault(digest.tobytes(), int(rows[i]))
            if earlier[i] < 0 and first != rows[i]:
                earlier[i] = first
        return earlier

    def add(self, digests: Digests, rows: NDArray[np.int64]) -> None:
        """Remember accepted keys; their positions continue from those added before."""
        order = np.argsort(digests[:, 0], kind="stable")
        self._runs.append((digests[order], rows[order]))
        self.n_keys += len(digests)
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= len(self._runs[-1][0]):
            (first, first_rows), (second, second_rows) = self._runs[-2:]
            merged = np.concatenate([first, second])
            merged_rows = np.concatenate([first_rows, second_rows])
            order = np.argsort(merged[:, 0], kind="stable")
            self._runs[-2:] = [(merged[order], merged_rows[order])]


def write_index(folder: Path, hashes: NDArray[np.uint64]) -> None:
    """Save the index of keys whose first digest halves are `hashes`, (n,) in order of position."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.argsort(hashes, kind="stable")
    np.save(folder / "hashes.npy", hashes[order])
    np.save(folder / "positions.npy", order.astype(np.int64))


class KeyIndex:
    """Finds a key's position: a binary search in the mapped hashes, then a comparison of the key itself."""

    def __init__(self, folder: Path, key_at: Callable[[int], str]) -> None:
        self._hashes = load_array(folder / "hashes.npy", mapped=True)
        self._positions = load_array(folder / "positions.npy", mapped=True)
        self._key_at = key_at

    def position(self, key: str) -> int | None:
        """The position of `key`, or None when no item has it."""
        try:
            target = digests_of([key])[0, 0]
        except UnicodeEncodeError:
            return None
        at = int(np.searchsorted(self._hashes, target))
        while at < len(self._hashes) and self._hashes[at] == target:
            position = int(self._positions[at])
            if self._key_at(position) == key:
                return position
            at += 1
        return None


def _match(run: Digests, at: int, digest: NDArray[np.uint64]) -> int:
    """Index in the run of an equal 128-bit digest at or after `at`, or -1."""
    while at < len(run) and run[at, 0] == digest[0]:
        if run[at, 1] == digest[1]:
            return at
        at += 1
    return -1
