"""The loss on a CPU: logits in chunks that never pass MAX_CHUNK_MIB, gradients in the forward pass.

Rows are taken in chunks, so that a chunk's logits are made, turned into their own gradient in place and
used up while they are in the cache: three matrix products, nothing recomputed. Where the classes are so many
that such a chunk would hold too few rows, the classes are cut as well and the logits are made twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from plumbline_kernels.problem import (
    Goal,
    Gradients,
    Head,
    RowLosses,
    Wanted,
    compute_dtype,
    inverse_norms,
)

MAX_CHUNK_MIB = 192  # logits alive at any time; with the scratch beside them under 256 MiB
MIN_ROWS = 256  # below this a chunk rereads weight and its gradient too often: cut the classes as well
BLOCK_CLASSES = 4096
BLOCK_ROWS = 2048


@dataclass
class _Work:
    """One call's inputs in the type of the computation, and what is being accumulated."""

    features: Tensor
    head: Head
    goal: Goal
    dtype: torch.dtype
    inverse_x: Tensor | None
    inverse_w: Tensor | None
    offset: Tensor | None
    scale: float

    def x(self, start: int, stop: int) -> Tensor:
        """Rows start:stop in the type of the computation, of unit length for cosines."""
        rows = self.features[start:stop].to(self.dtype)
        return rows if self.inverse_x is None else rows * self.inverse_x[start:stop, None]

    def logits(self, x: Tensor, weight: Tensor, low: int, out: Tensor) -> Tensor:
        """Logits of rows `x` for the classes `weight`, which begin at class `low`, written to `out`."""
        high = low + weight.shape[0]
        offset = None if self.offset is None else self.offset[low:high]
        if self.inverse_w is not None:
            torch.mm(x, weight.T, out=out)
            stretch = self.inverse_w[low:high] * self.scale
            return out.mul_(stretch) if offset is None else torch.addcmul(offset, out, stretch, out=out)
        if offset is None:
            torch.mm(x, weight.T, out=out)
            return out if self.scale == 1.0 else out.mul_(self.scale)
        return torch.addmm(offset, x, weight.T, alpha=self.scale, out=out)


def cpu_row_losses(features: Tensor, head: Head, goal: Goal) -> RowLosses:
    """Loss and logsumexp of every row; see `RowLosses`."""
    work = _start(features, head, goal)
    n, k = features.shape[0], head.n_classes
    loss = features.new_empty(n, dtype=work.dtype)
    lse, rest = torch.empty_like(loss), torch.empty_like(loss)
    rows, classes = chunk_shape(n, k, head.weight)
    buffer = features.new_empty(rows * classes, dtype=work.dtype)
    for start, stop in _spans(n, rows):
        part = _Merge(work, start, stop)
        for low, high in _spans(k, classes):
            out = buffer[: (stop - start) * (high - low)].view(stop - start, high - low)
            part.add(work.logits(part.x, head.weight[low:high].to(work.dtype), low, out), low)
        loss[start:stop], lse[start:stop], rest[start:stop] = part.finish()
    return RowLosses(loss, lse, rest)


def cpu_gradients(
    features: Tensor,
    head: Head,
    goal: Goal,
    row_weight: Tensor,
    wanted: Wanted,
    known: tuple[Tensor, Tensor] | None = None,
) -> tuple[RowLosses, Gradients]:
    """Row losses, and the gradients of sum(row_weight * loss), each in its input's type.

    known: the rows' logsumexp and its rest where they were computed before; then the losses may be left out,
    and are NaN.
    """
    work = _start(features, head, goal)
    weights = row_weight.to(work.dtype)
    rows, classes = chunk_shape(features.shape[0], head.n_classes, head.weight)
    sums = _Sums(work, wanted, whole=classes >= head.n_classes)
    if classes < head.n_classes:
        if known is None:
            losses = cpu_row_losses(features, head, goal)
        else:
            losses = RowLosses(torch.full_like(known[0], torch.nan), *known)
        _cut_both_ways(work, sums, weights, losses, rows, classes)
    else:
        losses = _cut_rows(work, sums, weights, rows)
    return losses, sums.finish()


