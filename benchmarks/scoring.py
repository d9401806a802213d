"""One-pass scores beside softmax, top-2 and entropy over full logits; time, memory and agreement.

    python benchmarks/scoring.py [--device cpu|cuda] [--rows N] [--rounds 1]

Writes results/scoring_<device>.json. The baseline takes chunks of rows where its logits would not fit.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from common import environment, interleaved, peak_extra_mib, write
from plumbline_kernels import explain, score_classes

CLASSES = {"cpu": (100, 10_000), "cuda": (1000, 100_000)}
ROWS = {"cpu": 1_000_000, "cuda": 10_000_000}
FEATURES = 384
BASELINE_GIB = {"cpu": 4, "cuda": 16}  # the most that the baseline's logits may take at a time


def main() -> None:
    """Measure both numbers of classes and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--rows", type=int, default=0, help="of the pool")
    parser.add_argument("--rounds", type=int, default=3, help="the heaviest case on a CPU runs once")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    device, lines = chosen.device, []
    for k in CLASSES[device]:
        n = chosen.rows or ROWS[device]
        rounds = 1 if device == "cpu" and n * k > 10**9 else chosen.rounds
        lines += measure(n, k, device, rounds)
    head = environment(["torch", "triton"])
    if device == "cuda":
        head["device"] = torch.cuda.get_device_name()
    head |= {"threads": chosen.threads, "path": explain(device)}
    write(f"scoring_{device}", head | {"results": lines})


def full(x: Tensor, w: Tensor) -> tuple[Tensor, ...]:
    """The baseline: all logits, softmax, top-2, entropy and logsumexp."""
    logits = x @ w.T
    proba = torch.softmax(logits, dim=1)
    top, index = proba.topk(2, dim=1)
    entropy = torch.special.entr(proba).sum(1)
    return index[:, 0], top[:, 0], top[:, 1], entropy, torch.logsumexp(logits, dim=1)


def chunked(
    function: Callable[..., tuple[Tensor, ...]], x: Tensor, w: Tensor, rows: int
) -> tuple[Tensor, ...]:
    """The baseline over chunks of rows."""
    parts = [function(x[start : start + rows], w) for start in range(0, len(x), rows)]
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def measure(n: int, k: int, device: str, rounds: int) -> list[dict[str, Any]]:
    """A line per contestant for n rows and k classes."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    x = torch.randn(n, FEATURES, device=device, dtype=dtype)
    w = (0.1 * torch.randn(k, FEATURES, device=device)).to(dtype)
    rows = max(1, min(n, BASELINE_GIB[device] * 2**30 // (4 * k)))
    tasks: dict[str, Callable[[], Any]] = {
        "plumbline": lambda: score_classes(x, w, check_values=False),
        "full logits": lambda: chunked(full, x, w, rows),
    }
    if device == "cuda":
        torch._dynamo.reset()
        compiled = torch.compile(full, dynamic=False)
        rows = next(size for size in range(rows, 0, -1) if n % size == 0)  # one shape, compiled once
        tasks["full logits, compiled"] = lambda: chunked(compiled, x, w, rows)
    seconds, peaks = (time_cpu if device == "cpu" else time_gpu)(tasks, rounds)
    checked = min(n, 20_000 if k <= 1000 else 2_000)  # enough rows for the tiles that were timed
    ours, truth = score_classes(x[:checked], w), full(x[:checked].double(), w.double())
    error = max(float((a.double() - b).abs().max()) for a, b in zip(ours[1:5], truth[1:], strict=True))
    shape = {"rows": n, "features": FEATURES, "classes": k, "baseline_rows_at_a_time": rows}
    return [
        {**shape, "name": name, "rounds": rounds, "seconds": seconds[name], "peak_extra_mib": peaks[name]}
        | ({"largest_error_against_float64": error} if name == "plumbline" else {})
        for name in tasks
    ]


def time_cpu(
    tasks: dict[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Wall and CPU seconds, and peak resident MiB."""
    timing = interleaved(tasks, rounds)
    seconds = {
        name: {"wall": round(value.wall_s, 3), "cpu": round(value.cpu_s, 3)} for name, value in timing.items()
    }
    return seconds, {name: peak_extra_mib(task) for name, task in tasks.items()}


def time_gpu(
    tasks: dict[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Median wall seconds of synchronised calls, interleaved, and peak allocated MiB."""
    peaks: dict[str, float | None] = {}

    def synchronised(name: str) -> None:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        tasks[name]()
        torch.cuda.synchronize()
        peaks[name] = (torch.cuda.max_memory_allocated() - before) / 2**20

    timing = interleaved({name: partial(synchronised, name) for name in tasks}, rounds)
    return {name: {"wall": round(value.wall_s, 4)} for name, value in timing.items()}, peaks


if __name__ == "__main__":
    main()
