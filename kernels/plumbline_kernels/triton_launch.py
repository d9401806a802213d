"""What a launch needs besides its tile: strides, norms, offsets, flags, descriptors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from plumbline_kernels.dispatch import interpreter_is_on
from plumbline_kernels.problem import Goal, Head
from plumbline_kernels.tiles import Tile, capability_of, processors
from plumbline_kernels.triton_tile import DENSE, HARD, SPARSE, inverse_norm_kernel


@dataclass(frozen=True)
class Launch:
    """One call's tensors, ready for the kernels. Vectors are float32; `nothing` stands for an absent one."""

    x: Tensor
    w: Tensor
    offset: Tensor | None
    inverse_x: Tensor | None
    inverse_w: Tensor | None
    scale: Tensor
    nothing: Tensor

    @property
    def device(self) -> torch.device:
        return self.x.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, classes and features."""
        return self.x.shape[0], self.w.shape[0], self.x.shape[1]

    @property
    def processors(self) -> int:
        return processors(self.x.device)

    def rows(self, span: slice) -> Launch:
        """The same call for some of the rows."""
        return replace(
            self, x=self.x[span], inverse_x=None if self.inverse_x is None else self.inverse_x[span]
        )

    def matrices(self, tile: Tile) -> tuple[Any, Any]:
        """x and w as pointers, or as TMA descriptors where the device and the layout allow them."""
        if not self.uses_tma():
            return self.x, self.w
        from triton.tools.tensor_descriptor import TensorDescriptor

        return (
            TensorDescriptor.from_tensor(self.x, [tile.block_m, tile.block_d]),
            TensorDescriptor.from_tensor(self.w, [tile.block_k, tile.block_d]),
        )

    def vectors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """offset, inverse_x, inverse_w and scale, as every kernel takes them."""
        parts = (self.offset, self.inverse_x, self.inverse_w)
        a, b, c = (self.nothing if part is None else part for part in parts)
        return a, b, c, self.scale

    def strides(self) -> tuple[int, ...]:
        """Row and inner stride of x, then of w."""
        return (*self.x.stride(), *self.w.stride())

    def uses_tma(self) -> bool:
        """Hopper and later, two-byte types (float32 tiles spill with it), both matrices with 16-byte rows."""
        if self.device.type != "cuda" or self.x.element_size() != 2:
            return False
        if capability_of(self.device) < (9, 0):
            return False
        return all(tma_layout(matrix) for matrix in (self.x, self.w))

    def constants(self, tile: Tile) -> dict[str, Any]:
        """The compile-time arguments that every kernel with a tile of logits takes."""
        return {
            "D": self.x.shape[1],
            "BLOCK_M": tile.block_m,
            "BLOCK_K": tile.block_k,
            "BLOCK_D": tile.block_d,
            "COSINE": self.inverse_x is not None,
            "HAS_OFFSET": self.offset is not None,
            "TMA": self.uses_tma(),
            "UPCAST": interpreter_is_on(),
            "PRECISION": precision(self.x.dtype),
            "num_warps": tile.warps,
            "num_stages": tile.stages,
        }


def tma_layout(matrix: Tensor) -> bool:
    """Whether a TMA descriptor can describe the matrix: unit inner stride, 16-byte rows and address."""
    step = matrix.element_size()
    aligned = matrix.data_ptr() % 16 == 0 and (matrix.stride(0) * step) % 16 == 0
    return matrix.stride(1) == 1 and aligned and matrix.numel() > 0


def precision(dtype: torch.dtype) -> str:
    """float32 products are exact ("ieee") unless torch was told that tf32 will do."""
    return "tf32" if dtype == torch.float32 and torch.backends.cuda.matmul.allow_tf32 else "ieee"


def prepare(features: Tensor, head: Head) -> Launch:
    """Norms, offsets and scale of a call, all in float32 on the features' device."""
    x, w = features.detach(), head.weight.detach()
    return Launch(
        x=x,
        w=w,
        offset=None if (offset := head.offset(torch.float32)) is None else offset.detach().contiguous(),
        inverse_x=inverse_norms_of(x) if head.normalize else None,
        inverse_w=inverse_norms_of(w) if head.normalize else None,
        scale=head.scale.detach().to(torch.float32),
        nothing=torch.empty(1, dtype=torch.float32, device=x.device),
    )


def inverse_norms_of(matrix: Tensor) -> Tensor:
    """(n,) float32, by `inverse_norm_kernel`."""
    n, d = matrix.shape
    out = torch.empty(n, dtype=torch.float32, device=matrix.device)
    if n:
        grid = (-(-n // 32),)
        inverse_norm_kernel[grid](matrix, out, n, *matrix.stride(), D=d, BLOCK_M=32, BLOCK_D=64)
    return out


@dataclass(frozen=True)
class Target:
    """The goal's targets as the kernels take them."""

    kind: int
    classes: Tensor
    proba: Tensor
    width: int
    kept: Tensor

    def constants(self) -> dict[str, int]:
        return {"TARGET": self.kind, "M": self.width}


def prepare_target(goal: Goal, n_rows: int, like: Launch) -> Target:
    """Targets, contiguous, and for each row whether it counts (int32)."""
    if goal.hard is not None:
        hard = goal.hard.contiguous()
        return Target(HARD.value, hard, like.nothing, 1, (hard >= 0).to(torch.int32))
    if goal.proba is None:
        raise ValueError("a goal without targets")
    proba = goal.proba.contiguous()
    if goal.index is not None:
        index = goal.index.contiguous()
        return Target(SPARSE.value, index, proba, index.shape[1], (index >= 0).any(1).to(torch.int32))
    kept = torch.ones(n_rows, dtype=torch.int32, device=like.device)
    return Target(DENSE.value, like.nothing, proba, 1, kept)
