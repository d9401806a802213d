"""Scores by the Triton path: one launch over the classes, one small merge."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from plumbline_kernels.problem import Head
from plumbline_kernels.tiles import Tile, chosen_tile, regime, splits
from plumbline_kernels.triton_launch import Launch, prepare
from plumbline_kernels.triton_scores import combine_scores_kernel, scores_kernel, top_m_kernel

NAMES = ("argmax", "top1", "top2", "entropy", "logsumexp")


def triton_scores(features: Tensor, head: Head, top_m: int, out: dict[str, Tensor]) -> None:
    """Fill `out`, as `cpu_scores` does. Beside `out` it needs 20 bytes per row and split, and 12 top_m."""
    n, k = features.shape[0], head.n_classes
    if n == 0:
        return
    launch = prepare(features, head)

    def run(tile: Tile) -> None:
        _scores(launch, out, tile)

    run(chosen_tile("scores", regime(n, k), features.dtype, launch.device, launch.shape, run))
    if top_m:
        _top_m(launch, top_m, out)


def _scores(launch: Launch, out: dict[str, Tensor], tile: Tile) -> None:
    n, k = launch.x.shape[0], launch.w.shape[0]
    parts, per_part = splits(n, k, tile, launch.processors)
    top, second, s, t = torch.empty(4, parts, n, dtype=torch.float32, device=launch.device)
    index = torch.empty(parts, n, dtype=torch.int32, device=launch.device)
    scores_kernel[(-(-n // tile.block_m), parts)](
        *launch.matrices(tile), *launch.vectors(), top, index, second, s, t,
        n, k, *launch.strides(), per_part, **launch.constants(tile),
    )  # fmt: skip
    combine_scores_kernel[(-(-n // 128),)](
        top, index, second, s, t, *(out[name] for name in NAMES), n, parts, BLOCK=128
    )


def _top_m(launch: Launch, top_m: int, out: dict[str, Tensor]) -> None:
    """The likeliest classes, in chunks of rows so that the splits' lists stay small beside the output."""
    k = launch.w.shape[0]
    rows = 65536

    def run(tile: Tile, part: Launch) -> tuple[Tensor, Tensor]:
        n = part.x.shape[0]
        parts, per_part = splits(n, k, tile, part.processors)
        values = torch.empty(parts, n, top_m, dtype=torch.float32, device=part.device)
        index = torch.empty(parts, n, top_m, dtype=torch.int32, device=part.device)
        top_m_kernel[(-(-n // tile.block_m), parts)](
            *part.matrices(tile), *part.vectors(), values, index,
            n, k, *part.strides(), per_part, TOP_M=top_m, SLOTS=max(2, 1 << (top_m - 1).bit_length()),
            **part.constants(tile),
        )  # fmt: skip
        return values, index

    for start in range(0, launch.x.shape[0], rows):
        span = slice(start, min(start + rows, launch.x.shape[0]))
        part = launch.rows(span)
        tile = chosen_tile("top_m", "any", part.x.dtype, part.device, part.shape, partial(run, part=part))
        values, index = _merged(*run(tile, part), top_m)
        out["topm_values"][span] = torch.exp(values - out["logsumexp"][span, None])
        out["topm_index"][span] = index


def _merged(values: Tensor, index: Tensor, top_m: int) -> tuple[Tensor, Tensor]:
    """The splits' lists (splits, N, m) as one (N, m), larger first, ties to the lowest class."""
    flat_values, flat_index = (part.transpose(0, 1).flatten(1) for part in (values, index))
    by_class = flat_index.argsort(dim=1, stable=True)
    flat_values, flat_index = flat_values.gather(1, by_class), flat_index.gather(1, by_class)
    order = flat_values.argsort(dim=1, descending=True, stable=True)[:, :top_m]
    return flat_values.gather(1, order), flat_index.gather(1, order).to(torch.int64)
