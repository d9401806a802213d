"""Every kernel compiled for Ampere, Hopper and Blackwell without a device: it fits, and nothing spills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton", reason="triton is not installed")

COMPILER = Path(__file__).with_name("kernel_compiler.py")
SHARED_LIMIT = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}  # bytes a block may have


@cache
def compiled(scope: str, arch: int) -> list[dict[str, Any]]:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, str(COMPILER), scope, str(arch)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("arch", "scope"), [(80, "first"), (90, "all"), (100, "first")])
def test_every_kernel_compiles_without_spills(arch: int, scope: str) -> None:
    found = compiled(scope, arch)
    kernels = {"stats", "dlogits", "few", "scores", "top_m", "matmul", "target", "norms", "combine"}
    assert {line["kernel"] for line in found} == kernels
    spilled = [line for line in found if line["stack"] or line["local_memory"]]
    assert not spilled, spilled
    assert all(0 < line["registers"] <= 255 for line in found)
    assert all(line["shared"] <= SHARED_LIMIT[arch] for line in found)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_half_precision_uses_the_matrix_units_of_hopper() -> None:
    with_tiles = {"stats", "dlogits", "few", "scores", "top_m", "matmul"}
    halves = [
        line for line in compiled("all", 90) if line["width"] == "half" and line["kernel"] in with_tiles
    ]
    assert all(line["matrix_units"] for line in halves)
    wide = [line for line in halves if line["tile"][0] >= 64]
    assert wide
    assert all(line["matrix_units"] == "HGMMA" for line in wide)
    assert any(line["tma"] for line in wide)
