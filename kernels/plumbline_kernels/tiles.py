"""Tile sizes: a written table per kernel and regime, the best of it found once per device and remembered.

Regimes: "few" (all classes fit in one tile: bound by memory), "many" (bound by arithmetic), "split" (so few rows
that reading the weights rules). In the last two the classes are divided among programs where the rows alone do
not fill the device; see `splits`.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from functools import cache
from pathlib import Path

import torch

FEW_CLASSES = 128  # up to here one tile holds a row's logits; above K of about 184 arithmetic rules anyway
FLAT_ROWS = 64  # up to here a wide tile is half empty, and each flat one re-reads the weights from cache at most twice
VIRTUAL_PROCESSORS = 4  # what the interpreter pretends to have, so that its tests split over K too
WAVES = 2  # programs per multiprocessor that the split over K aims at


@dataclass(frozen=True)
class Tile:
    """Rows, classes and features of a tile, with the warps and pipeline stages that run it."""

    block_m: int
    block_k: int
    block_d: int
    warps: int
    stages: int


HOPPER = (9, 0)  # 227 KiB of shared memory and warp-group products: deeper pipelines and wider tiles pay
BLACKWELL = (10, 0)  # accumulators live in tensor memory there: 128 x 128 tiles spill on their way out

# The first of a row is what is used where nothing was measured. Half: bfloat16 and float16; single: float32,
# whose products run on the ordinary units (ieee), so that its tiles are smaller. Registers and spills of
# every row are read by tests/kernels/test_kernels_compile.py.
_HALF_WIDE = (Tile(128, 128, 64, 8, 3), Tile(128, 64, 64, 4, 3))
_HOPPER_WIDE = (Tile(128, 128, 64, 8, 4), Tile(64, 256, 64, 8, 3))
_SINGLE_WIDE = (Tile(64, 64, 32, 4, 2), Tile(32, 64, 32, 4, 2))
_BLACKWELL_WIDE = (Tile(64, 128, 64, 8, 3),)
_HALF_FLAT = (Tile(16, 128, 64, 4, 4), Tile(32, 128, 64, 4, 3))
_SINGLE_FLAT = (Tile(16, 64, 32, 4, 2),)
_HALF_FEW = (Tile(64, 128, 64, 8, 3), Tile(32, 128, 64, 4, 3))
_SINGLE_FEW = (Tile(32, 128, 32, 4, 2), Tile(16, 128, 32, 4, 2))

TABLE: dict[tuple[str, str, str], tuple[Tile, ...]] = {
    ("stats", "many", "half"): _HALF_WIDE,
    ("stats", "many", "single"): _SINGLE_WIDE,
    ("stats", "split", "half"): _HALF_FLAT,
    ("stats", "split", "single"): _SINGLE_FLAT,
    ("dlogits", "many", "half"): _HALF_WIDE,
    ("dlogits", "many", "single"): _SINGLE_WIDE,
    ("dlogits", "split", "half"): _HALF_FLAT,
    ("dlogits", "split", "single"): _SINGLE_FLAT,
    ("few", "few", "half"): _HALF_FEW,
    ("few", "few", "single"): _SINGLE_FEW,
    ("scores", "few", "half"): (Tile(64, 128, 64, 8, 3), Tile(128, 128, 64, 8, 3)),
    ("scores", "few", "single"): (Tile(32, 128, 32, 8, 2),),
    ("scores", "many", "half"): (Tile(128, 128, 64, 8, 3), Tile(64, 128, 64, 8, 3)),
    ("scores", "many", "single"): (Tile(64, 64, 32, 8, 2),),
    ("scores", "split", "half"): _HALF_FLAT,
    ("scores", "split", "single"): (Tile(16, 64, 32, 8, 2),),
    ("top_m", "any", "half"): (Tile(32, 128, 64, 4, 3),),
    ("top_m", "any", "single"): (Tile(16, 64, 32, 8, 2),),
}

_remembered: dict[str, Tile] = {}


def width_of(dtype: torch.dtype) -> str:
    """ "half" for the two-byte types, "single" for float32."""
    return "single" if dtype == torch.float32 else "half"


@cache
def processors(device: torch.device) -> int:
    """Multiprocessors of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).multi_processor_count
    return VIRTUAL_PROCESSORS


def regime(n_rows: int, n_classes: int) -> str:
    """Which row of the table a shape belongs to."""
    if n_classes <= FEW_CLASSES:
        return "few"
    return "split" if n_rows <= FLAT_ROWS else "many"


