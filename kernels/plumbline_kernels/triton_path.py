"""The Triton path, top to bottom: statistics, gradient by the logits in chunks, matrix products; and scores."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from plumbline_kernels.dispatch import interpreter_is_on
from plumbline_kernels.problem import Goal, Gradients, Head, RowLosses, Wanted
from plumbline_kernels.tiles import FEW_CLASSES, Tile, chosen_tile, regime, splits
from plumbline_kernels.triton_gradient import dlogits_kernel, few_classes_kernel, skipping_matmul_kernel
from plumbline_kernels.triton_launch import Launch, Target, precision, prepare, prepare_target
from plumbline_kernels.triton_stats import combine_kernel, stats_kernel, target_logit_kernel
from plumbline_kernels.triton_tile import DENSE, SPARSE

CHUNK_MIB = 64  # of stored logit gradients; 4,096 classes of 8,192 rows in two bytes
CHUNK_ROWS = 8192
CHUNK_COLUMNS = 65_535 * 32  # a grid's second side holds 65,535 blocks, of 64 classes at least


class Chunk(NamedTuple):
    """A block of stored logit gradients and the sums that come with it."""

    dlogits: Tensor
    row_dot: Tensor | None
    col_dot: Tensor | None
    col_sum: Tensor | None
    alive: Tensor | None
    tile: Tile


def triton_row_losses(features: Tensor, head: Head, goal: Goal) -> RowLosses:
    """Loss and logsumexp per row, (N,) float32."""
    n, k = features.shape[0], head.n_classes
    launch = prepare(features, head)
    target = prepare_target(goal, n, launch)
    if n == 0:
        return _space(0, launch)
    if k <= FEW_CLASSES:
        return _few(launch, target, goal, None, Wanted(False, False, False, False), True)[0]

    def run(tile: Tile) -> RowLosses:
        return _stats(launch, target, goal, tile)

    return run(chosen_tile("stats", regime(n, k), features.dtype, launch.device, launch.shape, run))


def triton_losses_and_gradients(
    features: Tensor, head: Head, goal: Goal, row_weight: Tensor, wanted: Wanted, deterministic: bool
) -> tuple[RowLosses, Gradients]:
    """At most FEW_CLASSES classes: loss and gradient in one reading of the features, one chunk of rows at once."""
    return _accumulate(features, head, goal, row_weight, None, wanted, False, deterministic)


def triton_gradients(
    features: Tensor,
    head: Head,
    goal: Goal,
    row_weight: Tensor,
    known: tuple[Tensor, Tensor],
    wanted: Wanted,
    filtered: bool,
    deterministic: bool,
) -> Gradients:
    """The gradients of sum(row_weight * loss), logits recomputed; known: the logsumexp and its rest."""
    return _accumulate(features, head, goal, row_weight, known, wanted, filtered, deterministic)[1]


def _space(n_rows: int, launch: Launch) -> RowLosses:
    """Room for the results of the rows; three tensors, as an operator's results may not share memory."""
    return RowLosses(*(torch.empty(n_rows, dtype=torch.float32, device=launch.device) for _ in range(3)))


