"""The parts that every Triton kernel shares: a tile of logits, its targets, and the gradient by a logit.

Logits live in registers only. Products are summed in float32; under the interpreter, which computes bfloat16
products wrongly, the factors are widened first (UPCAST).
"""

# Triton types these arguments itself: pointers, descriptors and blocks.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import triton
import triton.language as tl

HARD = tl.constexpr(0)
SPARSE = tl.constexpr(1)
DENSE = tl.constexpr(2)


@triton.jit
def load_block(
    source, first, place, size, stride, inner, d0, D: tl.constexpr, BLOCK_D: tl.constexpr, TMA: tl.constexpr
):
    """A (rows, BLOCK_D) block of a matrix, zero outside; `place` are its rows and `first` the first of them."""
    if TMA:
        block = source.load([first, d0])
    else:
        columns = (d0 + tl.arange(0, BLOCK_D)).to(tl.int64)  # by columns, 10 M rows of 384 pass 2^31
        pointers = source + place.to(tl.int64)[:, None] * stride + columns[None, :] * inner
        inside = (place < size)[:, None]
        if D % BLOCK_D != 0:
            inside = inside & (columns < D)[None, :]
        block = tl.load(pointers, mask=inside, other=0.0)
    return block


@triton.jit
def tile_logits(
    x, w, row0, col0, N, K, x_stride, x_inner, w_stride, w_inner, inverse_x, inverse_w, scale,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_D: tl.constexpr,
    COSINE: tl.constexpr, TMA: tl.constexpr, UPCAST: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """(BLOCK_M, BLOCK_K) of scale * <x, w>, or of scale * cosine."""
    rows = row0 + tl.arange(0, BLOCK_M)
    cols = col0 + tl.arange(0, BLOCK_K)
    z = tl.zeros((BLOCK_M, BLOCK_K), dtype=tl.float32)
    for d0 in range(0, D, BLOCK_D):
        a = load_block(x, row0, rows, N, x_stride, x_inner, d0, D, BLOCK_D, TMA)
        b = load_block(w, col0, cols, K, w_stride, w_inner, d0, D, BLOCK_D, TMA)
        if UPCAST:
            a = a.to(tl.float32)
            b = b.to(tl.float32)
        z = tl.dot(a, tl.trans(b), z, input_precision=PRECISION)
    if COSINE:
        short_x = tl.load(inverse_x + rows, mask=rows < N, other=0.0) * scale
        short_w = tl.load(inverse_w + cols, mask=cols < K, other=0.0)
        z = z * short_x[:, None] * short_w[None, :]
    else:
        z = z * scale
    return z


@triton.jit
def target_tile(
    target, proba, rows, cols, N, K, M: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, TARGET: tl.constexpr,
):  # fmt: skip
    """(BLOCK_M, BLOCK_K) target probabilities, before smoothing; ignored rows and padding are -1 and give 0."""
    inside = rows < N
    if TARGET == HARD:
        label = tl.load(target + rows, mask=inside, other=-1)
        q = tl.where(cols[None, :] == label[:, None], 1.0, 0.0)
    elif TARGET == SPARSE:
        q = tl.zeros((BLOCK_M, BLOCK_K), dtype=tl.float32)
        for j in range(M):
            place = rows.to(tl.int64) * M + j
            label = tl.load(target + place, mask=inside, other=-1)
            share = tl.load(proba + place, mask=inside, other=0.0).to(tl.float32)
            q += tl.where(cols[None, :] == label[:, None], share[:, None], 0.0)
    else:
        place = rows.to(tl.int64)[:, None] * K + cols[None, :]
        q = tl.load(proba + place, mask=inside[:, None] & (cols < K)[None, :], other=0.0).to(tl.float32)
    return q


@triton.jit
def add_offset(z, offset, cols, K, HAS_OFFSET: tl.constexpr):
    """Add bias and prior, and put -inf where there is no class."""
    inside = cols < K
    if HAS_OFFSET:
        z = z + tl.load(offset + cols, mask=inside, other=0.0)[None, :]
    return tl.where(inside[None, :], z, float("-inf"))


@triton.jit
def unit_gradient(z, q, lse, rest, cols, K, z_regularization, smoothing):
    """The gradient of a row's unweighted loss by its logits; 0 where there is no class.

    rest: what rounding took off the logsumexp.
    """
    p = tl.exp(z - lse[:, None])
    g = p * (tl.exp(-rest) * (1.0 + 2.0 * z_regularization * lse))[:, None] - (1.0 - smoothing) * q
    return tl.where((cols < K)[None, :], g - smoothing / K, 0.0)


@triton.jit
def inverse_norm_kernel(
    source, out, n, stride, inner, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr
):
    """out[i] = 1 / |row i|, 0 for a row shorter than 1e-12."""
    row0 = tl.program_id(0) * BLOCK_M
    rows = row0 + tl.arange(0, BLOCK_M)
    square = tl.zeros((BLOCK_M,), dtype=tl.float32)
    for d0 in range(0, D, BLOCK_D):
        block = load_block(source, row0, rows, n, stride, inner, d0, D, BLOCK_D, False).to(tl.float32)
        square += tl.sum(block * block, axis=1)
    norm = tl.sqrt(square)
    tl.store(out + rows, tl.where(norm > 1e-12, 1.0 / tl.maximum(norm, 1e-12), 0.0), mask=rows < n)
