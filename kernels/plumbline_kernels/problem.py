"""The values that travel between the public functions and the paths that compute them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

TINY_NORM = 1e-12  # a vector shorter than this has no direction: its cosines and its gradient are 0


class SparseTargets(NamedTuple):
    """Soft targets that name only the classes with a probability.

    classes: (N, m) int64; an entry equal to `ignore_index` is padding and must have probability 0,
    and a row of padding only is ignored. probability: (N, m) floating, >= 0, rows sum to 1. A class may be
    named twice: its probabilities add up.
    """

    classes: Tensor
    probability: Tensor


@dataclass(frozen=True)
class Head:
    """What turns features into logits: z = scale * <x, w> + bias + prior, cosines when `normalize`.

    weight (K, D), bias (K,) or None, scale 0-dim, prior (K,) or None; all on the features' device.
    """

    weight: Tensor
    bias: Tensor | None
    scale: Tensor
    prior: Tensor | None
    normalize: bool

    @property
    def n_classes(self) -> int:
        return self.weight.shape[0]

    def offset(self, dtype: torch.dtype) -> Tensor | None:
        """bias + prior, (K,) in `dtype`, or None when both are absent."""
        parts = [part.to(dtype) for part in (self.bias, self.prior) if part is not None]
        return sum(parts[1:], parts[0]) if parts else None


@dataclass(frozen=True)
class Goal:
    """What the logits are held against.

    Exactly one form of target is set: hard (N,) int64 with -1 for ignored rows; index and proba (N, m);
    or proba alone (N, K). margin is subtracted from the target's cosine (hard targets only).
    """

    hard: Tensor | None
    index: Tensor | None
    proba: Tensor | None
    margin: float
    label_smoothing: float
    z_regularization: float

    def rows(self, start: int, stop: int) -> Goal:
        """The goal of rows start:stop."""
        hard, index, proba = (
            part if part is None else part[start:stop] for part in (self.hard, self.index, self.proba)
        )
        return replace(self, hard=hard, index=index, proba=proba)


class Wanted(NamedTuple):
    """Which gradients are to be computed."""

    features: bool
    weight: bool
    bias: bool
    scale: bool


class Gradients(NamedTuple):
    """One tensor per input of the same name, or None where it was not wanted."""

    features: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    scale: Tensor | None


class RowLosses(NamedTuple):
    """loss: (N,), unweighted, 0 for ignored rows. logsumexp: (N,), of all logits of the row.

    rest: (N,) what rounding took off the logsumexp. At a logit of 1e4 float32 steps by 1e-3; with
    e^(z - logsumexp) * e^-rest the softmax is right nevertheless.
    """

    loss: Tensor
    logsumexp: Tensor
    rest: Tensor


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 stays float64; everything else is accumulated in float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def inverse_norms(rows: Tensor, dtype: torch.dtype) -> Tensor:
    """1 / |row|, (n,) in `dtype`; 0 for rows shorter than TINY_NORM."""
    norms = torch.linalg.vector_norm(rows, dim=1, dtype=dtype)
    return torch.where(norms > TINY_NORM, 1.0 / norms.clamp_min(TINY_NORM), torch.zeros_like(norms))
