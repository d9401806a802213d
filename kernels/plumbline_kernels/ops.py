"""The custom operators: what torch.compile sees as one node each, with their shapes and their backward.

`row_losses` gives a loss per row and recomputes the logits in its backward; `total_with_gradients` computes
the gradients along with the loss, so that its backward only scales them; `scores` has no backward.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from plumbline_kernels import paths
from plumbline_kernels.problem import Goal, Gradients, Head, Wanted, compute_dtype

NO_SECOND = (
    "linear_cross_entropy has no second derivative: its gradient was differentiated again. "
    "Use F.cross_entropy(F.linear(...)) where a Hessian is needed."
)
INPUTS = ("features", "weight", "bias", "scale")


def gradients_with_loss(features: Tensor, weight: Tensor, path: str, wanted: list[bool]) -> bool:
    """Whether the path computes the gradients along with the loss, rather than in the backward pass."""
    return paths.gradients_with_loss(features, weight, path, Wanted(*wanted))


def _problem(
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    prior: Tensor | None,
    hard: Tensor | None,
    index: Tensor | None,
    proba: Tensor | None,
    normalize: bool,
    numbers: list[float],
) -> tuple[Head, Goal]:
    return Head(weight, bias, scale, prior, normalize), Goal(hard, index, proba, *numbers)


def _row_losses(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    prior: Tensor | None,
    hard: Tensor | None,
    index: Tensor | None,
    proba: Tensor | None,
    normalize: bool,
    numbers: list[float],
    path: str,
    filter_gradients: bool,
    deterministic: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss of each row, its logsumexp and what rounding took off that, (N,) in the type of the computation.

    filter_gradients and deterministic are kept for the backward pass.
    """
    del filter_gradients, deterministic
    head, goal = _problem(weight, bias, scale, prior, hard, index, proba, normalize, numbers)
    rows = paths.row_losses(features, head, goal, path)
    return rows.loss, rows.logsumexp, rows.rest


