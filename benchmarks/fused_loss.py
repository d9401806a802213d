"""The fused loss, forward and backward, beside plain PyTorch and its peers; time, memory and error together.

    python benchmarks/fused_loss.py [--device cpu|cuda] [--shapes 0,1] [--rounds 3]

Writes results/fused_loss_<device>.json. Peers that are not installed are listed as absent.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from common import RESULTS, environment, interleaved, peak_extra_mib, write
from plumbline_kernels import explain, linear_cross_entropy

CPU_SHAPES = ((16384, 384, 10), (16384, 384, 1000), (4096, 768, 100_000))
GPU_SHAPES = (
    (8192, 2304, 256_000),
    (65536, 384, 100),
    (65536, 768, 1000),
    (16384, 1024, 100_000),
    (8192, 768, 1_000_000),
)
PEAK_FLOPS = 790e12  # bfloat16 on an H200, measured; for the share of the matrix-unit floor
PEERS = {
    "cut-cross-entropy": ("cut_cross_entropy", "linear_cross_entropy"),
    "liger": ("liger_kernel.transformers.functional", "liger_fused_linear_cross_entropy"),
    "quack": ("quack.linear_cross_entropy", "chunked_linear_cross_entropy"),
}
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


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
    losses, absent = contestants(chosen.device)
    measure = on_cpu if chosen.device == "cpu" else on_gpu
    lines = [line for place in places for line in measure(shapes[place], losses, chosen.rounds)]
    rows = [line | {"threads": chosen.threads, "rounds": chosen.rounds} for line in lines]
    file = RESULTS / f"fused_loss_{chosen.device}.json"
    if chosen.append and file.exists():
        rows = json.loads(file.read_text())["results"] + rows
    head = environment(["torch", "triton", "cut-cross-entropy", "liger-kernel", "quack-kernels"])
    if chosen.device == "cuda":
        head["device"] = torch.cuda.get_device_name()
    head |= {"path": explain(chosen.device), "absent": absent}
    write(f"fused_loss_{chosen.device}", head | {"results": rows})


def plain(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """The baseline: all logits, in the inputs' type."""
    return cross_entropy(linear(x, w), y)


def contestants(device: str) -> tuple[dict[str, Loss], list[str]]:
    """Ours, the baselines, and the peers that are installed; and the names of those that are not."""
    losses: dict[str, Loss] = {
        "plumbline": lambda x, w, y: linear_cross_entropy(x, w, y, check_values=False),
        "plain": plain,
    }
    absent = []
    if device == "cuda":
        losses["plumbline cosine"] = lambda x, w, y: linear_cross_entropy(
            x, w, y, normalize=True, scale=16.0, check_values=False
        )
        losses["torch.compile"] = torch.compile(plain)
    for name, (module, attribute) in PEERS.items():
        if device != "cuda" or find_spec(module.split(".")[0]) is None:
            absent.append(name)
        else:
            function = getattr(import_module(module), attribute)
            losses[name] = peer(name, function)
    return losses, absent


def peer(name: str, function: Any) -> Loss:
    """A peer's call with our order of arguments."""
    if name == "liger":
        return lambda x, w, y: function(x, w, y)
    if name == "quack":
        return lambda x, w, y: function(x, w, y, reduction="mean")
    return lambda x, w, y: function(x, w, y)


