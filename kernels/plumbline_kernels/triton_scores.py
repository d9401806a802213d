"""Scoring: one pass over the classes keeps (top, its class, second, sum of e, sum of e (z - top)) per row."""

# Triton types these arguments itself: pointers, descriptors and blocks.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import triton
import triton.language as tl

from plumbline_kernels.triton_tile import add_offset, tile_logits

NO_CLASS = tl.constexpr(2147483647)


@triton.jit
def scores_kernel(
    x, w, offset, inverse_x, inverse_w, scale_at, top_out, index_out, second_out, s_out, t_out,
    N, K, x_stride, x_inner, w_stride, w_inner, classes_per_split,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    COSINE: tl.constexpr, HAS_OFFSET: tl.constexpr,
    TMA: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Partials (splits, N); ties go to the lowest class."""
    row0 = tl.program_id(0) * BLOCK_M
    split = tl.program_id(1)
    rows = row0 + tl.arange(0, BLOCK_M)
    scale = tl.load(scale_at)
    top = tl.full((BLOCK_M,), float("-inf"), dtype=tl.float32)
    second = tl.full((BLOCK_M,), float("-inf"), dtype=tl.float32)
    index = tl.zeros((BLOCK_M,), dtype=tl.int32)
    s = tl.zeros((BLOCK_M,), dtype=tl.float32)
    t = tl.zeros((BLOCK_M,), dtype=tl.float32)
    begin = split * classes_per_split
    end = tl.minimum(begin + classes_per_split, K)
    for col0 in range(begin, end, BLOCK_K):
        cols = col0 + tl.arange(0, BLOCK_K)
        z = tile_logits(
            x, w, row0, col0, N, K, x_stride, x_inner, w_stride, w_inner, inverse_x, inverse_w, scale,
            D, BLOCK_M, BLOCK_K, BLOCK_D, COSINE, TMA, UPCAST, PRECISION,
        )  # fmt: skip
        z = add_offset(z, offset, cols, K, HAS_OFFSET)
        best = tl.max(z, axis=1)
        where = tl.min(tl.where(z == best[:, None], cols[None, :], NO_CLASS), axis=1)
        runner_up = tl.max(tl.where(cols[None, :] == where[:, None], float("-inf"), z), axis=1)
        second = tl.maximum(tl.minimum(top, best), tl.maximum(second, runner_up))
        index = tl.where(best > top, where, index)
        new_top = tl.maximum(top, best)
        drop = tl.where(s > 0, top - new_top, 0.0)
        shrink = tl.exp(drop)
        shifted = tl.where((cols < K)[None, :], z - new_top[:, None], 0.0)
        e = tl.where((cols < K)[None, :], tl.exp(shifted), 0.0)
        t = shrink * (t + s * drop) + tl.sum(e * shifted, axis=1)
        s = shrink * s + tl.sum(e, axis=1)
        top = new_top
    place = split.to(tl.int64) * N + rows
    tl.store(top_out + place, top, mask=rows < N)
    tl.store(index_out + place, index, mask=rows < N)
    tl.store(second_out + place, second, mask=rows < N)
    tl.store(s_out + place, s, mask=rows < N)
    tl.store(t_out + place, t, mask=rows < N)


@triton.jit
def combine_scores_kernel(
    top_in, index_in, second_in, s_in, t_in, argmax, top1, top2, entropy, logsumexp, N, splits,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Merge the splits in order and finish: H = log s - t / s, logsumexp = top + log s."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < N
    top = tl.load(top_in + rows, mask=inside, other=0.0)
    second = tl.load(second_in + rows, mask=inside, other=0.0)
    index = tl.load(index_in + rows, mask=inside, other=0)
    s = tl.load(s_in + rows, mask=inside, other=1.0)
    t = tl.load(t_in + rows, mask=inside, other=0.0)
    for split in range(1, splits):
        place = split * N + rows
        best = tl.load(top_in + place, mask=inside, other=0.0)
        runner_up = tl.load(second_in + place, mask=inside, other=0.0)
        index = tl.where(best > top, tl.load(index_in + place, mask=inside, other=0), index)
        second = tl.maximum(tl.minimum(top, best), tl.maximum(second, runner_up))
        new_top = tl.maximum(top, best)
        drop, gap = top - new_top, best - new_top
        s_new = tl.load(s_in + place, mask=inside, other=1.0)
        t_new = tl.load(t_in + place, mask=inside, other=0.0)
        t = tl.exp(drop) * (t + s * drop) + tl.exp(gap) * (t_new + s_new * gap)
        s = tl.exp(drop) * s + tl.exp(gap) * s_new
        top = new_top
    tl.store(argmax + rows, index.to(tl.int64), mask=inside)
    tl.store(top1 + rows, 1.0 / s, mask=inside)
    tl.store(top2 + rows, tl.exp(second - top) / s, mask=inside)
    tl.store(entropy + rows, tl.maximum(tl.log(s) - t / s, 0.0), mask=inside)
    tl.store(logsumexp + rows, top + tl.log(s), mask=inside)


@triton.jit
def top_m_kernel(
    x, w, offset, inverse_x, inverse_w, scale_at, value_out, index_out,
    N, K, x_stride, x_inner, w_stride, w_inner, classes_per_split,
    D: tl.constexpr, TOP_M: tl.constexpr, SLOTS: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    COSINE: tl.constexpr, HAS_OFFSET: tl.constexpr,
    TMA: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The TOP_M largest logits of a split, (splits, N, TOP_M), unordered; ties at the edge to the lowest class.

    The kept logits sit in SLOTS registers per row. TOP_M times the block's largest replaces the smallest kept
    one when it is larger; of equal smallest ones the highest class goes.
    """
    row0 = tl.program_id(0) * BLOCK_M
    split = tl.program_id(1)
    rows = row0 + tl.arange(0, BLOCK_M)
    slots = tl.arange(0, SLOTS)
    scale = tl.load(scale_at)
    kept = tl.where((slots < TOP_M)[None, :], float("-inf"), float("inf"))
    kept = tl.broadcast_to(kept, (BLOCK_M, SLOTS))
    classes = tl.broadcast_to(slots[None, :] + (2147483647 - SLOTS), (BLOCK_M, SLOTS))
    begin = split * classes_per_split
    end = tl.minimum(begin + classes_per_split, K)
    for col0 in range(begin, end, BLOCK_K):
        cols = col0 + tl.arange(0, BLOCK_K)
        z = tile_logits(
            x, w, row0, col0, N, K, x_stride, x_inner, w_stride, w_inner, inverse_x, inverse_w, scale,
            D, BLOCK_M, BLOCK_K, BLOCK_D, COSINE, TMA, UPCAST, PRECISION,
        )  # fmt: skip
        z = add_offset(z, offset, cols, K, HAS_OFFSET)
        for _ in range(TOP_M):
            best = tl.max(z, axis=1)
            where = tl.min(tl.where(z == best[:, None], cols[None, :], NO_CLASS), axis=1)
            least = tl.min(kept, axis=1)
            victim = tl.max(tl.where(kept == least[:, None], classes, -1), axis=1)
            change = (best > least)[:, None] & (classes == victim[:, None]) & (kept == least[:, None])
            kept = tl.where(change, best[:, None], kept)
            classes = tl.where(change, where[:, None], classes)
            z = tl.where(cols[None, :] == where[:, None], float("-inf"), z)
    place = (split.to(tl.int64) * N + rows)[:, None] * TOP_M + slots[None, :]
    mask = (rows < N)[:, None] & (slots < TOP_M)[None, :]
    tl.store(value_out + place, kept, mask=mask)
    tl.store(index_out + place, classes, mask=mask)