def _fake_row_losses(features: Tensor, *_rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    a, b, c = (features.new_empty(features.shape[0], dtype=compute_dtype(features.dtype)) for _ in range(3))
    return a, b, c


def _row_gradients(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    prior: Tensor | None,
    hard: Tensor | None,
    index: Tensor | None,
    proba: Tensor | None,
    normalize: bool,
    numbers: list[float],
    path: str,
    filter_gradients: bool,
    deterministic: bool,
    row_weight: Tensor,
    lse: Tensor,
    rest: Tensor,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of sum(row_weight * loss) by features, weight, bias and scale; empty where not wanted."""
    head, goal = _problem(weight, bias, scale, prior, hard, index, proba, normalize, numbers)
    choice = paths.GradientChoice(Wanted(*wanted), filter_gradients, deterministic)
    grads = paths.gradients(features, head, goal, row_weight, (lse, rest), choice, path)
    return _filled(grads, features)


def _fake_row_gradients(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    *rest: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return _fake_of((features, weight, bias, scale), rest[-1])


def _total_with_gradients(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    prior: Tensor | None,
    hard: Tensor | None,
    index: Tensor | None,
    proba: Tensor | None,
    normalize: bool,
    numbers: list[float],
    path: str,
    filter_gradients: bool,
    deterministic: bool,
    row_weight: Tensor,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """sum(row_weight * loss), and its gradients as `row_gradients` gives them."""
    head, goal = _problem(weight, bias, scale, prior, hard, index, proba, normalize, numbers)
    choice = paths.GradientChoice(Wanted(*wanted), filter_gradients, deterministic)
    rows, grads = paths.losses_and_gradients(features, head, goal, row_weight, choice, path)
    return (rows.loss * row_weight.to(rows.loss.dtype)).sum(), *_filled(grads, features)


def _fake_total_with_gradients(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    *rest: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    total = features.new_empty((), dtype=compute_dtype(features.dtype))
    return total, *_fake_of((features, weight, bias, scale), rest[-1])


def _filled(grads: Gradients, like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b, c, d = (like.new_empty(0) if grad is None else grad for grad in grads)
    return a, b, c, d


def _fake_of(inputs: tuple[Tensor | None, ...], wanted: list[bool]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    like = inputs[0]
    if like is None:
        raise ValueError("features are missing")
    a, b, c, d = (
        value.new_empty(value.shape) if want and value is not None else like.new_empty(0)
        for value, want in zip(inputs, wanted, strict=True)
    )
    return a, b, c, d


def _save_rows(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:8], *output[1:])
    ctx.options = inputs[8:13]
    ctx.mark_non_differentiable(*output[1:])


def _rows_backward(ctx: Any, by_loss: Tensor | None, *_others: Tensor | None) -> tuple[Any, ...]:
    if by_loss is None:
        return (None,) * 13
    *tensors, lse, rest = ctx.saved_tensors
    wanted = [bool(ctx.needs_input_grad[place]) for place in range(4)]
    grads = row_gradients(*tensors, *ctx.options, by_loss, lse, rest, wanted)
    return (*_kept(grads, wanted), *(None,) * 9)


def _save_total(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:])
    ctx.wanted = inputs[-1]


def _total_backward(ctx: Any, by_total: Tensor | None, *by_grads: Tensor | None) -> tuple[Any, ...]:
    if any(grad is not None for grad in by_grads):
        raise RuntimeError(NO_SECOND)
    if by_total is None:
        return (None,) * 15
    grads: tuple[Tensor, ...] = ctx.saved_tensors
    if not _is_one(by_total):
        grads = tuple(grad * by_total.to(grad.dtype) for grad in grads)
    return (*_kept(grads, ctx.wanted), *(None,) * 11)


def _refuse_second(_ctx: Any, *_grads: Tensor | None) -> tuple[Any, ...]:
    raise RuntimeError(NO_SECOND)


def _is_one(value: Tensor) -> bool:
    """Whether a plain CPU scalar is 1, which spares a pass over the gradients; False while tracing."""
    return (
        type(value) is Tensor and value.device.type == "cpu" and not value.requires_grad and value.item() == 1
    )


def _kept(grads: tuple[Tensor, ...], wanted: list[bool]) -> tuple[Tensor | None, ...]:
    return tuple(grad if want else None for grad, want in zip(grads, wanted, strict=True))


def _save_nothing(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    del ctx, inputs, output


def _scores(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    normalize: bool,
    top_m: int,
    path: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """argmax, top1, top2, entropy, logsumexp (N,), topm_values and topm_index (N, top_m)."""
    out = _score_outputs(features, top_m)
    paths.scores(features, Head(weight, bias, scale, None, normalize), top_m, path, out)
    a, b, c, d, e, f, g = out.values()
    return a, b, c, d, e, f, g


def _fake_scores(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    normalize: bool,
    top_m: int,
    path: str,
) -> tuple[Tensor, ...]:
    del weight, bias, scale, normalize, path
    return tuple(_score_outputs(features, top_m).values())


def _score_outputs(features: Tensor, top_m: int) -> dict[str, Tensor]:
    n, dtype = features.shape[0], compute_dtype(features.dtype)
    out = {"argmax": features.new_empty(n, dtype=torch.int64)}
    for name in ("top1", "top2", "entropy", "logsumexp"):
        out[name] = features.new_empty(n, dtype=dtype)
    out["topm_values"] = features.new_empty(n, top_m, dtype=dtype)
    out["topm_index"] = features.new_empty(n, top_m, dtype=torch.int64)
    return out


def _define(name: str, kernel: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Register an operator by its kernel's annotations.

    Not `torch.library.custom_op`: that imports torch._dynamo at the first call, 1.1 s and triton with it.
    """
    LIBRARY.define(name + torch.library.infer_schema(kernel, mutates_args=()))
    LIBRARY.impl(name, kernel, "CompositeExplicitAutograd")
    torch.library.register_fake(f"plumbline_kernels::{name}", fake, lib=LIBRARY)
    return getattr(torch.ops.plumbline_kernels, name).default


LIBRARY = torch.library.Library("plumbline_kernels", "DEF")
row_losses = _define("row_losses", _row_losses, _fake_row_losses)
row_gradients = _define("row_gradients", _row_gradients, _fake_row_gradients)
total_with_gradients = _define("total_with_gradients", _total_with_gradients, _fake_total_with_gradients)
scores = _define("scores", _scores, _fake_scores)
for op, backward, save in (
    ("row_losses", _rows_backward, _save_rows),
    ("total_with_gradients", _total_backward, _save_total),
    ("row_gradients", _refuse_second, _save_nothing),
):
    torch.library.register_autograd(f"plumbline_kernels::{op}", backward, setup_context=save, lib=LIBRARY)
