"""Problems and comparisons that the tests of every path share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from plumbline_kernels import SparseTargets, linear_cross_entropy

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias": {"bias": True},
    "sum": {"reduction": "sum", "scale": 0.5},
    "none": {"reduction": "none", "bias": True},
    "cosine": {"normalize": True, "scale": 12.0},
    "cosine, margin": {"normalize": True, "scale": 8.0, "margin": 0.3, "bias": True},
    "prior": {"prior": True},
    "weights": {"weights": True, "bias": True},
    "smoothing": {"label_smoothing": 0.2, "bias": True},
    "z": {"z_regularization": 0.05},
    "ignored": {"ignored": True},
    "dense": {"targets": "dense", "label_smoothing": 0.1, "bias": True},
    "sparse": {"targets": "sparse", "weights": True, "ignored": True},
    "everything": {
        "normalize": True, "scale": 6.0, "margin": 0.2, "bias": True, "prior": True, "weights": True,
        "label_smoothing": 0.1, "z_regularization": 0.01, "ignored": True,
    },
}  # fmt: skip


@dataclass
class Problem:
    """The tensors of a call, and the keyword arguments that go with them."""

    features: Tensor
    weight: Tensor
    targets: Tensor | SparseTargets
    bias: Tensor | None
    scale: Tensor
    keywords: dict[str, Any]


def problem(
    n: int, d: int, k: int, dtype: torch.dtype = torch.float32, seed: int = 0, **options: Any
) -> Problem:
    """A random problem of N rows, D features and K classes; `options` as in OPTIONS."""
    rng = torch.Generator().manual_seed(seed)
    keep = ("normalize", "margin", "label_smoothing", "z_regularization", "reduction")
    keywords: dict[str, Any] = {name: options[name] for name in keep if name in options}
    if options.get("prior"):
        keywords["class_prior"] = torch.randn(k, generator=rng)
    if options.get("weights"):
        keywords["sample_weight"] = torch.rand(n, generator=rng) * (torch.arange(n) % 5 != 2)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    return Problem(
        torch.randn(n, d, generator=rng).to(dtype),
        torch.randn(k, d, generator=rng).to(dtype),
        _targets(n, k, options, rng),
        torch.randn(k, generator=rng).to(wide) if options.get("bias") else None,
        torch.tensor(options.get("scale", 1.0), dtype=wide),
        keywords,
    )


def _targets(n: int, k: int, options: dict[str, Any], rng: torch.Generator) -> Tensor | SparseTargets:
    ignored = torch.arange(n) % 3 == 1 if options.get("ignored") else torch.zeros(n, dtype=torch.bool)
    if options.get("targets") == "dense":
        return torch.softmax(torch.randn(n, k, generator=rng), dim=1)
    if options.get("targets") == "sparse":
        index = torch.randint(0, k, (n, 3), generator=rng)
        proba = torch.softmax(torch.randn(n, 3, generator=rng), dim=1)
        index[:, 2], proba[:, 2] = -100, 0.0
        proba = proba / proba.sum(1, keepdim=True)
        return SparseTargets(torch.where(ignored[:, None], -100, index), proba * ~ignored[:, None])
    hard = torch.randint(0, k, (n,), generator=rng)
    return torch.where(ignored, -100, hard)


def whole_numbers(given: Problem) -> Problem:
    """The same problem with small integers, whose logits are exact in float32 at any size below 2^24."""
    given.features, given.weight = given.features.mul(2).round(), given.weight.mul(2).round()
    return given


def outcome(given: Problem, path: str, dtype: torch.dtype | None = None, **extra: Any) -> dict[str, Tensor]:
    """Loss and gradients by one path, as float64; `dtype` recasts features and weight first."""
    leaves = {
        "features": given.features.to(dtype or given.features.dtype),
        "weight": given.weight.to(dtype or given.weight.dtype),
        "scale": given.scale.to(dtype) if dtype == torch.float64 else given.scale,
    }
    if given.bias is not None:
        leaves["bias"] = given.bias.to(dtype) if dtype == torch.float64 else given.bias
    leaves = {name: value.detach().clone().requires_grad_() for name, value in leaves.items()}
    loss = linear_cross_entropy(
        leaves["features"], leaves["weight"], given.targets, bias=leaves.get("bias"), scale=leaves["scale"],
        path=path, **given.keywords, **extra,
    )  # fmt: skip
    upstream = (
        torch.linspace(-1.0, 2.0, loss.numel(), dtype=loss.dtype).view(loss.shape) if loss.dim() else None
    )
    loss.backward(upstream)
    found = {"loss": loss.detach().double()}
    for name, leaf in leaves.items():
        assert leaf.grad is not None, name
        assert leaf.grad.dtype == leaf.dtype, name
        found[name] = leaf.grad.double()
    return found


def assert_close(found: dict[str, Tensor], truth: dict[str, Tensor], tolerance: float) -> None:
    """Each tensor within tolerance times the truth's largest entry (and times 1)."""
    assert found.keys() == truth.keys()
    for name, value in found.items():
        assert torch.isfinite(value).all(), f"{name} is not finite"
        bound = tolerance * max(1.0, truth[name].abs().max().item() if truth[name].numel() else 0.0)
        error = (value - truth[name]).abs().max().item() if value.numel() else 0.0
        assert error <= bound, f"{name}: error {error:.3g} above {bound:.3g}"


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """Every torch.empty comes filled with NaN (or the largest integer), so that what is not written shows."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(before)
