"""How much memory is free, and how many rows of a batch fit into a part of it."""

from __future__ import annotations

from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"))
SHARE = 0.25
"""Of the free memory that one batch may take: gradients, the optimiser and the pool's pages need the rest."""


def free_mib() -> float | None:
    """MiB that this process could still take, by the system and its container; None where neither tells."""
    found = []
    if _MEMINFO.exists():
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) / 1024)
    if all(path.exists() for path in _LIMITS):
        limit, used = (path.read_text(encoding="ascii").strip() for path in _LIMITS)
        if limit != "max":
            found.append((int(limit) - int(used)) / 2**20)
    return max(0.0, min(found)) if found else None


def rows_that_fit(wanted: int, cells_per_row: int, free: float | None) -> int:
    """At most `wanted` rows of float32 cells in a quarter of `free` MiB, at least one. None: as many as wanted."""
    if free is None:
        return wanted
    return int(max(1, min(wanted, free * SHARE * 2**20 // (4 * max(1, cells_per_row)))))


def out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on the processor or a GPU."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
