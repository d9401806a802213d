"""Learning from a distribution over the classes in two parts: the labelled class, and the order of the others."""

from __future__ import annotations

import torch
from torch import Tensor


def nkd_loss(logits: Tensor, soft: Tensor, weight: float) -> Tensor:
    """(n,) normalised distillation loss of (n, K) logits against (n, K) distributions.

    The labelled class t is the largest share, T_t. Loss: (1 + T_t) / 2 times -log p_t, and `weight` times the
    cross-entropy of the other classes among themselves, both distributions divided by what they leave to them. A
    certain label has no second part and the plain cross-entropy. Source: Yang et al. 2023 (NKD), the first part halved
    so that certain labels keep their weight.
    """
    target = soft.argmax(dim=1, keepdim=True)
    share = soft.gather(1, target).squeeze(1)
    own = torch.logsumexp(logits, dim=1) - logits.gather(1, target).squeeze(1)
    others = logits.scatter(1, target, float("-inf"))
    left = soft.scatter(1, target, 0.0)
    rest = left.sum(dim=1, keepdim=True)
    spread = left / rest.clamp_min(1e-12)
    apart = torch.logsumexp(others, dim=1) * spread.sum(dim=1) - (spread * logits).sum(dim=1)
    return (1 + share) / 2 * own + weight * torch.where(rest.squeeze(1) > 1e-9, apart, 0.0)