def _stats(launch: Launch, target: Target, goal: Goal, tile: Tile) -> RowLosses:
    n, k = launch.x.shape[0], launch.w.shape[0]
    parts, per_part = splits(n, k, tile, launch.processors)
    partials = torch.empty(3, parts, n, dtype=torch.float32, device=launch.device)
    stats_kernel[(-(-n // tile.block_m), parts)](
        *launch.matrices(tile), *launch.vectors(), target.classes, target.proba, *partials,
        n, k, *launch.strides(), per_part, goal.margin, goal.label_smoothing,
        HAS_MARGIN=goal.margin > 0, SMOOTH=goal.label_smoothing > 0,
        **target.constants(), **launch.constants(tile),
    )  # fmt: skip
    named = _target_logits(launch, target, goal)
    losses = _space(n, launch)
    combine_kernel[(-(-n // 128),)](
        *partials, named, target.kept, *losses, n, parts, goal.label_smoothing, goal.z_regularization,
        BLOCK=128, DENSE_TARGET=target.kind == DENSE.value,
    )  # fmt: skip
    return losses


def _target_logits(launch: Launch, target: Target, goal: Goal) -> Tensor:
    if target.kind == DENSE.value:
        return launch.nothing
    n = launch.x.shape[0]
    named = torch.empty(n, dtype=torch.float32, device=launch.device)
    target_logit_kernel[(-(-n // 16),)](
        launch.x, launch.w, *launch.vectors(), target.classes, target.proba, named,
        n, launch.w.shape[0], *launch.strides(), goal.margin,
        D=launch.x.shape[1], M=target.width, BLOCK_M=16, BLOCK_D=64,
        COSINE=launch.inverse_x is not None, HAS_OFFSET=launch.offset is not None,
        SPARSE_TARGET=target.kind == SPARSE.value,
    )  # fmt: skip
    return named


class _Factors(NamedTuple):
    """How g is stored: row * col factors within [0, 1], and what the float32 products are multiplied with.

    Without the common part a mean over a million rows would underflow in float16.
    """

    row_weight: Tensor
    row: Tensor
    col: Tensor
    common: Tensor


def _factors(launch: Launch, row_weight: Tensor) -> _Factors:
    weight = row_weight.to(torch.float32).contiguous()
    row = weight if launch.inverse_x is None else weight * launch.inverse_x
    k = launch.w.shape[0]
    col = torch.ones(k, device=launch.device) if launch.inverse_w is None else launch.inverse_w
    largest_row, largest_col = (part.abs().amax().clamp_min(1e-30) for part in (row, col))
    return _Factors(weight, row / largest_row, col / largest_col, launch.scale * largest_row * largest_col)


class _Totals:
    """The gradients while chunks are being added, in float32; weight slices leave in the input's type."""

    def __init__(self, launch: Launch, wanted: Wanted) -> None:
        n, k, device = launch.x.shape[0], launch.w.shape[0], launch.device
        self.by_x = torch.zeros(launch.x.shape, device=device) if wanted.features else None
        self.by_w = (
            torch.empty_like(launch.w, memory_format=torch.contiguous_format) if wanted.weight else None
        )
        self.row_dot = torch.zeros(n, device=device)
        self.row_target = torch.zeros(n, device=device)
        self.col_sum = torch.zeros(k, device=device)


def _accumulate(
    features: Tensor,
    head: Head,
    goal: Goal,
    row_weight: Tensor,
    known: tuple[Tensor, Tensor] | None,
    wanted: Wanted,
    filtered: bool,
    deterministic: bool,
) -> tuple[RowLosses, Gradients]:
    """Classes outside, rows inside: each slice of the weight gradient is finished before the next begins."""
    launch = prepare(features, head)
    n, k = features.shape[0], head.n_classes
    losses = torch.zeros(3, n, device=launch.device)
    totals = _Totals(launch, wanted)
    if n == 0:
        return RowLosses(*losses), _finish(launch, head, goal, totals, wanted, None)
    factors = _factors(launch, row_weight)
    rows, columns = chunk_shape(n, k, features.element_size())
    for low in range(0, k, columns):
        high = min(low + columns, k)
        by_w = torch.zeros(high - low, features.shape[1], device=launch.device) if wanted.weight else None
        col_dot = torch.zeros(high - low, device=launch.device)
        for start in range(0, n, rows):
            span = slice(start, min(start + rows, n))
            part, part_goal = launch.rows(span), goal.rows(span.start, span.stop)
            part_factors = factors._replace(row_weight=factors.row_weight[span], row=factors.row[span])
            target = prepare_target(part_goal, span.stop - start, part)
            if k <= FEW_CLASSES:
                rows_out, chunk = _few(part, target, part_goal, part_factors, wanted, deterministic)
                losses[:, span] = torch.stack(rows_out)
            elif known is not None:
                options = (low, high, wanted, filtered, deterministic)
                chunk = _dlogits(
                    part, target, part_goal, part_factors, (known[0][span], known[1][span]), *options
                )
            else:
                raise ValueError("the logsumexp must be known for this many classes")
            if chunk is not None:
                _take(part, totals, by_w, col_dot, chunk, span, slice(low, high), goal.margin)
        if by_w is not None and totals.by_w is not None:
            totals.by_w[low:high] = _projected(
                by_w, launch.w[low:high], launch.inverse_w, col_dot, factors, low
            )
    return RowLosses(*losses), _finish(launch, head, goal, totals, wanted, factors)


def chunk_shape(n_rows: int, n_classes: int, element_size: int) -> tuple[int, int]:
    """Rows and classes of one chunk of stored gradients, at most CHUNK_MIB together."""
    rows = min(
        n_rows, CHUNK_ROWS if n_classes > FEW_CLASSES else CHUNK_MIB * 2**20 // (element_size * n_classes)
    )
    fitting = max(128, CHUNK_MIB * 2**20 // (element_size * rows) // 128 * 128)
    return rows, min(n_classes, fitting, CHUNK_COLUMNS)


def _sums(
    launch: Launch, wanted: Wanted, rows: int, columns: int, blocks: tuple[int, int], deterministic: bool
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Space for the partial sums that are wanted: (class blocks, rows) and (row blocks, columns)."""
    cosine = launch.inverse_x is not None
    across = blocks[0] if deterministic else 1
    make = torch.empty if deterministic else torch.zeros
    row_dot = torch.empty(2, blocks[1], rows, device=launch.device) if wanted.scale or cosine else None
    col_dot = make(across, columns, device=launch.device) if wanted.weight and cosine else None
    col_sum = make(across, columns, device=launch.device) if wanted.bias else None
    return row_dot, col_dot, col_sum


def _few(
    launch: Launch, target: Target, goal: Goal, factors: _Factors | None, wanted: Wanted, deterministic: bool
) -> tuple[RowLosses, Chunk | None]:
    """All classes in one tile; with `factors` the gradient's chunk as well."""
    n, k = launch.x.shape[0], launch.w.shape[0]

    def run(tile: Tile) -> tuple[RowLosses, Chunk | None]:
        tile = Tile(tile.block_m, max(16, 1 << (k - 1).bit_length()), tile.block_d, tile.warps, tile.stages)
        blocks = (-(-n // tile.block_m), 1)
        losses = _space(n, launch)
        some = factors is not None
        dlogits = torch.empty(n, k, dtype=launch.x.dtype, device=launch.device) if some else launch.nothing
        sums = _sums(launch, wanted, n, k, blocks, deterministic) if some else (None, None, None)
        held = factors or _Factors(*(launch.nothing,) * 4)
        few_classes_kernel[(blocks[0],)](
            *launch.matrices(tile), *launch.vectors(), target.classes, target.proba, target.kept,
            held.row_weight, held.row, held.col, *losses, dlogits,
            *(launch.nothing if part is None else part for part in sums),
            n, k, *launch.strides(), goal.margin, goal.label_smoothing, goal.z_regularization,
            HAS_MARGIN=goal.margin > 0, GRADIENT=some, **_flags(sums, deterministic),
            **target.constants(), **launch.constants(tile),
        )  # fmt: skip
        return losses, Chunk(dlogits, *sums, None, tile) if some else None

    return run(chosen_tile("few", "few", launch.x.dtype, launch.device, launch.shape, run))


def _dlogits(
    launch: Launch,
    target: Target,
    goal: Goal,
    factors: _Factors,
    known: tuple[Tensor, Tensor],
    low: int,
    high: int,
    wanted: Wanted,
    filtered: bool,
    deterministic: bool,
) -> Chunk:
    n, k, columns = launch.x.shape[0], launch.w.shape[0], high - low

    def run(tile: Tile) -> Chunk:
        blocks = (-(-n // tile.block_m), -(-columns // tile.block_k))
        out = torch.empty(n, columns, dtype=launch.x.dtype, device=launch.device)
        sums = _sums(launch, wanted, n, columns, blocks, deterministic)
        alive = torch.empty(blocks, dtype=torch.int32, device=launch.device) if filtered else None
        dlogits_kernel[blocks](
            *launch.matrices(tile), *launch.vectors(), target.classes, target.proba, *known,
            factors.row_weight, factors.row, factors.col, out,
            *(launch.nothing if part is None else part for part in (*sums, alive)),
            n, k, low, columns, *launch.strides(),
            goal.margin, goal.label_smoothing, goal.z_regularization, filter_threshold(launch.x.dtype),
            HAS_MARGIN=goal.margin > 0, FILTER=filtered, **_flags(sums, deterministic),
            **target.constants(), **launch.constants(tile),
        )  # fmt: skip
        return Chunk(out, *sums, alive, tile)

    which = regime(n, max(k, FEW_CLASSES + 1))
    shape = (n, columns, launch.x.shape[1])
    return run(chosen_tile("dlogits", which, launch.x.dtype, launch.device, shape, run))


def filter_threshold(dtype: torch.dtype) -> float:
    """A block is left out when every entry is below this: 1/32 of the type's epsilon (2^-12 for bfloat16)."""
    return torch.finfo(dtype).eps / 32


def _flags(sums: tuple[Tensor | None, ...], deterministic: bool) -> dict[str, bool]:
    row_dot, col_dot, col_sum = (part is not None for part in sums)
    return {"ROW_DOT": row_dot, "COL_DOT": col_dot, "COL_SUM": col_sum, "ATOMIC": not deterministic}


def _take(
    launch: Launch,
    totals: _Totals,
    by_w: Tensor | None,
    col_dot: Tensor,
    chunk: Chunk,
    span: slice,
    classes: slice,
    margin: float,
) -> None:
    """Add a chunk's products and sums to what is being accumulated."""
    if chunk.row_dot is not None:
        totals.row_dot[span] += chunk.row_dot[0].sum(0)
        if margin:
            totals.row_target[span] += chunk.row_dot[1].sum(0)
    if chunk.col_dot is not None:
        col_dot += chunk.col_dot.sum(0)
    if chunk.col_sum is not None:
        totals.col_sum[classes] += chunk.col_sum.sum(0)
    if totals.by_x is not None:
        add_product(totals.by_x[span], chunk.dlogits, launch.w[classes], chunk.alive, chunk.tile, False)
    if by_w is not None:
        add_product(by_w, chunk.dlogits, launch.x, chunk.alive, chunk.tile, True)


def add_product(
    out: Tensor, dlogits: Tensor, other: Tensor, alive: Tensor | None, tile: Tile, transposed: bool
) -> None:
    """out += dlogits @ other, or its transpose @ other, in float32; blocks that are not alive are passed over."""
    if alive is None:
        left = dlogits.T if transposed else dlogits
        if out.device.type == "cuda" and dlogits.dtype != torch.float32:
            out += torch.mm(left, other, out_dtype=torch.float32)
        else:
            out.addmm_(left.to(out.dtype), other.to(out.dtype))
        return
    block_m, block_k = (tile.block_k, tile.block_m) if transposed else (tile.block_m, tile.block_k)
    strides = (dlogits.stride(1), dlogits.stride(0)) if transposed else dlogits.stride()
    flags = (alive.stride(1), alive.stride(0)) if transposed else alive.stride()
    inner = dlogits.shape[0] if transposed else dlogits.shape[1]
    rows, columns = out.shape
    skipping_matmul_kernel[(-(-rows // block_m), -(-columns // 64))](
        dlogits, other, alive, out, rows, columns, inner, *strides, *other.stride(), *flags,
        BLOCK_M=block_m, BLOCK_N=64, BLOCK_K=block_k,
        UPCAST=interpreter_is_on(), PRECISION=precision(dlogits.dtype),
        num_warps=8 if block_m >= 128 else 4, num_stages=2,
    )  # fmt: skip


def _projected(
    by_w: Tensor, w: Tensor, inverse_w: Tensor | None, col_dot: Tensor, factors: _Factors, low: int
) -> Tensor:
    """A finished slice of the weight gradient: for cosines less its part along w, sum_i g z / |w|^2 times w."""
    by_w = by_w.mul_(factors.common)
    if inverse_w is None:
        return by_w
    short = inverse_w[low : low + w.shape[0]]
    return by_w.sub_((col_dot * short.square())[:, None] * w)


def _finish(
    launch: Launch, head: Head, goal: Goal, totals: _Totals, wanted: Wanted, factors: _Factors | None
) -> Gradients:
    """Scale and project the features' gradient, and cast everything to its input's type."""
    by_x, by_w, bias = totals.by_x, totals.by_w, head.bias
    by_scale = torch.zeros((), device=launch.device)
    if factors is None:
        by_w = None if by_w is None else by_w.zero_()
    else:
        if wanted.scale:
            raw = (totals.row_dot @ factors.row_weight) / launch.scale
            by_scale = raw - goal.margin * (totals.row_target @ factors.row_weight)
        if by_x is not None:
            by_x.mul_(factors.common)
            if launch.inverse_x is not None:
                along = totals.row_dot * factors.row_weight * launch.inverse_x.square()
                by_x.addcmul_(along[:, None], launch.x, value=-1.0)
    return Gradients(
        None if by_x is None else by_x.to(launch.x.dtype),
        by_w,
        totals.col_sum.to(bias.dtype) if wanted.bias and bias is not None else None,
        by_scale.to(head.scale.dtype) if wanted.scale else None,
    )
