"""Compile every kernel for given architectures without a device and print what the assembler says.

Run in a process of its own, without Triton's interpreter: `python kernel_compiler.py SCOPE ARCH...`, where
SCOPE is "first" (the tiles used when nothing was measured) or "all" (every tile of the table). One JSON line
per kernel: kernel, arch, tile, variant, registers, stack (bytes, 0 when nothing is spilled), matrix_units.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from plumbline_kernels import tiles, triton_gradient, triton_scores, triton_stats, triton_tile
from plumbline_kernels.tiles import Tile

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
FLOAT = {"half": "bf16", "single": "fp32"}
POINTERS = {
    "target": "*i64", "kept": "*i32", "alive_out": "*i32", "alive": "*i32", "index_out": "*i32",
    "index_in": "*i32", "argmax": "*i64",
}  # fmt: skip
MATRICES = ("x", "w", "proba", "out", "source", "a", "b")
NUMBERS = ("margin", "smoothing", "z_regularization", "threshold")
SIZES = (
    "N", "K", "n", "x_stride", "w_stride", "stride", "classes_per_split", "first_col", "columns", "splits",
    "rows_out", "columns_out", "inner_size", "a_row", "a_inner", "b_row", "b_inner", "alive_row", "alive_inner",
)  # fmt: skip
UNIT = ("x_inner", "w_inner", "inner")
FLAGS = {"COSINE": True, "HAS_OFFSET": True, "UPCAST": False, "PRECISION": "ieee"}


class Case(NamedTuple):
    """One specialisation of one kernel."""

    name: str
    kernel: Any
    width: str
    tile: Tile
    constants: dict[str, Any]


def cases(arch: int, scope: str) -> Iterator[Case]:
    """Every kernel with every tile that may be chosen on `arch`, plainest and fullest variant."""
    for name, which, width in tiles.TABLE:
        choices = tiles.candidates(name, which, width, (arch // 10, arch % 10))
        for tile in choices if scope == "all" else choices[:1]:
            for constants in variants(name, width, arch):
                yield Case(name, KERNELS[name], width, tile, constants)
    for width in ("half", "single"):
        tile = tiles.TABLE["dlogits", "many", width][0]
        for unit in ("a_inner", "a_row"):
            flags = {"BLOCK_N": 64, unit: 1, "b_inner": 1}
            yield Case("matmul", triton_gradient.skipping_matmul_kernel, width, tile, flags)
        flags = {"M": 1, "BLOCK_M": 16, "BLOCK_D": 64, "SPARSE_TARGET": False}
        yield Case("target", triton_stats.target_logit_kernel, width, Tile(16, 0, 64, 4, 3), flags)
        flags = {"BLOCK_M": 32, "BLOCK_D": 64}
        yield Case("norms", triton_tile.inverse_norm_kernel, width, Tile(32, 0, 64, 4, 3), flags)
    small = {"BLOCK": 128, "DENSE_TARGET": False}
    yield Case("combine", triton_stats.combine_kernel, "single", Tile(128, 0, 0, 4, 3), small)
    yield Case(
        "combine", triton_scores.combine_scores_kernel, "single", Tile(128, 0, 0, 4, 3), {"BLOCK": 128}
    )


KERNELS = {
    "stats": triton_stats.stats_kernel,
    "dlogits": triton_gradient.dlogits_kernel,
    "few": triton_gradient.few_classes_kernel,
    "scores": triton_scores.scores_kernel,
    "top_m": triton_scores.top_m_kernel,
}


def variants(name: str, width: str, arch: int) -> list[dict[str, Any]]:
    """Constants of the fullest form, by pointers and, where the path would use it, by TMA."""
    switches = ("HAS_MARGIN", "SMOOTH", "FILTER", "GRADIENT", "ROW_DOT", "COL_DOT", "COL_SUM")
    full = {**FLAGS, **dict.fromkeys(switches, True), "ATOMIC": False, "TARGET": 0, "M": 1}
    full |= {"TMA": False, "TOP_M": 8, "SLOTS": 8}
    tma = arch >= 90 and width == "half" and name != "top_m"
    return [full, full | {"TMA": True}] if tma else [full]


def source_of(case: Case) -> ASTSource:
    """Types and constants of a case: 16-byte aligned pointers and sizes, D = 768."""
    tile, element = case.tile, FLOAT[case.width]
    constants = {
        "D": 768, "BLOCK_M": tile.block_m, "BLOCK_K": tile.block_k, "BLOCK_D": tile.block_d,
        **FLAGS, **case.constants,
    }  # fmt: skip
    signature, fixed, aligned = {}, {}, {}
    for place, name in enumerate(case.kernel.arg_names):
        if name in constants and name not in ("N", "K"):
            signature[name], fixed[name] = "constexpr", constants[name]
        elif name in UNIT:
            signature[name], fixed[name] = "constexpr", 1
        elif name in NUMBERS:
            signature[name] = "fp32"
        elif name in SIZES:
            signature[name] = "i32"
            aligned[(place,)] = [["tt.divisibility", 16]]
        elif constants.get("TMA") and name in ("x", "w"):
            rows = tile.block_m if name == "x" else tile.block_k
            signature[name] = f"tensordesc<{element}[{rows},{tile.block_d}]>"
        else:
            signature[name] = POINTERS.get(name, f"*{element}" if name in MATRICES else "*fp32")
            aligned[(place,)] = [["tt.divisibility", 16]]
    return ASTSource(fn=case.kernel, signature=signature, constexprs=fixed, attrs=aligned)


def compile_case(case: Case, arch: int) -> dict[str, Any]:
    """Compile one case and read its resources."""
    options = {"num_warps": case.tile.warps, "num_stages": case.tile.stages}
    compiled = triton.compile(source_of(case), target=GPUTarget("cuda", arch, 32), options=options)
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(compiled.asm["cubin"])
        usage = dump("--dump-resource-usage", cubin)
        listing = dump("--dump-sass", cubin) if case.width == "half" else ""
    registers, stack = (int(re.search(rf"{key}:(\d+)", usage).group(1)) for key in ("REG", "STACK"))
    matrix_units = re.search(r"\b(HGMMA|UTC\w*MMA|HMMA)", listing)
    return {
        "kernel": case.name, "arch": arch, "width": case.width, "tile": list(case.tile.__dict__.values()),
        "tma": bool(case.constants.get("TMA")),
        "registers": registers, "stack": stack,
        "local_memory": len(re.findall(r"\b(?:STL|LDL)\b", listing)),
        "shared": compiled.metadata.shared,
        "matrix_units": matrix_units.group(1) if matrix_units else "",
    }  # fmt: skip


def dump(what: str, cubin: Path) -> str:
    return subprocess.run([CUOBJDUMP, what, cubin], capture_output=True, text=True, check=True).stdout


def main() -> None:
    scope, *archs = sys.argv[1:]
    if os.environ.get("TRITON_INTERPRET"):
        raise SystemExit("the interpreter is on: nothing would be compiled")
    work = [(case, int(arch)) for arch in archs for case in cases(int(arch), scope)]
    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(lambda pair: compile_case(*pair), work):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
