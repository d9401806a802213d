"""Cross-entropy over linear or cosine logits that are never all in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from plumbline_kernels import checks, ops
from plumbline_kernels.dispatch import Path, which_path
from plumbline_kernels.problem import Goal, Head, SparseTargets, compute_dtype
from plumbline_kernels.reference import reference_row_losses

CALL = "linear_cross_entropy"


def linear_cross_entropy(
    features: Tensor,
    weight: Tensor,
    targets: Tensor | SparseTargets,
    *,
    bias: Tensor | None = None,
    normalize: bool = False,
    scale: float | Tensor = 1.0,
    margin: float = 0.0,
    class_prior: Tensor | None = None,
    sample_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    z_regularization: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
    filter_gradients: bool = False,
    deterministic: bool = True,
    check_values: bool = True,
    path: Path = "auto",
) -> Tensor:
    """`F.cross_entropy(scale * F.linear(features, weight) + bias + class_prior, targets)`, without the logits.

    features (N, D), weight (K, D): float64, float32, bfloat16 or float16, both of one type, any strides.
    targets: (N,) int64 classes; or (N, K) probabilities; or `SparseTargets(classes, probability)`.
    bias (K,). normalize: logits are scale * cosine; a vector shorter than 1e-12 has cosine 0 and gradient 0.
    scale: a number above 0 or a 0-dim tensor, which may require a gradient.
    margin >= 0: taken off the target's cosine before the scale (CosFace); needs normalize and hard targets.
    class_prior (K,): added to the logits, for instance the classes' log frequencies (logit adjustment).
    sample_weight (N,): >= 0. label_smoothing in [0, 1): that share of every target is spread over all classes.
    z_regularization >= 0: adds that times logsumexp squared. Rows whose class is ignore_index count for nothing.
    reduction: "mean" divides by the sum of the weights of rows that are not ignored; where that sum is 0 the
    mean is 0, with gradients of 0. "sum", or "none" for (N,).
    filter_gradients: on the Triton path leave out blocks of the softmax's gradient in which every entry is
    below the precision of the features' type; see docs/kernels.md for the bound. It stays off where it would be
    unsound: with label smoothing, sample weights or probabilities as targets.
    deterministic: bitwise the same result every time. With False the Triton path may add partial sums of a
    gradient with atomics, whose order varies; the other paths take no notice.
    check_values: look inside the tensors too; False spares one read of them (and on a GPU a wait), for loops
    over data that was checked once, and is the rule under torch.compile. Then NaN comes out where NaN went in,
    where logits overflow, and for a class outside 0..K-1. path: "auto", or one by name; see `which_path`.

    Returns a scalar or (N,), float64 for float64 and float32 otherwise. Under autocast features and weight are
    taken in autocast's type. Gradients flow to features, weight, bias and scale; there is no second derivative.
    Raises ValueError with every mistake and its numbers before anything is computed; only logits that overflow
    are noticed afterwards.
    """
    sparse = isinstance(targets, tuple)
    found = checks.matrix_problems(features, weight)
    if not found:
        found += checks.head_problems(features, weight, bias, scale)
        found += checks.target_problems(features, weight, targets, sparse)
        found += checks.constant_problems(features, weight, class_prior, sample_weight)
        hard = not sparse and isinstance(targets, Tensor) and not targets.is_floating_point()
        options = (margin, label_smoothing, z_regularization, reduction, ignore_index)
        found += checks.option_problems(hard, normalize, *options)
    checks.refuse(found, CALL)
    features, weight = _autocast(features, weight)
    chosen = path if torch.compiler.is_compiling() else which_path(features.device, features.dtype, path).name
    goal = _split_targets(targets, ignore_index)
    scale_tensor = _as_tensor(scale, features)
    checked = check_values and not torch.compiler.is_compiling()
    if checked:
        _check_values(features, weight, bias, scale_tensor, class_prior, sample_weight, goal)
    row_weight = _row_weight(features, goal, sample_weight, reduction)
    if not checked:
        row_weight = _poisoned(row_weight, goal, weight.shape[0])
    numbers = [float(margin), float(label_smoothing), float(z_regularization)]
    if chosen == "reference":
        head = Head(weight, bias, scale_tensor, class_prior, normalize)
        rows = reference_row_losses(features, head, Goal(*goal, *numbers)).loss * row_weight
        loss = (rows if reduction == "none" else rows.sum()).to(row_weight.dtype)
        return _not_overflown(loss, features, weight, scale_tensor) if checked else loss
    unsound = label_smoothing > 0 or sample_weight is not None or goal[0] is None
    arguments = (
        features,
        weight,
        bias,
        scale_tensor,
        class_prior,
        *goal,
        normalize,
        numbers,
        path,
        filter_gradients and not unsound,
        deterministic,
    )
    loss = _reduced(arguments, row_weight, reduction)
    return _not_overflown(loss, features, weight, scale_tensor) if checked else loss


def _not_overflown(loss: Tensor, features: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The loss, or a ValueError where finite inputs made logits that are not."""
    checks.refuse(checks.overflow_problems(loss.detach(), features, weight, scale), CALL)
    return loss


