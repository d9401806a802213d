"""From a path's name to the code that computes it. Triton is imported only where it is used."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from plumbline_kernels.cpu_loss import cpu_gradients, cpu_row_losses
from plumbline_kernels.cpu_scores import cpu_scores
from plumbline_kernels.dispatch import which_path
from plumbline_kernels.problem import Goal, Gradients, Head, RowLosses, Wanted


class GradientChoice(NamedTuple):
    """What is wanted of the gradients, and how. filter: drop blocks of small entries (Triton only)."""

    wanted: Wanted
    filter: bool
    deterministic: bool


def gradients_with_loss(features: Tensor, weight: Tensor, path: str, wanted: Wanted) -> bool:
    """Whether the gradients come with the loss (nothing recomputed) or in the backward pass."""
    del weight, wanted
    return which_path(features.device, features.dtype, path).name != "triton"


def row_losses(features: Tensor, head: Head, goal: Goal, path: str) -> RowLosses:
    """Loss and logsumexp per row, by the path asked for."""
    _only_cpu(features, path)
    return cpu_row_losses(features, head, goal)


def losses_and_gradients(
    features: Tensor, head: Head, goal: Goal, row_weight: Tensor, choice: GradientChoice, path: str
) -> tuple[RowLosses, Gradients]:
    """Row losses and the gradients of sum(row_weight * loss), by the path asked for."""
    _only_cpu(features, path)
    return cpu_gradients(features, head, goal, row_weight, choice.wanted)


def gradients(
    features: Tensor,
    head: Head,
    goal: Goal,
    row_weight: Tensor,
    lse: Tensor,
    choice: GradientChoice,
    path: str,
) -> Gradients:
    """The gradients of sum(row_weight * loss), with the logsumexp already known."""
    _only_cpu(features, path)
    return cpu_gradients(features, head, goal, row_weight, choice.wanted, lse)[1]


def scores(features: Tensor, head: Head, top_m: int, path: str, out: dict[str, Tensor]) -> None:
    """Fill `out` with the scores of every row, by the path asked for."""
    _only_cpu(features, path)
    cpu_scores(features, head, top_m, out)


def _only_cpu(features: Tensor, path: str) -> None:
    if which_path(features.device, features.dtype, path).name != "cpu":
        raise ValueError(f"path={path!r} is not in this build; pass path='cpu'")
