"""From a path's name to the code that computes it. Triton is imported only where it is used."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from plumbline_kernels.cpu_loss import cpu_gradients, cpu_row_losses
from plumbline_kernels.cpu_scores import cpu_scores
from plumbline_kernels.dispatch import which_path
from plumbline_kernels.problem import Goal, Gradients, Head, RowLosses, Wanted
from plumbline_kernels.tiles import FEW_CLASSES


class GradientChoice(NamedTuple):
    """What is wanted of the gradients, and how. filter: drop blocks of small entries (Triton only)."""

    wanted: Wanted
    filter: bool
    deterministic: bool


def gradients_with_loss(features: Tensor, weight: Tensor, path: str, wanted: Wanted) -> bool:
    """Whether the gradients come with the loss (nothing recomputed) or in the backward pass.

    On a GPU only where one kernel has all classes in a tile and the features are frozen: the upstream factor
    then multiplies the small weight gradient alone. A traced call on a GPU takes the backward pass, which is
    right for every path, rather than ask the device.
    """
    if torch.compiler.is_compiling():
        return features.device.type == "cpu" and path in ("auto", "cpu")
    if not _is_triton(features, path):
        return True
    return weight.shape[0] <= FEW_CLASSES and not wanted.features


def row_losses(features: Tensor, head: Head, goal: Goal, path: str) -> RowLosses:
    """Loss and logsumexp per row, by the path asked for."""
    if _is_triton(features, path):
        from plumbline_kernels.triton_path import triton_row_losses

        return triton_row_losses(features, head, goal)
    return cpu_row_losses(features, head, goal)


def losses_and_gradients(
    features: Tensor, head: Head, goal: Goal, row_weight: Tensor, choice: GradientChoice, path: str
) -> tuple[RowLosses, Gradients]:
    """Row losses and the gradients of sum(row_weight * loss), by the path asked for."""
    if _is_triton(features, path):
        from plumbline_kernels.triton_path import triton_losses_and_gradients

        return triton_losses_and_gradients(
            features, head, goal, row_weight, choice.wanted, choice.deterministic
        )
    return cpu_gradients(features, head, goal, row_weight, choice.wanted)


def gradients(
    features: Tensor,
    head: Head,
    goal: Goal,
    row_weight: Tensor,
    known: tuple[Tensor, Tensor],
    choice: GradientChoice,
    path: str,
) -> Gradients:
    """The gradients of sum(row_weight * loss), with the logsumexp and its rest already known."""
    if _is_triton(features, path):
        from plumbline_kernels.triton_path import triton_gradients

        return triton_gradients(features, head, goal, row_weight, known, *choice)
    return cpu_gradients(features, head, goal, row_weight, choice.wanted, known)[1]


def scores(features: Tensor, head: Head, top_m: int, path: str, out: dict[str, Tensor]) -> None:
    """Fill `out` with the scores of every row, by the path asked for."""
    if _is_triton(features, path):
        from plumbline_kernels.triton_score_path import triton_scores

        triton_scores(features, head, top_m, out)
    else:
        cpu_scores(features, head, top_m, out)


def _is_triton(features: Tensor, path: str) -> bool:
    return which_path(features.device, features.dtype, path).name == "triton"