def _poisoned(
    row_weight: Tensor, goal: tuple[Tensor | None, Tensor | None, Tensor | None], n_classes: int
) -> Tensor:
    """NaN as the weight of rows with a class outside 0..K-1: unchecked labels make a loss that nobody can overlook."""
    for classes in goal[:2]:
        if classes is not None:
            outside = (classes < -1) | (classes >= n_classes)
            outside = outside if classes.dim() == 1 else outside.any(1)
            row_weight = torch.where(outside, torch.nan, row_weight)
    return row_weight


def _reduced(arguments: tuple[Any, ...], row_weight: Tensor, reduction: str) -> Tensor:
    """Call the operator that suits the reduction and the gradients that are asked for."""
    inputs = arguments[:4]
    wanted = [value is not None and value.requires_grad and torch.is_grad_enabled() for value in inputs]
    features, weight, path = arguments[0], arguments[1], arguments[10]
    if reduction != "none" and any(wanted) and ops.gradients_with_loss(features, weight, path, wanted):
        return ops.total_with_gradients(*arguments, row_weight, wanted)[0]
    rows = ops.row_losses(*arguments)[0] * row_weight
    return rows if reduction == "none" else rows.sum()


def _autocast(features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    kind = features.device.type
    if not torch.is_autocast_enabled(kind) or features.dtype == torch.float64:
        return features, weight
    dtype = torch.get_autocast_dtype(kind)
    return features.to(dtype), weight.to(dtype)


def _split_targets(
    targets: Tensor | SparseTargets, ignore_index: int
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """(hard, index, proba), with ignored rows and padding as -1."""
    if isinstance(targets, tuple):
        return None, checks.shift_ignored(targets[0], ignore_index), targets[1].detach()
    if targets.is_floating_point():
        return None, None, targets.detach()
    return checks.shift_ignored(targets, ignore_index), None, None


def _as_tensor(scale: float | Tensor, like: Tensor) -> Tensor:
    if isinstance(scale, Tensor):
        return scale
    return torch.full((), float(scale), dtype=compute_dtype(like.dtype), device=like.device)


@torch.no_grad()
def _check_values(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    class_prior: Tensor | None,
    sample_weight: Tensor | None,
    goal: tuple[Tensor | None, Tensor | None, Tensor | None],
) -> None:
    found = checks.finite_problems(
        features=features,
        weight=weight,
        bias=bias,
        scale=scale,
        class_prior=class_prior,
        sample_weight=sample_weight,
    )
    if not found:
        found += checks.scale_value_problems(scale)
        found += checks.weight_value_problems(class_prior, sample_weight)
        found += checks.target_value_problems(*goal, n_classes=weight.shape[0])
    checks.refuse(found, CALL)


def _row_weight(
    features: Tensor,
    goal: tuple[Tensor | None, Tensor | None, Tensor | None],
    sample_weight: Tensor | None,
    reduction: str,
) -> Tensor:
    """(N,) what each row's loss is multiplied with: 0 when ignored, over the sum of weights for a mean."""
    hard, index, _ = goal
    dtype = compute_dtype(features.dtype)
    kept = torch.ones(features.shape[0], dtype=dtype, device=features.device)
    if hard is not None:
        kept = (hard >= 0).to(dtype)
    elif index is not None:
        kept = (index >= 0).any(1).to(dtype)
    if sample_weight is not None:
        kept = torch.where(kept > 0, sample_weight.to(dtype), 0.0)
    if reduction != "mean":
        return kept
    total = kept.sum()
    return kept / torch.where(total > 0, total, 1.0)