def chunk_shape(n_rows: int, n_classes: int, weight: Tensor) -> tuple[int, int]:
    """Rows and classes of one chunk of logits, at most MAX_CHUNK_MIB together.

    Measured on two threads at (16384, 384, 10): all rows at once are best, 4,096 take 1.6 times as long (many
    small operations); at 1,000 classes and above 1,024 are best.
    """
    size = 8 if weight.dtype == torch.float64 else 4
    budget = MAX_CHUNK_MIB * 2**20 // size
    best = 16384 if n_classes <= 64 else 1024
    fitting = budget // max(n_classes, 1)
    cast_mib = weight.numel() * size / 2**20 if weight.element_size() < 4 else 0.0
    if fitting >= min(MIN_ROWS, max(n_rows, 1)) and cast_mib <= 32:
        return max(1, min(best, fitting, n_rows)), max(n_classes, 1)
    return max(1, min(BLOCK_ROWS, n_rows)), max(1, min(BLOCK_CLASSES, n_classes))


def _start(features: Tensor, head: Head, goal: Goal) -> _Work:
    dtype = compute_dtype(features.dtype)
    inverse_x = inverse_norms(features, dtype) if head.normalize else None
    inverse_w = inverse_norms(head.weight, dtype) if head.normalize else None
    return _Work(
        features, head, goal, dtype, inverse_x, inverse_w, head.offset(dtype), float(head.scale.item())
    )


def _spans(total: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, total, step):
        yield start, min(start + step, total)


class _Merge:
    """The running (maximum, sum of exponentials) of a chunk of rows over blocks of classes."""

    def __init__(self, work: _Work, start: int, stop: int) -> None:
        self.work, self.x = work, work.x(start, stop)
        self.goal = work.goal.rows(start, stop)
        self.top = self.x.new_full((stop - start,), -torch.inf)
        self.total = self.x.new_zeros(stop - start)
        self.expected = self.x.new_zeros(stop - start)

    def add(self, z: Tensor, low: int) -> None:
        """Take in the logits of the classes from `low`; `z` is used up."""
        apply_margin(z, self.goal, low, self.work.scale)
        self.expected += expected_logit(z, self.goal, low, self.work.head.n_classes)
        top = torch.maximum(self.top, z.amax(1))
        self.total *= torch.exp(self.top - top)
        self.total += z.sub_(top[:, None]).exp_().sum(1)
        self.top = top

    def finish(self) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, logsumexp and its rest."""
        log_total = self.total.log()
        lse = self.top + log_total
        loss = loss_of(self.top - self.expected + log_total, lse, self.goal)
        return loss, lse, self.top - lse + log_total


def apply_margin(z: Tensor, goal: Goal, low: int, scale: float) -> None:
    """Take scale * margin off the target's logit where it lies among the classes from `low`."""
    if goal.margin and goal.hard is not None:
        inside = (goal.hard >= low) & (goal.hard < low + z.shape[1])
        place = torch.where(inside, goal.hard - low, 0)[:, None]
        z.scatter_add_(1, place, inside.to(z.dtype)[:, None] * (-scale * goal.margin))


def expected_logit(z: Tensor, goal: Goal, low: int, n_classes: int) -> Tensor:
    """This block's part of sum_k q_k z_k, (rows,), with q the smoothed target."""
    smooth = goal.label_smoothing
    place, share = target_entries(goal, low, z)
    mean = ((z if place is None else z.gather(1, place)) * share).sum(1)
    if smooth:
        mean = (1 - smooth) * mean + z.sum(1) * (smooth / n_classes)
    return mean


