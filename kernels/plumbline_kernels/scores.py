"""Every score that the loop uses, in one pass over the classes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from plumbline_kernels import checks, ops
from plumbline_kernels.dispatch import Path, which_path
from plumbline_kernels.problem import Head, compute_dtype
from plumbline_kernels.reference import reference_scores

CALL = "score_classes"
MAX_TOP_M = 64


class ClassScores(NamedTuple):
    """What is known about each of N items; float64 for float64 features and float32 otherwise.

    argmax: (N,) int64, ties to the lowest class. top1, top2: (N,) probabilities, top2 is 0 when K = 1.
    entropy: (N,) in nats, in [0, log K]. logsumexp: (N,), minus the free energy.
    topm_values, topm_index: (N, top_m) probabilities and classes, likeliest first, or None when top_m = 0;
    ties inside the list go to the lowest class.
    """

    argmax: Tensor
    top1: Tensor
    top2: Tensor
    entropy: Tensor
    logsumexp: Tensor
    topm_values: Tensor | None = None
    topm_index: Tensor | None = None


@torch.no_grad()
def score_classes(
    features: Tensor,
    weight: Tensor,
    *,
    bias: Tensor | None = None,
    normalize: bool = False,
    scale: float | Tensor = 1.0,
    top_m: int = 0,
    check_values: bool = True,
    path: Path = "auto",
) -> ClassScores:
    """Argmax, top-1, top-2, entropy and logsumexp of scale * <x, w> + bias, no (N, K) array at any size.

    features (N, D), weight (K, D) of one floating type, bias (K,); normalize: cosines times scale.
    A calibrated head with temperature T is scale = 1 / T and bias / T. top_m: 0 to min(K, 64) likeliest
    classes as well. check_values=False (and torch.compile) leaves out the look for NaN, infinities and logits that
    overflow: such rows have a NaN in their scores, never an order. No gradients.
    Raises ValueError with every mistake and its numbers before anything is computed; only logits that overflow
    are noticed afterwards.
    """
    found = checks.matrix_problems(features, weight)
    if not found:
        found += checks.head_problems(features, weight, bias, scale)
        limit = min(MAX_TOP_M, weight.shape[0])
        if isinstance(top_m, bool) or not isinstance(top_m, int) or not 0 <= top_m <= limit:
            found.append(f"top_m is {top_m!r}, expected 0 to {limit} (of {weight.shape[0]} classes)")
    if not isinstance(normalize, bool):
        found.append(f"normalize is {normalize!r}, expected True or False")
    checks.refuse(found, CALL)
    kind = features.device.type
    if torch.is_autocast_enabled(kind) and features.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(kind)
        features, weight = features.to(dtype), weight.to(dtype)
    chosen = path if torch.compiler.is_compiling() else which_path(features.device, features.dtype, path).name
    if not isinstance(scale, Tensor):
        scale = torch.full((), float(scale), dtype=compute_dtype(features.dtype), device=features.device)
    checked = check_values and not torch.compiler.is_compiling()
    if checked:
        found = checks.finite_problems(features=features, weight=weight, bias=bias, scale=scale)
        checks.refuse(found or checks.scale_value_problems(scale), CALL)
    if chosen == "reference":
        head = Head(weight, bias, scale, None, normalize)
        scores = ClassScores(*reference_scores(features, head, top_m))
    else:
        scores = ClassScores(*ops.scores(features, weight, bias, scale, normalize, top_m, path))
    if checked:
        checks.refuse(
            checks.overflow_problems(scores.logsumexp + scores.entropy, features, weight, scale), CALL
        )
    return scores if top_m else scores._replace(topm_values=None, topm_index=None)
