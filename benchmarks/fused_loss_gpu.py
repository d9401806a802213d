"""The GPU part of fused_loss.py: one shape at a time, every contestant interleaved, errors at the timed shape."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear, normalize

PEAK_FLOPS = 790e12  # bfloat16 on an H200, measured; for the share of the matrix-unit floor
COSINE_SCALE = 16.0
EXACT_ROWS = 1024  # of float64 logits at a time: 8 GB at a million classes
FLUSH_MIB = 256  # written before every run, so that nothing is left of the inputs in the L2 cache
Shape = tuple[int, int, int]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def inputs(shape: Shape, frozen: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Fresh random bfloat16 features and weight, and targets."""
    n, d, k = shape
    x = torch.randn(n, d, device="cuda", dtype=torch.bfloat16, requires_grad=not frozen)
    w = (0.05 * torch.randn(k, d, device="cuda")).to(torch.bfloat16).requires_grad_()
    return x, w, torch.randint(0, k, (n,), device="cuda")


def measured(shape: Shape, losses: dict[str, Loss], rounds: int) -> list[dict[str, Any]]:
    """A line per contestant, with frozen features and without; one that fails says why and the others go on."""
    return [line for frozen in (True, False) for line in _lines(shape, frozen, losses, rounds)]


def _lines(shape: Shape, frozen: bool, losses: dict[str, Loss], rounds: int) -> list[dict[str, Any]]:
    lines = {name: {"shape": shape, "frozen_features": frozen, "name": name} for name in losses}
    alive = dict(losses)
    for kind, task in (("forward", _forward), ("both", _both)):
        times: dict[str, list[float]] = {name: [] for name in alive}
        for turn in range(rounds + 2):
            for name, loss in list(alive.items()):
                try:
                    ms, peak = _run(partial(task, loss), inputs(shape, frozen))
                except Exception as problem:
                    lines[name]["failed"] = f"{type(problem).__name__}: {str(problem)[:200]}"
                    del alive[name]
                    continue
                finally:
                    torch.cuda.empty_cache()
                if turn >= 2:
                    times[name].append(ms)
                    lines[name][f"{kind}_peak_extra_mib"] = round(peak, 1)
        for name in alive:
            lines[name] |= _summary(kind, times[name], shape, frozen)
    for name, loss in alive.items():
        lines[name] |= errors(loss, shape, frozen, cosine=name.endswith("cosine"))
    return list(lines.values())


def _summary(kind: str, times: list[float], shape: Shape, frozen: bool) -> dict[str, Any]:
    n, d, k = shape
    products = {"forward": 2, "both": 4 if frozen else 6}[kind]
    floor_ms = products * n * d * k / PEAK_FLOPS * 1e3
    middle = statistics.median(times)
    return {
        f"{kind}_ms": round(middle, 4),
        f"{kind}_spread_ms": [round(min(times), 4), round(max(times), 4)],
        f"{kind}_floor_ms": round(floor_ms, 4),
        f"{kind}_share_of_floor": round(floor_ms / middle, 3),
    }


def _run(task: Callable[..., object], given: tuple[Tensor, ...]) -> tuple[float, float]:
    """Milliseconds between two events, and the peak in MiB above the inputs."""
    torch.empty(FLUSH_MIB * 2**18, dtype=torch.float32, device="cuda").zero_()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    kept = task(*given)
    end.record()
    end.synchronize()
    del kept
    return begin.elapsed_time(end), (torch.cuda.max_memory_allocated() - before) / 2**20


def _forward(loss: Loss, x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return loss(x, w, y)


def _both(loss: Loss, x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    value = loss(x, w, y)
    value.backward()
    return value


def errors(loss: Loss, shape: Shape, frozen: bool, cosine: bool) -> dict[str, float]:
    """Relative errors of loss and gradients at the timed shape, against float64 over the same bfloat16 inputs."""
    torch.manual_seed(1)
    x, w, y = inputs(shape, frozen)
    value = _both(loss, x, w, y)
    found = {"loss": value.detach(), "weight": w.grad, "features": x.grad}
    truth = exact(x, w, y, cosine)
    return {
        f"{name}_error": float((part.double() - truth[name]).norm() / truth[name].norm())
        for name, part in found.items()
        if part is not None
    }


def exact(x: Tensor, w: Tensor, y: Tensor, cosine: bool) -> dict[str, Tensor]:
    """Loss and gradients in float64, a block of rows at a time."""
    wide_x = x.detach().double().requires_grad_(x.requires_grad)
    wide_w = w.detach().double().requires_grad_()
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    for rows in _blocks(len(x)):
        a, b = (normalize(wide_x[rows]), normalize(wide_w)) if cosine else (wide_x[rows], wide_w)
        logits = linear(a, b) * (COSINE_SCALE if cosine else 1.0)
        part = cross_entropy(logits, y[rows], reduction="sum") / len(x)
        part.backward()
        total += part.detach()
    found = {"loss": total, "weight": wide_w.grad}
    return found | ({"features": wide_x.grad} if x.requires_grad else {})


def _blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, EXACT_ROWS):
        yield slice(start, min(start + EXACT_ROWS, n))


def verdicts(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per shape and kind: ours beside the fastest rival and Cut Cross-Entropy, and what cosines cost."""
    found = []
    for shape, frozen in dict.fromkeys((tuple(line["shape"]), line["frozen_features"]) for line in lines):
        here = {
            line["name"]: line
            for line in lines
            if (tuple(line["shape"]), line["frozen_features"]) == (shape, frozen) and "both_ms" in line
        }
        ours = here.get("plumbline")
        if ours is None:
            continue
        rivals = {name: line for name, line in here.items() if not name.startswith("plumbline")}
        best = min(rivals, key=lambda name: rivals[name]["both_ms"], default=None)
        line: dict[str, Any] = {"shape": shape, "frozen_features": frozen, "fastest_rival": best}
        if best is not None:
            line["rival_over_ours"] = round(rivals[best]["both_ms"] / ours["both_ms"], 3)
        if "cut-cross-entropy" in here:
            theirs = here["cut-cross-entropy"]["both_peak_extra_mib"]
            line["memory_over_cut_cross_entropy"] = round(ours["both_peak_extra_mib"] / theirs, 3)
        if "plumbline cosine" in here:
            line["cosine_over_linear"] = round(here["plumbline cosine"]["both_ms"] / ours["both_ms"], 3)
        found.append(line)
    return found