def target_entries(goal: Goal, low: int, z: Tensor) -> tuple[Tensor | None, Tensor]:
    """Columns of `z` (rows, m) with a target probability and those probabilities (0 outside the block).

    For dense targets the columns are None and the probabilities (rows, classes of the block).
    """
    high = low + z.shape[1]
    if goal.hard is not None:
        index, proba = goal.hard[:, None], torch.ones_like(z[:, :1])
    elif goal.index is not None and goal.proba is not None:
        index, proba = goal.index, goal.proba.to(z.dtype)
    elif goal.proba is not None:
        return None, goal.proba[:, low:high].to(z.dtype)
    else:
        raise ValueError("a goal without targets")
    inside = (index >= low) & (index < high)
    return torch.where(inside, index - low, 0), torch.where(inside, proba, 0.0)


def loss_of(loss: Tensor, lse: Tensor, goal: Goal) -> Tensor:
    """The rows' losses from logsumexp - expected target logit, and the logsumexp; 0 for ignored rows."""
    if goal.z_regularization:
        loss = loss + goal.z_regularization * lse.square()
    if goal.hard is not None:
        return torch.where(goal.hard >= 0, loss, 0.0)
    if goal.index is not None:
        return torch.where((goal.index >= 0).any(1), loss, 0.0)
    return loss


def _cut_rows(work: _Work, sums: _Sums, weights: Tensor, rows: int) -> RowLosses:
    """All classes of a chunk of rows at once: the logits become their own gradient in place."""
    n, k = work.features.shape[0], work.head.n_classes
    weight = work.head.weight.to(work.dtype)
    loss, lse, rest = (weights.new_empty(n) for _ in range(3))
    buffer = weights.new_empty(min(rows, n), k)
    for start, stop in _spans(n, rows):
        goal, x = work.goal.rows(start, stop), work.x(start, stop)
        z = work.logits(x, weight, 0, buffer[: stop - start])
        apply_margin(z, goal, 0, work.scale)
        expected = expected_logit(z, goal, 0, k)
        top = z.amax(1)
        total = z.sub_(top[:, None]).exp_().sum(1)
        log_total = total.log()
        lse[start:stop] = top + log_total
        rest[start:stop] = top - lse[start:stop] + log_total
        loss[start:stop] = loss_of(top - expected + log_total, lse[start:stop], goal)
        share = weights[start:stop]
        turn_into_gradient(z, share / total, share, lse[start:stop], goal, 0, k)
        sums.add(z, x, weight, start, 0, goal)
    return RowLosses(loss, lse, rest)


def _cut_both_ways(
    work: _Work, sums: _Sums, weights: Tensor, losses: RowLosses, rows: int, classes: int
) -> None:
    """Classes outside, rows inside, with the logsumexp known: each slice of weight is read once."""
    lse, shrink = losses.logsumexp, torch.exp(-losses.rest)
    n, k = work.features.shape[0], work.head.n_classes
    buffer = weights.new_empty(rows * classes)
    for low, high in _spans(k, classes):
        weight = work.head.weight[low:high].to(work.dtype)
        for start, stop in _spans(n, rows):
            goal, x = work.goal.rows(start, stop), work.x(start, stop)
            out = buffer[: (stop - start) * (high - low)].view(stop - start, high - low)
            z = work.logits(x, weight, low, out)
            apply_margin(z, goal, low, work.scale)
            z.sub_(lse[start:stop, None]).exp_()
            share = weights[start:stop]
            turn_into_gradient(z, share * shrink[start:stop], share, lse[start:stop], goal, low, k)
            sums.add(z, x, weight, start, low, goal)


def turn_into_gradient(
    z: Tensor, factor: Tensor, share: Tensor, lse: Tensor, goal: Goal, low: int, n_classes: int
) -> None:
    """In place, from exponentials to the gradient of the weighted loss by the logit.

    z * factor is share * softmax; factor and share are (rows,).
    """
    smooth = goal.label_smoothing
    if goal.z_regularization:
        factor = factor * (1.0 + 2.0 * goal.z_regularization * lse)
    z.mul_(factor[:, None])
    if smooth:
        z.sub_(share[:, None] * (smooth / n_classes))
    place, proba = target_entries(goal, low, z)
    if place is None:
        z.addcmul_(proba, share[:, None], value=smooth - 1.0)
    else:
        z.scatter_add_(1, place, proba * (share[:, None] * (smooth - 1.0)))


