"""Backward: the gradient by the logits of a chunk, in the inputs' type, for matrix products to use.

The stored value is g * row_factor * col_factor, with g the gradient of the unweighted loss, so that one buffer
serves both products. For cosines the projections need sum_k g z by row and sum_i g z by column; these and the
bias's sums go out as partials per block (or by atomic adds when the caller does not ask for equal bits).
"""

# Triton types these arguments itself: pointers, descriptors and blocks.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import triton
import triton.language as tl

from plumbline_kernels.triton_tile import add_offset, target_tile, tile_logits, unit_gradient


@triton.jit
def store_sums(
    g, z0, q, weight, rows, local_cols, N, columns, row_dot, col_dot, col_sum,
    ROW_DOT: tl.constexpr, COL_DOT: tl.constexpr, COL_SUM: tl.constexpr, ATOMIC: tl.constexpr,
    HAS_MARGIN: tl.constexpr,
):  # fmt: skip
    """Write sum_k g z0 by row, and weighted sum_i g z0 and sum_i g by column, as far as they are wanted.

    With a margin the second half of row_dot takes sum_k g q, which the scale's gradient needs.
    """
    block_row, block_col = tl.program_id(0), tl.program_id(1)
    inside = local_cols < columns
    if ROW_DOT:
        tl.store(row_dot + block_col.to(tl.int64) * N + rows, tl.sum(g * z0, axis=1), mask=rows < N)
        if HAS_MARGIN:
            second = (tl.num_programs(1) + block_col).to(tl.int64) * N
            tl.store(row_dot + second + rows, tl.sum(g * q, axis=1), mask=rows < N)
    if COL_DOT:
        along = tl.sum(g * z0 * weight[:, None], axis=0)
        if ATOMIC:
            tl.atomic_add(col_dot + local_cols, along, mask=inside)
        else:
            tl.store(col_dot + block_row.to(tl.int64) * columns + local_cols, along, mask=inside)
    if COL_SUM:
        across = tl.sum(g * weight[:, None], axis=0)
        if ATOMIC:
            tl.atomic_add(col_sum + local_cols, across, mask=inside)
        else:
            tl.store(col_sum + block_row.to(tl.int64) * columns + local_cols, across, mask=inside)