def inputs(shape: tuple[int, int, int], device: str, frozen: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Fresh random features, weight and targets."""
    n, d, k = shape
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    x = torch.randn(n, d, device=device, dtype=dtype, requires_grad=not frozen)
    w = (0.05 * torch.randn(k, d, device=device)).to(dtype).requires_grad_()
    return x, w, torch.randint(0, k, (n,), device=device)


def step(loss: Loss, x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """Forward and backward; returns the weight's gradient."""
    x.grad = w.grad = None
    loss(x, w, y).backward()
    if w.grad is None:
        raise ValueError("no gradient reached the weight")
    return w.grad


def gradient_error(loss: Loss, shape: tuple[int, int, int], device: str) -> float:
    """Relative error of the weight's gradient against float64, on at most 512 rows and 8,192 classes."""
    n, d, k = shape
    x, w, y = inputs((min(n, 512), d, min(k, 8192)), device, True)
    found = step(loss, x, w, y).double()
    exact = w.detach().double().requires_grad_()
    truth = step(plain, x.detach().double(), exact, y)
    return float((found - truth).norm() / truth.norm())


def on_cpu(shape: tuple[int, int, int], losses: dict[str, Loss], rounds: int) -> list[dict[str, Any]]:
    """Wall and CPU seconds, peak memory beside the gradients, and error, frozen features and not."""
    lines = []
    heavy = shape[0] * shape[1] * shape[2] > 10**11
    for frozen in (True, False):
        if heavy and frozen:
            continue
        x, w, y = inputs(shape, "cpu", frozen)
        tasks = {name: partial(step, loss, x, w, y) for name, loss in losses.items()}
        timing = interleaved(tasks, 1 if heavy else rounds)
        kept = (w.numel() + (0 if frozen else x.numel())) * 4 / 2**20
        for name, loss in losses.items():
            x.grad = w.grad = None
            peak = peak_extra_mib(tasks[name])
            lines.append({
                "shape": shape, "frozen_features": frozen, "name": name,
                "wall_ms": round(timing[name].wall_s * 1e3, 1), "cpu_ms": round(timing[name].cpu_s * 1e3, 1),
                "peak_extra_mib": None if peak is None else round(peak - kept, 1),
                "gradient_error": 0.0 if name == "plumbline cosine" else gradient_error(loss, shape, "cpu"),
            })  # fmt: skip
    return lines


def on_gpu(shape: tuple[int, int, int], losses: dict[str, Loss], rounds: int) -> list[dict[str, Any]]:
    """Milliseconds of forward and of both, peak memory, share of the floor, error; one that fails says why."""
    lines = []
    n, d, k = shape
    for frozen in (True, False):
        for name, loss in losses.items():
            line: dict[str, Any] = {"shape": shape, "frozen_features": frozen, "name": name}
            try:
                forward = _gpu_ms(lambda x, w, y, loss=loss: _forward(loss, x, w, y), shape, frozen, rounds)
                both = _gpu_ms(lambda x, w, y, loss=loss: step(loss, x, w, y), shape, frozen, rounds)
                floor_ms = (4 if frozen else 6) * n * d * k / PEAK_FLOPS * 1e3
                line |= {"forward_ms": forward[0], "both_ms": both[0], "peak_extra_mib": both[1]}
                line["three_products_floor_ms"] = round(floor_ms, 4)
                line["share_of_floor"] = round(floor_ms / both[0], 3)
                if name != "plumbline cosine":
                    line["gradient_error"] = gradient_error(loss, shape, "cuda")
            except (RuntimeError, TypeError) as problem:
                line["failed"] = str(problem).splitlines()[0][:200]
            torch.cuda.empty_cache()
            lines.append(line)
    return lines


def _forward(loss: Loss, x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return loss(x, w, y)


def _gpu_ms(
    task: Callable[[Tensor, Tensor, Tensor], Tensor], shape: tuple[int, int, int], frozen: bool, rounds: int
) -> tuple[float, float]:
    """The median over rounds, each on inputs drawn anew, and the peak in MiB above the inputs."""
    times, peak = [], 0.0
    for turn in range(rounds + 2):
        x, w, y = inputs(shape, "cuda", frozen)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        task(x, w, y)
        end.record()
        end.synchronize()
        if turn >= 2:
            times.append(begin.elapsed_time(end))
            peak = max(peak, (torch.cuda.max_memory_allocated() - before) / 2**20)
    return round(statistics.median(times), 4), round(peak, 1)


if __name__ == "__main__":
    main()
