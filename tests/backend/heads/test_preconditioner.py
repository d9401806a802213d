"""Each way of preconditioning solves the system it states."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plumbline_backend.heads import preconditioner
from plumbline_backend.heads.preconditioner import softmax_preconditioner


def problem(n: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n + d)
    weight = torch.rand(n, dtype=torch.float64, generator=generator) + 0.1
    x = 5 + torch.randn(n, d, dtype=torch.float64, generator=generator)
    return x, weight, torch.rand(d, dtype=torch.float64, generator=generator) + 0.01


def with_bias(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)


@pytest.mark.parametrize(("n", "d"), [(50, 6), (6, 50), (7, 7), (1, 3), (3, 1)])
def test_it_solves_its_system(n: int, d: int) -> None:
    """The inverse is applied to random right sides, one per class, and multiplied back."""
    x, weight, ridge = problem(n, d)
    matrix = torch.diag(torch.cat([ridge, torch.zeros(1, dtype=torch.float64)]))
    matrix += with_bias(x).T @ (weight[:, None] * with_bias(x))
    gradient = torch.randn(4, d + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = softmax_preconditioner(x, weight, ridge)(gradient)
    torch.testing.assert_close(found @ matrix, gradient, atol=1e-8, rtol=1e-8)


def test_beyond_the_limit_the_diagonal_is_inverted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of weighted mean zero leave the bias on its own."""
    monkeypatch.setattr(preconditioner, "MAX_FACTOR", 3)
    x, weight, ridge = problem(9, 5)
    x = x - weight @ x / weight.sum()
    found = softmax_preconditioner(x, weight, ridge)(torch.ones(2, 6, dtype=torch.float64))
    torch.testing.assert_close(found[0, :-1], 1 / (ridge + (weight[:, None] * x**2).sum(dim=0)))
    torch.testing.assert_close(found[:, -1], (1 / weight.sum()).expand(2))


@pytest.mark.parametrize("limit", [4096, 0])
@pytest.mark.parametrize(("n", "d"), [(20, 4), (3, 8)])
def test_a_singular_system_is_lifted(n: int, d: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant column and no penalty: the result is finite and still points downhill."""
    monkeypatch.setattr(preconditioner, "MAX_FACTOR", limit)
    x, weight, _ = problem(n, d)
    x[:, 2] = 7.0
    gradient = torch.randn(3, d + 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = softmax_preconditioner(x, weight, torch.zeros(d, dtype=torch.float64))(gradient)
    assert torch.isfinite(found).all()
    assert ((found * gradient).sum(dim=1) > 0).all()


@pytest.mark.parametrize("limit", [4096, 0])
@pytest.mark.parametrize("d", [2, 9])
def test_constant_columns_alone_are_survived(d: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconditioner, "MAX_FACTOR", limit)
    zeros = torch.zeros(4, d, dtype=torch.float64)
    apply = softmax_preconditioner(zeros, torch.ones(4, dtype=torch.float64), zeros[0])
    assert torch.isfinite(apply(torch.ones(1, d + 1, dtype=torch.float64))).all()
