"""Forward: each row's running (maximum, sum of exponentials) over blocks of classes, split over K.

Every split writes its own partial result and `combine_kernel` merges them in a fixed order: no locks, no
atomics, the same bits every time.
"""

# Triton types these arguments itself: pointers, descriptors and blocks.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import triton
import triton.language as tl

from plumbline_kernels.triton_tile import DENSE, HARD, add_offset, target_tile, tile_logits


@triton.jit
def stats_kernel(
    x, w, offset, inverse_x, inverse_w, scale_at, target, proba, top_out, sum_out, mean_out,
    N, K, x_stride, x_inner, w_stride, w_inner, classes_per_split, margin, smoothing,
    D: tl.constexpr, M: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    COSINE: tl.constexpr, HAS_OFFSET: tl.constexpr, HAS_MARGIN: tl.constexpr, SMOOTH: tl.constexpr,
    TARGET: tl.constexpr, TMA: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Partials (splits, N): top logit, sum of e^(z - top), and what smoothing and dense targets expect of z."""
    row0 = tl.program_id(0) * BLOCK_M
    split = tl.program_id(1)
    rows = row0 + tl.arange(0, BLOCK_M)
    scale = tl.load(scale_at)
    top = tl.full((BLOCK_M,), float("-inf"), dtype=tl.float32)
    total = tl.zeros((BLOCK_M,), dtype=tl.float32)
    expected = tl.zeros((BLOCK_M,), dtype=tl.float32)
    begin = split * classes_per_split
    end = tl.minimum(begin + classes_per_split, K)
    for col0 in range(begin, end, BLOCK_K):
        cols = col0 + tl.arange(0, BLOCK_K)
        z = tile_logits(
            x, w, row0, col0, N, K, x_stride, x_inner, w_stride, w_inner, inverse_x, inverse_w, scale,
            D, BLOCK_M, BLOCK_K, BLOCK_D, COSINE, TMA, UPCAST, PRECISION,
        )  # fmt: skip
        z = add_offset(z, offset, cols, K, HAS_OFFSET)
        if HAS_MARGIN:
            z -= scale * margin * target_tile(target, proba, rows, cols, N, K, M, BLOCK_M, BLOCK_K, HARD)
        finite = tl.where((cols < K)[None, :], z, 0.0)
        if SMOOTH:
            expected += tl.sum(finite, axis=1) * (smoothing / K)
        if TARGET == DENSE:
            q = target_tile(target, proba, rows, cols, N, K, M, BLOCK_M, BLOCK_K, DENSE)
            expected += (1.0 - smoothing) * tl.sum(q * finite, axis=1)
        new_top = tl.maximum(top, tl.max(z, axis=1))
        total = total * tl.exp(top - new_top) + tl.sum(tl.exp(z - new_top[:, None]), axis=1)
        top = new_top
    place = split.to(tl.int64) * N + rows
    tl.store(top_out + place, top, mask=rows < N)
    tl.store(sum_out + place, total, mask=rows < N)
    tl.store(mean_out + place, expected, mask=rows < N)


@triton.jit
def combine_kernel(
    top_in, sum_in, mean_in, target_logit, kept, loss_out, lse_out, rest_out, N, splits, smoothing, z_regularization,
    BLOCK: tl.constexpr, DENSE_TARGET: tl.constexpr,
):  # fmt: skip
    """Merge the splits' partials into each row's logsumexp and loss; 0 for rows that are not kept."""
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < N
    top = tl.full((BLOCK,), float("-inf"), dtype=tl.float32)
    for split in range(0, splits):
        place = split * N + rows
        top = tl.maximum(top, tl.load(top_in + place, mask=inside, other=0.0))
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    expected = tl.zeros((BLOCK,), dtype=tl.float32)
    for split in range(0, splits):
        place = split * N + rows
        shift = tl.exp(tl.load(top_in + place, mask=inside, other=0.0) - top)
        total += shift * tl.load(sum_in + place, mask=inside, other=1.0)
        expected += tl.load(mean_in + place, mask=inside, other=0.0)
    if not DENSE_TARGET:
        expected += (1.0 - smoothing) * tl.load(target_logit + rows, mask=inside, other=0.0)
    log_total = tl.log(total)
    lse = top + log_total
    loss = top - expected + log_total + z_regularization * lse * lse
    keep = tl.load(kept + rows, mask=inside, other=0)
    tl.store(lse_out + rows, lse, mask=inside)
    tl.store(rest_out + rows, top - lse + log_total, mask=inside)
    tl.store(loss_out + rows, tl.where(keep != 0, loss, 0.0), mask=inside)


@triton.jit
def target_logit_kernel(
    x, w, offset, inverse_x, inverse_w, scale_at, target, proba, out,
    N, K, x_stride, x_inner, w_stride, w_inner, margin,
    D: tl.constexpr, M: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr,
    COSINE: tl.constexpr, HAS_OFFSET: tl.constexpr, SPARSE_TARGET: tl.constexpr,
):  # fmt: skip
    """out[i] = sum_j q_ij z_ij over the classes that row i names: a small dot product for each."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    inside = rows < N
    scale = tl.load(scale_at)
    expected = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for j in range(M):
        place = rows.to(tl.int64) * M + j
        label = tl.load(target + place, mask=inside, other=-1)
        named = (label >= 0) & (label < K)  # unchecked labels may lie outside; nothing is read for them
        z = tl.zeros((BLOCK_M,), dtype=tl.float32)
        for d0 in range(0, D, BLOCK_D):
            d = (d0 + tl.arange(0, BLOCK_D)).to(tl.int64)
            mask = named[:, None] & (d < D)[None, :]
            a = tl.load(
                x + rows.to(tl.int64)[:, None] * x_stride + d[None, :] * x_inner, mask=mask, other=0.0
            )
            b = tl.load(w + label[:, None] * w_stride + d[None, :] * w_inner, mask=mask, other=0.0)
            z += tl.sum(a.to(tl.float32) * b.to(tl.float32), axis=1)
        if COSINE:
            z = z * tl.load(inverse_w + label, mask=named, other=0.0)
            z = z * tl.load(inverse_x + rows, mask=inside, other=0.0) - margin
        z = z * scale
        if HAS_OFFSET:
            z += tl.load(offset + label, mask=named, other=0.0)
        share = tl.where(named, 1.0, 0.0)
        if SPARSE_TARGET:
            share = tl.load(proba + place, mask=named, other=0.0).to(tl.float32)
        expected += share * z
    tl.store(out + rows, expected, mask=inside)
