"""One step over a million classes x 128 features: factored Z-loss and class-sampled softmax beside a full softmax.

The full softmax (its own chunked loss, one item) is the baseline; time per step and extra resident memory.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from common import environment, peak_extra_mib, write
from plumbline_backend.heads.class_sampling import Sampled
from plumbline_backend.heads.z_loss import ZLossWeights
from plumbline_kernels import linear_cross_entropy

D = 128


def main() -> None:
    """Measure and write results/million_classes.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(options.classes, D)) * 0.05
    features, targets = draw.normal(size=(64, D)), draw.integers(options.classes, size=64)
    z, sampled = ZLossWeights(weight), Sampled(weight, "softmax", 1, 8192, 0.1)
    share = np.ones(64)
    full = torch.from_numpy(weight.astype(np.float32)).requires_grad_()
    x, y = torch.from_numpy(features.astype(np.float32)), torch.from_numpy(targets)

    def softmax() -> None:
        loss = linear_cross_entropy(x[:1], full, y[:1], check_values=False)
        (gradient,) = torch.autograd.grad(loss, (full,))
        with torch.no_grad():
            full.sub_(gradient, alpha=0.1)

    tasks: dict[str, tuple[Callable[[], Any], int]] = {
        "Z-loss, one item": (lambda: z.step(features[0], int(targets[0]), 0.1), options.steps),
        "sampled softmax, 64 items, 8,192 classes": (
            lambda: sampled.step(features, targets, share, draw),
            options.steps,
        ),
        "full softmax, one item": (softmax, 3),
    }
    result = {
        "benchmark": "million_classes",
        **environment(["torch", "numpy"]),
        "threads": 1,
        "shape": [options.classes, D],
        "steps": {name: measured(step, n) for name, (step, n) in tasks.items()},
    }
    write("million_classes", result)


def measured(step: Callable[[], Any], n: int) -> dict[str, Any]:
    """Median wall-clock and CPU milliseconds of a step, and MiB that a step adds at its peak."""
    step()
    wall, cpu = [], []
    for _ in range(n):
        start, start_cpu = time.perf_counter(), time.process_time()
        step()
        wall.append(1e3 * (time.perf_counter() - start))
        cpu.append(1e3 * (time.process_time() - start_cpu))
    return {
        "median_ms": statistics.median(wall),
        "median_cpu_ms": statistics.median(cpu),
        "steps": n,
        "extra_mib": peak_extra_mib(step),
    }


if __name__ == "__main__":
    main()
