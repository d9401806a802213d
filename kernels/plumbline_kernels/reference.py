"""The plain form: all logits at once, in float64, derivatives by autograd. Slow, large, and the yardstick."""

from __future__ import annotations

import torch
from torch import Tensor

from plumbline_kernels.problem import Goal, Head, RowLosses, compute_dtype, inverse_norms


def reference_logits(features: Tensor, head: Head) -> Tensor:
    """(N, K) float64 logits before any margin; differentiable."""
    x, w = features.double(), head.weight.double()
    if head.normalize:
        x = x * inverse_norms(x, torch.float64)[:, None]
        w = w * inverse_norms(w, torch.float64)[:, None]
    logits = head.scale.double() * (x @ w.T)
    offset = head.offset(torch.float64)
    return logits if offset is None else logits + offset


def target_distribution(goal: Goal, n_classes: int) -> Tensor:
    """(N, K) float64 probabilities, before smoothing; a row of zeros where the row is ignored."""
    if goal.hard is not None:
        dense = torch.zeros(len(goal.hard), n_classes, dtype=torch.float64, device=goal.hard.device)
        kept = (goal.hard >= 0).double()[:, None]
        return dense.scatter_add_(1, goal.hard.clamp_min(0)[:, None], kept) if n_classes else dense
    if goal.proba is None:
        raise ValueError("a goal without targets")
    if goal.index is None:
        return goal.proba.double()
    dense = torch.zeros(len(goal.index), n_classes, dtype=torch.float64, device=goal.index.device)
    kept = torch.where(goal.index >= 0, goal.proba.double(), 0.0)
    return dense.scatter_add_(1, goal.index.clamp_min(0), kept)


def reference_row_losses(features: Tensor, head: Head, goal: Goal) -> RowLosses:
    """The loss of each row and its logsumexp, in float64; differentiable."""
    logits = reference_logits(features, head)
    target = target_distribution(goal, head.n_classes)
    if goal.margin:
        logits = logits - head.scale.double() * goal.margin * target
    kept = target.sum(1) > 0
    lse = torch.logsumexp(logits, dim=1)
    smooth = goal.label_smoothing
    expected = (1 - smooth) * (target * logits).sum(1) + smooth * logits.mean(1)
    loss = lse - expected + goal.z_regularization * lse.square()
    return RowLosses(torch.where(kept, loss, 0.0), lse, torch.zeros_like(lse))


def reference_scores(features: Tensor, head: Head, top_m: int) -> tuple[Tensor, ...]:
    """argmax, top1, top2, entropy, logsumexp, topm_values, topm_index from a sort of all probabilities."""
    log_proba = torch.log_softmax(reference_logits(features, head), dim=1)
    proba = log_proba.exp()
    ranked, index = log_proba.sort(dim=1, descending=True, stable=True)
    ranked = ranked.exp()
    second = ranked[:, 1] if head.n_classes > 1 else torch.zeros_like(ranked[:, 0])
    entropy = -torch.where(proba > 0, proba * log_proba, 0.0).sum(1)
    lse = torch.logsumexp(reference_logits(features, head), dim=1)
    dtype = compute_dtype(features.dtype)
    numbers = [part.to(dtype) for part in (ranked[:, 0], second, entropy, lse, ranked[:, :top_m])]
    return index[:, 0], *numbers, index[:, :top_m]