class _Sums:
    """The gradients while they are being accumulated, in the type of the computation.

    whole: every row is met once, with all its classes, so that its gradient is written and not added to.
    """

    def __init__(self, work: _Work, wanted: Wanted, whole: bool) -> None:
        features, weight = work.features, work.head.weight
        self.work, self.wanted, self.whole = work, wanted, whole
        raw = wanted.weight or wanted.scale
        # Contiguous whatever the inputs' strides are, as the fake kernels say.
        self.by_x = features.new_empty(features.shape, dtype=work.dtype) if wanted.features else None
        if self.by_x is not None and not whole:
            self.by_x.zero_()
        self.by_w = weight.new_zeros(weight.shape, dtype=work.dtype) if raw else None
        self.by_bias = weight.new_zeros(weight.shape[0], dtype=work.dtype) if wanted.bias else None
        self.by_margin = weight.new_zeros((), dtype=work.dtype)

    def add(self, g: Tensor, x: Tensor, weight: Tensor, start: int, low: int, goal: Goal) -> None:
        """Take in `g`, the gradient by the logits of rows from `start` and classes from `low`."""
        high, stop = low + g.shape[1], start + g.shape[0]
        if self.wanted.scale and goal.margin:
            place, inside = target_entries(goal, low, g)
            if place is not None:
                self.by_margin += (g.gather(1, place) * inside).sum()
        if self.by_bias is not None:
            self.by_bias[low:high] += g.sum(0)
        if self.by_w is not None:
            self.by_w[low:high].addmm_(g.T, x)
        if self.by_x is not None:
            if self.work.inverse_w is not None:
                g = g.mul_(self.work.inverse_w[low:high])
            if self.whole:
                torch.mm(g, weight, out=self.by_x[start:stop])
            else:
                self.by_x[start:stop].addmm_(g, weight)

    def finish(self) -> Gradients:
        """Scale, project for cosines, and cast to the inputs' types."""
        work, scale = self.work, self.work.scale
        by_scale = self._by_scale() if self.wanted.scale else None
        if self.by_x is not None:
            _project(self.by_x, work.features, work.inverse_x, scale)
        if self.by_w is not None and self.wanted.weight:
            _project(self.by_w, work.head.weight, work.inverse_w, scale)
        bias = work.head.bias
        return Gradients(
            None if self.by_x is None else self.by_x.to(work.features.dtype),
            self.by_w.to(work.head.weight.dtype) if self.by_w is not None and self.wanted.weight else None,
            None if self.by_bias is None or bias is None else self.by_bias.to(bias.dtype),
            by_scale,
        )

    def _by_scale(self) -> Tensor:
        """sum_ik g_ik <x_i, w_k> less the margin at the targets, from the raw weight gradient."""
        if self.by_w is None:
            raise ValueError("the scale's gradient needs the raw weight gradient")
        total = -self.work.goal.margin * self.by_margin
        for low, high in _spans(self.by_w.shape[0], BLOCK_CLASSES):
            along = (self.by_w[low:high] * self.work.head.weight[low:high]).sum(1)
            if self.work.inverse_w is not None:
                along = along * self.work.inverse_w[low:high]
            total = total + along.sum()
        return total.to(self.work.head.scale.dtype)


def _project(grads: Tensor, vectors: Tensor, inverse: Tensor | None, scale: float) -> None:
    """In place: scale, and for cosines (t - <t, u> u) / |v| with u = v / |v|, in blocks of rows."""
    if inverse is None:
        if scale != 1.0:
            grads.mul_(scale)
        return
    for low, high in _spans(grads.shape[0], BLOCK_CLASSES):
        block, short = grads[low:high], inverse[low:high, None]
        unit = vectors[low:high].to(grads.dtype) * short
        along = (block * unit).sum(1, keepdim=True)
        block.addcmul_(unit, along, value=-1.0).mul_(short * scale)
