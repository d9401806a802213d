"""The factored Z-loss equals dense gradient descent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.z_loss import ZLossWeights


def dense_step(weight: torch.Tensor, h: torch.Tensor, target: int, rate: float, a: float, b: float) -> float:
    """The same loss by autograd over all logits."""
    weight.requires_grad_()
    o = weight @ h
    z = (o[target] - o.mean()) / o.var(unbiased=False).sqrt()
    loss = softplus(a * (b - z), threshold=1e9) / a
    (gradient,) = torch.autograd.grad(loss, weight)
    with torch.no_grad():
        weight -= rate * gradient
    return float(loss.detach())


def test_thirty_steps_equal_dense_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-10, one refreshing of the parts included."""
    monkeypatch.setattr("plumbline_backend.heads.z_loss.REFRESH", 20)
    draw = np.random.default_rng(0)
    start = draw.normal(size=(50, 6))
    ours, dense = ZLossWeights(start, a=0.5, b=3.0), torch.from_numpy(start.copy())
    for _ in range(30):
        h, target = draw.normal(size=6), int(draw.integers(50))
        assert ours.step(h, target, 0.1) == pytest.approx(
            dense_step(dense, torch.from_numpy(h), target, 0.1, 0.5, 3.0)
        )
    np.testing.assert_allclose(ours.weight, dense.detach().numpy(), atol=1e-10)


def test_it_learns() -> None:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(200, 16))
    head = ZLossWeights(0.1 * draw.normal(size=(200, 16)), a=1.0, b=5.0)
    for target in draw.integers(200, size=6000):
        head.step(centres[target], int(target), 0.5)
    assert ((head.weight @ centres.T).argmax(axis=0) == np.arange(200)).mean() > 0.8


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(InputError, match=r"weight has shape \(1, 3\)"):
        ZLossWeights(np.ones((1, 3)))
    with pytest.raises(InputError, match="target is 9; expected a class from 0 to 1"):
        ZLossWeights(np.eye(2)).step(np.ones(2), 9, 0.1)