def splits(n_rows: int, n_classes: int, tile: Tile, n_processors: int) -> tuple[int, int]:
    """Into how many parts the classes are cut, and the classes of a part, a multiple of the tile's.

    One part when the row blocks alone give every multiprocessor WAVES programs.
    """
    row_blocks = max(1, -(-n_rows // tile.block_m))
    class_blocks = max(1, -(-n_classes // tile.block_k))
    parts = max(1, min(class_blocks, n_processors * WAVES // row_blocks))
    per_part = -(-class_blocks // parts)
    return -(-class_blocks // per_part), per_part * tile.block_k


def candidates(kernel: str, which: str, width: str, capability: tuple[int, int]) -> tuple[Tile, ...]:
    """The tiles that may run a kernel in a regime on devices of this compute capability, the default first."""
    if width == "half" and which == "many" and capability >= BLACKWELL:
        return _BLACKWELL_WIDE
    if width == "half" and which == "many" and capability >= HOPPER:
        return (*dict.fromkeys((*TABLE[kernel, which, width], *_HOPPER_WIDE)),)
    return TABLE[kernel, which, width]


def chosen_tile(
    kernel: str,
    which: str,
    dtype: torch.dtype,
    device: torch.device,
    shape: tuple[int, int, int],
    run: Callable[[Tile], object],
) -> Tile:
    """The tile for this kernel, regime and size of problem: measured once per device, then read from the cache.

    shape: rows, classes and features. run: launches the kernel with a tile. Nothing is measured off a GPU, while
    a CUDA graph is captured, or with PLUMBLINE_AUTOTUNE=0: the table's first tile is used.
    """
    if device.type != "cuda":
        return TABLE[kernel, which, width_of(dtype)][0]
    tiles = candidates(kernel, which, width_of(dtype), capability_of(device))
    idle = os.environ.get("PLUMBLINE_AUTOTUNE") == "0" or torch.cuda.is_current_stream_capturing()
    if idle or len(tiles) == 1:
        return tiles[0]
    key = tile_key(kernel, which, dtype, shape)
    return remembered_tile(cache_file(device), key, tiles, lambda tile: _time_ms(run, tile))


def tile_key(kernel: str, which: str, dtype: torch.dtype, shape: tuple[int, int, int]) -> str:
    """What a measured tile is remembered under: sizes that differ by less than a factor of four share an entry."""
    n, k, d = (max(0, size - 1).bit_length() // 2 for size in shape)
    return f"{kernel} {which} {width_of(dtype)} n{n} k{k} d{d}"


@cache
def capability_of(device: torch.device) -> tuple[int, int]:
    """Compute capability; asked of the driver once, as a launch takes less time than the question."""
    return torch.cuda.get_device_capability(device)


def remembered_tile(
    file: Path, key: str, choices: tuple[Tile, ...], measure: Callable[[Tile], float]
) -> Tile:
    """The candidate that the cache names, or the fastest by `measure`, which is then written to the cache."""
    place = f"{file} {key}"
    if place not in _remembered:
        known = _read(file)
        saved = known.get(key, {}).get("tile")
        tile = next((candidate for candidate in choices if list(astuple(candidate)) == saved), None)
        if tile is None:
            times = {candidate: measure(candidate) for candidate in choices}
            tile = min(times, key=lambda candidate: times[candidate])
            _keep(file, known | {key: {"tile": list(astuple(tile)), **asdict(tile), "ms": times[tile]}})
        _remembered[place] = tile
    return _remembered[place]


@cache
def cache_file(device: torch.device) -> Path:
    """Where the tiles of this device are kept: PLUMBLINE_CACHE, or the user's cache folder."""
    from plumbline_kernels.dispatch import triton_version

    name = "".join(c if c.isalnum() else "-" for c in torch.cuda.get_device_name(device))
    root = os.environ.get("PLUMBLINE_CACHE") or Path.home() / ".cache" / "plumbline"
    return Path(root) / f"tiles-{name}-triton-{triton_version()}.json"


def _time_ms(run: Callable[[Tile], object], tile: Tile, repeats: int = 5) -> float:
    """The median time of a launch, after one to compile it; infinite where the device has no room for the tile."""
    from triton.runtime.errors import OutOfResources

    try:
        run(tile)
    except OutOfResources:
        return math.inf
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run(tile)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times)[repeats // 2]


def _read(file: Path) -> dict[str, dict[str, object]]:
    """The cache's content; a file that is not there or not readable JSON is an empty cache."""
    if not file.exists():
        return {}
    try:
        known = json.loads(file.read_text())
    except json.JSONDecodeError:
        return {}
    return known if isinstance(known, dict) else {}


def _keep(file: Path, known: dict[str, dict[str, object]]) -> None:
    """Write the cache; where it cannot be written the choice holds for this process, and that is said."""
    try:
        _write(file, known)
    except OSError as error:
        warnings.warn(
            f"the tile cache {file} cannot be written ({error}); tiles are measured again by every process. "
            "PLUMBLINE_CACHE names another folder.",
            RuntimeWarning,
            stacklevel=2,
        )


def _write(file: Path, known: dict[str, dict[str, object]]) -> None:
    """Replace the cache whole, so that a reader never sees half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".tmp", delete=False) as handle:
        json.dump(known, handle, indent=1)
    os.replace(handle.name, file)
