"""Which path is taken and why, the tile table and its cache, and that Triton stays optional."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from plumbline_kernels import explain, tiles, triton_path, which_path
from plumbline_kernels.tiles import Tile

WITHOUT_TRITON = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name.split(".")[0] == "triton" else find(name, *rest)
class Blocked:
    def find_spec(self, name, *rest):
        if name.split(".")[0] == "triton":
            raise ImportError("triton is not here")
sys.meta_path.insert(0, Blocked())
import torch
import plumbline_kernels as kernels
x, w = torch.ones(3, 2), torch.ones(4, 2, requires_grad=True)
kernels.linear_cross_entropy(x, w, torch.tensor([0, 1, 2])).backward()
kernels.score_classes(x, w)
assert "triton" not in sys.modules
assert "no triton" in kernels.explain("cpu")
assert "not installed" in kernels.dispatch.triton_obstacle(torch.device("cpu"), torch.float32)
print("fine")
"""


def run_python(code: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_everything_but_the_triton_path_works_without_triton() -> None:
    assert run_python(WITHOUT_TRITON) == "fine"


def test_a_call_on_the_cpu_imports_neither_triton_nor_the_compiler() -> None:
    """torch._dynamo takes a second to import, and brings triton with it."""
    code = WITHOUT_TRITON[WITHOUT_TRITON.index("import torch\n") : WITHOUT_TRITON.index("assert")]
    assert run_python(code + "print([n for n in ('triton', 'torch._dynamo') if n in sys.modules])".replace(
        "sys.modules", "__import__('sys').modules"
    )) == "[]"  # fmt: skip


def test_the_cpu_takes_the_chunked_path() -> None:
    assert which_path("cpu", torch.float32) == ("cpu", "the tensors are on the CPU")
    assert which_path("cpu", torch.float32, "reference") == ("reference", "asked for")


def test_another_accelerator_takes_the_chunked_path_and_says_so() -> None:
    choice = which_path("mps", torch.float32)
    assert choice.name == "cpu"
    assert choice.reason.startswith("chunked PyTorch on mps, as ")


def test_doctors_sentence_names_path_reason_and_versions() -> None:
    sentence = explain("cpu")
    assert sentence.startswith("path cpu: the tensors are on the CPU, torch ")
    assert sentence.endswith(f"{torch.get_num_threads()} threads")


@pytest.mark.parametrize(
    ("n", "k", "expected"),
    [(65536, 100, "few"), (1, 128, "few"), (8192, 256_000, "many"), (65536, 1000, "many"), (65, 1000, "many"),
     (64, 1_000_000, "split"), (1, 129, "split")],
)  # fmt: skip
def test_regimes(n: int, k: int, expected: str) -> None:
    assert tiles.regime(n, k) == expected


def test_wide_tiles_fill_132_processors_at_the_papers_shape() -> None:
    """64 blocks of 128 rows would leave half of the processors idle: the classes are cut in four."""
    tile = tiles.TABLE["stats", tiles.regime(8192, 256_000), "half"][0]
    assert tile.block_m == 128
    assert tiles.splits(8192, 256_000, tile, 132) == (4, 64_000)


@pytest.mark.parametrize("n", [1, 64, 8192])
@pytest.mark.parametrize("k", [129, 256_000, 10_000_000])
def test_a_chunk_of_gradients_fits_a_grid(n: int, k: int) -> None:
    rows, columns = triton_path.chunk_shape(n, k, 2)
    block = tiles.TABLE["dlogits", tiles.regime(rows, k), "half"][0].block_k
    assert -(-columns // block) <= 65_535
    assert rows * columns * 2 <= 2**20 * triton_path.CHUNK_MIB


def test_tiles_are_remembered_by_the_size_of_the_problem() -> None:
    def key(n: int, k: int, d: int) -> str:
        return tiles.tile_key("stats", "many", torch.bfloat16, (n, k, d))

    assert key(8192, 256_000, 2304) == key(8000, 200_000, 3000)
    assert key(8192, 256_000, 2304) != key(200, 256_000, 2304)
    assert len({key(1, 129, 1), key(10**7, 129, 1), key(1, 10**6, 1), key(1, 129, 768)}) == 4


@pytest.mark.parametrize(
    ("n", "k"), [(1, 1), (0, 5), (3, 700), (8192, 256_000), (10_000_000, 1000), (1, 10**6)]
)
def test_splits_cover_every_class_once(n: int, k: int) -> None:
    tile = tiles.TABLE["stats", "many", "half"][0]
    parts, per_part = tiles.splits(n, k, tile, 132)
    assert per_part % tile.block_k == 0
    assert (parts - 1) * per_part < k <= parts * per_part
    assert parts == 1 or parts * -(-n // tile.block_m) <= 132 * tiles.WAVES


def test_every_kernel_has_a_tile_in_every_regime_it_can_meet() -> None:
    for width in ("half", "single"):
        for kernel, regimes in {
            "stats": ("many", "split"), "dlogits": ("many", "split"), "few": ("few",),
            "scores": ("few", "many", "split"), "top_m": ("any",),
        }.items():  # fmt: skip
            for which in regimes:
                for capability in ((8, 0), (9, 0), (10, 0)):
                    assert tiles.candidates(kernel, which, width, capability)


CHOICES = (Tile(16, 16, 16, 4, 2), Tile(32, 16, 16, 4, 2), Tile(64, 16, 16, 4, 2))


def test_the_fastest_tile_is_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_remembered", {})
    file, measured = tmp_path / "deep" / "tiles.json", []

    def measure(tile: Tile) -> float:
        measured.append(tile)
        return abs(tile.block_m - 30.0)

    assert tiles.remembered_tile(file, "stats many half", CHOICES, measure) == CHOICES[1]
    assert len(measured) == 3
    assert json.loads(file.read_text())["stats many half"]["tile"] == [32, 16, 16, 4, 2]
    tiles.remembered_tile(file, "stats many half", CHOICES, measure)
    monkeypatch.setattr(tiles, "_remembered", {})
    assert tiles.remembered_tile(file, "stats many half", CHOICES, measure) == CHOICES[1]
    assert len(measured) == 3, "a new process reads the file"
    assert list(file.parent.iterdir()) == [file]


def test_a_tile_without_room_is_never_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_remembered", {})
    times = {CHOICES[0]: float("inf"), CHOICES[1]: 3.0, CHOICES[2]: 4.0}
    assert tiles.remembered_tile(tmp_path / "t.json", "few", CHOICES, times.__getitem__) == CHOICES[1]


def test_a_cache_that_cannot_be_written_is_said_and_the_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_remembered", {})
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match=r"cannot be written.*PLUMBLINE_CACHE"):
        found = tiles.remembered_tile(tmp_path / "file" / "t.json", "few", CHOICES, lambda tile: tile.block_m)
    assert found == CHOICES[0]


@pytest.mark.parametrize("content", ["{broken", "[]", '{"stats many half": {"tile": [1, 2, 3, 4, 5]}}'])
def test_a_cache_that_is_broken_or_old_is_measured_anew(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "_remembered", {})
    file = tmp_path / "tiles.json"
    file.write_text(content)
    assert tiles.remembered_tile(file, "stats many half", CHOICES, lambda tile: tile.block_m) == CHOICES[0]
    assert json.loads(file.read_text())["stats many half"]["ms"] == 16
