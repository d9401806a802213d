"""The factored Z-loss equals dense gradient descent; the sampled softmax equals the full one when all are sampled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, softplus

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.z_loss import ZLossWeights, sampled_softmax_step


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


def test_a_sample_of_all_classes_is_the_full_softmax() -> None:
    draw = np.random.default_rng(0)
    start, x = draw.normal(size=(5, 4)), draw.normal(size=(3, 4))
    y = np.array([0, 2, 4])
    weight = torch.from_numpy(start.copy()).requires_grad_()
    loss = cross_entropy(torch.from_numpy(x) @ weight.T, torch.from_numpy(y))
    (gradient,) = torch.autograd.grad(loss, weight)
    ours = start.copy()
    assert sampled_softmax_step(ours, x, y, 1000, 0.3, draw) == pytest.approx(float(loss.detach()))
    np.testing.assert_allclose(ours, start - 0.3 * gradient.numpy(), atol=1e-12)


def test_impossible_calls_are_refused() -> None:
    with pytest.raises(InputError, match=r"weight has shape \(1, 3\)"):
        ZLossWeights(np.ones((1, 3)))
    with pytest.raises(InputError, match="target is 9; expected a class from 0 to 1"):
        ZLossWeights(np.eye(2)).step(np.ones(2), 9, 0.1)
    with pytest.raises(InputError, match="expected classes from 0 to 1"):
        sampled_softmax_step(np.eye(2), np.ones((1, 2)), np.array([2]), 1, 0.1, np.random.default_rng(0))
