"""The fused loss, forward and backward, beside plain PyTorch and its peers; time, memory and error together.

    python benchmarks/fused_loss.py [--device cpu|cuda] [--shapes 0,1] [--rounds 3]

Writes results/fused_loss_<device>.json after every shape. Peers that are not installed are listed as absent; on a
machine with a GPU `pip install --no-deps cut-cross-entropy==25.1.1 liger-kernel==0.8.5 quack-kernels==0.2.2` brings
them (quack wants nvidia-cutlass-dsl==4.2.1 beside it).
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from common import RESULTS, environment, interleaved, peak_extra_mib, write
from fused_loss_gpu import COSINE_SCALE, Loss, measured, verdicts
from plumbline_kernels import explain, linear_cross_entropy

CPU_SHAPES = ((16384, 384, 10), (16384, 384, 1000), (4096, 768, 100_000))
GPU_SHAPES = (
    (8192, 2304, 256_000),
    (65536, 384, 100),
    (65536, 768, 1000),
    (16384, 1024, 100_000),
    (8192, 768, 1_000_000),
)
PEERS = {
    "cut-cross-entropy": ("cut_cross_entropy", "linear_cross_entropy"),
    "liger": ("liger_kernel.transformers.functional", "liger_fused_linear_cross_entropy"),
    "quack": ("quack.linear_cross_entropy", "chunked_linear_cross_entropy"),
}


def main() -> None:
    """Measure the shapes of the device and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--shapes", default="", help="places in the list of shapes, such as 0,1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--append", action="store_true", help="keep the lines that the result file has")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    shapes = CPU_SHAPES if chosen.device == "cpu" else GPU_SHAPES
    places = [int(place) for place in chosen.shapes.split(",")] if chosen.shapes else range(len(shapes))
    file = RESULTS / f"fused_loss_{chosen.device}.json"
    rows = json.loads(file.read_text())["results"] if chosen.append and file.exists() else []
    head = environment(["torch", "triton", "cut-cross-entropy", "liger-kernel", "quack-kernels"])
    if chosen.device == "cuda":
        head["device"] = torch.cuda.get_device_name()
    measure = on_cpu if chosen.device == "cpu" else measured
    for place in places:
        losses, absent = contestants(chosen.device)
        lines = measure(shapes[place], losses, chosen.rounds)
        rows += [{"threads": chosen.threads, "rounds": chosen.rounds} | line for line in lines]
        document = head | {"path": explain(chosen.device), "absent": absent, "results": rows}
        write(file.stem, document | ({"verdicts": verdicts(rows)} if chosen.device == "cuda" else {}))


def plain(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """The baseline: all logits, in the inputs' type."""
    return cross_entropy(linear(x, w), y)


def contestants(device: str) -> tuple[dict[str, Loss], list[str]]:
    """Ours, the baselines, and the peers that are installed; and the names of those that are not.

    Made anew for every shape: what torch.compile learned of one shape would make it guard and guess at the next.
    """
    losses: dict[str, Loss] = {
        "plumbline": lambda x, w, y: linear_cross_entropy(x, w, y, check_values=False),
        "plain": plain,
    }
    absent = []
    if device == "cuda":
        losses["plumbline cosine"] = lambda x, w, y: linear_cross_entropy(
            x, w, y, normalize=True, scale=COSINE_SCALE, check_values=False
        )
        torch._dynamo.reset()
        losses["torch.compile"] = torch.compile(plain, dynamic=False)
    for name, (module, attribute) in PEERS.items():
        if device != "cuda" or find_spec(module.split(".")[0]) is None:
            absent.append(name)
            continue
        try:
            losses[name] = peer(name, getattr(import_module(module), attribute))
        except (ImportError, AttributeError) as problem:
            absent.append(f"{name}: {problem}")
    return losses, absent


def peer(name: str, function: Any) -> Loss:
    """A peer's call with our order of arguments."""
    if name == "liger":
        return lambda x, w, y: function(x, w, y)
    if name == "quack":
        return lambda x, w, y: function(x, w, y, reduction="mean")
    return lambda x, w, y: function(x, w, y)


def inputs(shape: tuple[int, int, int], frozen: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Random float32 features, weight and targets on the CPU."""
    n, d, k = shape
    x = torch.randn(n, d, requires_grad=not frozen)
    w = (0.05 * torch.randn(k, d)).requires_grad_()
    return x, w, torch.randint(0, k, (n,))


def step(loss: Loss, x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """Forward and backward; returns the weight's gradient."""
    x.grad = w.grad = None
    loss(x, w, y).backward()
    if w.grad is None:
        raise ValueError("no gradient reached the weight")
    return w.grad


def gradient_error(loss: Loss, shape: tuple[int, int, int]) -> float:
    """Relative error of the weight's gradient against float64, on at most 512 rows and 8,192 classes."""
    n, d, k = shape
    x, w, y = inputs((min(n, 512), d, min(k, 8192)), True)
    found = step(loss, x, w, y).double()
    exact = w.detach().double().requires_grad_()
    truth = step(plain, x.detach().double(), exact, y)
    return float((found - truth).norm() / truth.norm())


def on_cpu(shape: tuple[int, int, int], losses: dict[str, Loss], rounds: int) -> list[dict[str, Any]]:
    """Wall and CPU seconds, peak memory beside the gradients, and error, frozen features and not.

    The heaviest shape runs once, and says so. The peak is read in a process of its own: in one that has worked
    before, freed memory is used again and hides what a call needs.
    """
    lines = []
    rounds = 1 if shape[0] * shape[1] * shape[2] > 10**11 else rounds
    for frozen in (True, False):
        x, w, y = inputs(shape, frozen)
        tasks = {name: partial(step, loss, x, w, y) for name, loss in losses.items()}
        timing = interleaved(tasks, rounds)
        for name, loss in losses.items():
            lines.append({
                "shape": shape, "frozen_features": frozen, "name": name, "rounds": rounds,
                "wall_ms": round(timing[name].wall_s * 1e3, 1), "cpu_ms": round(timing[name].cpu_s * 1e3, 1),
                "peak_extra_mib": in_a_process_of_its_own(name, shape, frozen),
                "gradient_error": gradient_error(loss, shape),
            })  # fmt: skip
    return lines


def in_a_process_of_its_own(name: str, shape: tuple[int, int, int], frozen: bool) -> float | None:
    """Peak MiB of one call above its inputs and its gradients, after a small call that loads the code."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, name, shape, frozen, torch.get_num_threads()).result()


def _peak(name: str, shape: tuple[int, int, int], frozen: bool, threads: int) -> float | None:
    torch.set_num_threads(threads)
    loss = contestants("cpu")[0][name]
    step(loss, *inputs((8, shape[1], 16), frozen))
    x, w, y = inputs(shape, frozen)
    peak = peak_extra_mib(partial(step, loss, x, w, y))
    kept = (w.numel() + (0 if frozen else x.numel())) * 4 / 2**20
    return None if peak is None else round(peak - kept, 1)


if __name__ == "__main__":
    main()