@triton.jit
def dlogits_kernel(
    x, w, offset, inverse_x, inverse_w, scale_at, target, proba, lse_in, rest_in, row_weight, row_factor, col_factor,
    out, row_dot, col_dot, col_sum, alive_out,
    N, K, first_col, columns, x_stride, x_inner, w_stride, w_inner,
    margin, smoothing, z_regularization, threshold,
    D: tl.constexpr, M: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    COSINE: tl.constexpr, HAS_OFFSET: tl.constexpr, HAS_MARGIN: tl.constexpr, TARGET: tl.constexpr,
    ROW_DOT: tl.constexpr, COL_DOT: tl.constexpr, COL_SUM: tl.constexpr, ATOMIC: tl.constexpr,
    FILTER: tl.constexpr, TMA: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of out (N, columns): classes first_col to first_col + columns of all N rows."""
    block_row, block_col = tl.program_id(0), tl.program_id(1)
    row0, col0 = block_row * BLOCK_M, first_col + block_col * BLOCK_K
    rows, cols = row0 + tl.arange(0, BLOCK_M), col0 + tl.arange(0, BLOCK_K)
    local_cols = cols - first_col
    scale = tl.load(scale_at)
    z0 = tile_logits(
        x, w, row0, col0, N, K, x_stride, x_inner, w_stride, w_inner, inverse_x, inverse_w, scale,
        D, BLOCK_M, BLOCK_K, BLOCK_D, COSINE, TMA, UPCAST, PRECISION,
    )  # fmt: skip
    q = target_tile(target, proba, rows, cols, N, K, M, BLOCK_M, BLOCK_K, TARGET)
    z = add_offset(z0, offset, cols, K, HAS_OFFSET)
    if HAS_MARGIN:
        z -= scale * margin * q
    lse = tl.load(lse_in + rows, mask=rows < N, other=1e30)  # beyond N the softmax is 0, never inf * 0
    rest = tl.load(rest_in + rows, mask=rows < N, other=0.0)
    g = unit_gradient(z, q, lse, rest, cols, K, z_regularization, smoothing)
    weight = tl.load(row_weight + rows, mask=rows < N, other=0.0)
    store_sums(
        g, z0, q, weight, rows, local_cols, N, columns, row_dot, col_dot, col_sum,
        ROW_DOT, COL_DOT, COL_SUM, ATOMIC, HAS_MARGIN,
    )  # fmt: skip
    if FILTER:
        largest = tl.max(tl.where((rows < N)[:, None], tl.abs(g), 0.0))
        tl.store(alive_out + block_row * tl.num_programs(1) + block_col, (largest >= threshold).to(tl.int32))
    left = tl.load(row_factor + rows, mask=rows < N, other=0.0)
    right = tl.load(col_factor + cols, mask=cols < K, other=0.0)
    place = rows.to(tl.int64)[:, None] * columns + local_cols[None, :]
    inside = (rows < N)[:, None] & (local_cols < columns)[None, :]
    tl.store(out + place, (g * left[:, None] * right[None, :]).to(out.dtype.element_ty), mask=inside)


@triton.jit
def few_classes_kernel(
    x, w, offset, inverse_x, inverse_w, scale_at, target, proba, kept, row_weight, row_factor, col_factor,
    loss_out, lse_out, rest_out, out, row_dot, col_dot, col_sum,
    N, K, x_stride, x_inner, w_stride, w_inner, margin, smoothing, z_regularization,
    D: tl.constexpr, M: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    COSINE: tl.constexpr, HAS_OFFSET: tl.constexpr, HAS_MARGIN: tl.constexpr, TARGET: tl.constexpr,
    ROW_DOT: tl.constexpr, COL_DOT: tl.constexpr, COL_SUM: tl.constexpr, ATOMIC: tl.constexpr,
    GRADIENT: tl.constexpr, TMA: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """All K <= BLOCK_K classes at once: loss, logsumexp and the gradient by the logits, x read once."""
    row0 = tl.program_id(0) * BLOCK_M
    rows, cols = row0 + tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_K)
    scale = tl.load(scale_at)
    z0 = tile_logits(
        x, w, row0, 0, N, K, x_stride, x_inner, w_stride, w_inner, inverse_x, inverse_w, scale,
        D, BLOCK_M, BLOCK_K, BLOCK_D, COSINE, TMA, UPCAST, PRECISION,
    )  # fmt: skip
    q = target_tile(target, proba, rows, cols, N, K, M, BLOCK_M, BLOCK_K, TARGET)
    z = add_offset(z0, offset, cols, K, HAS_OFFSET)
    if HAS_MARGIN:
        z -= scale * margin * q
    top = tl.max(z, axis=1)
    log_total = tl.log(tl.sum(tl.exp(z - top[:, None]), axis=1))
    lse = top + log_total
    rest = top - lse + log_total
    finite = tl.where((cols < K)[None, :], z, 0.0)
    expected = tl.sum(((1.0 - smoothing) * q + smoothing / K) * finite, axis=1)
    keep = tl.load(kept + rows, mask=rows < N, other=0)
    loss = tl.where(keep != 0, top - expected + log_total + z_regularization * lse * lse, 0.0)
    tl.store(lse_out + rows, lse, mask=rows < N)
    tl.store(rest_out + rows, rest, mask=rows < N)
    tl.store(loss_out + rows, loss, mask=rows < N)
    if GRADIENT:
        g = unit_gradient(z, q, lse, rest, cols, K, z_regularization, smoothing)
        weight = tl.load(row_weight + rows, mask=rows < N, other=0.0)
        store_sums(
            g, z0, q, weight, rows, cols, N, K, row_dot, col_dot, col_sum,
            ROW_DOT, COL_DOT, COL_SUM, ATOMIC, HAS_MARGIN,
        )  # fmt: skip
        left = tl.load(row_factor + rows, mask=rows < N, other=0.0)
        right = tl.load(col_factor + cols, mask=cols < K, other=0.0)
        place = rows.to(tl.int64)[:, None] * K + cols[None, :]
        inside = (rows < N)[:, None] & (cols < K)[None, :]
        tl.store(out + place, (g * left[:, None] * right[None, :]).to(out.dtype.element_ty), mask=inside)


@triton.jit
def skipping_matmul_kernel(
    a, b, alive, out, rows_out, columns_out, inner_size, a_row, a_inner, b_row, b_inner, alive_row, alive_inner,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    UPCAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out (rows_out, columns_out) += a @ b in float32, passing over the blocks of `a` that are not alive.

    a's blocks are BLOCK_M x BLOCK_K, as `dlogits_kernel` flagged them (strides tell which way round).
    """
    block_row = tl.program_id(0)
    rows = block_row * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for block in range(0, tl.cdiv(inner_size, BLOCK_K)):
        if tl.load(alive + block_row * alive_row + block * alive_inner) != 0:
            inner = block * BLOCK_K + tl.arange(0, BLOCK_K)
            left = a + rows.to(tl.int64)[:, None] * a_row + inner.to(tl.int64)[None, :] * a_inner
            right = b + inner.to(tl.int64)[:, None] * b_row + columns[None, :] * b_inner
            u = tl.load(left, mask=(rows < rows_out)[:, None] & (inner < inner_size)[None, :], other=0.0)
            v = tl.load(
                right, mask=(inner < inner_size)[:, None] & (columns < columns_out)[None, :], other=0.0
            )
            if UPCAST:
                u = u.to(tl.float32)
                v = v.to(tl.float32)
            total = tl.dot(u, v, total, input_precision=PRECISION)
    place = out + rows.to(tl.int64)[:, None] * columns_out + columns[None, :]
    inside = (rows < rows_out)[:, None] & (columns < columns_out)[None, :]
    tl.store(place, tl.load(place, mask=inside, other=0.0) + total, mask=inside)
