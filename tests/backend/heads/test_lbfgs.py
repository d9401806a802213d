"""The optimiser on functions whose minima are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from plumbline_backend.heads.lbfgs import Stage, minimise


def quadratic(hessian: Tensor, centre: Tensor) -> Stage:
    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        gradient = hessian @ (x - centre)
        return float((x - centre).flatten() @ gradient.flatten()) / 2, gradient

    return Stage(evaluate, tolerance=1e-10, noise=1e-14)


def test_a_quadratic_with_its_own_hessian_takes_one_step() -> None:
    """The Newton step from anywhere ends at the minimum."""
    hessian = torch.tensor([[4.0, 1.0], [1.0, 100.0]], dtype=torch.float64)
    centre = torch.tensor([[3.0], [-2.0]], dtype=torch.float64)
    found = minimise(
        [quadratic(hessian, centre)], torch.zeros_like(centre), lambda _: lambda g: hessian.inverse() @ g, 50
    )
    assert found.converged
    assert (found.n_iterations, found.n_evaluations) == (1, 2)
    torch.testing.assert_close(found.point.x, centre)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_a_wrong_preconditioner_costs_iterations_not_accuracy(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(12, 12, dtype=torch.float64, generator=generator)
    hessian = half @ half.T + torch.eye(12, dtype=torch.float64)
    centre = torch.randn(12, 1, dtype=torch.float64, generator=generator)
    found = minimise(
        [quadratic(hessian, centre)], torch.zeros_like(centre), lambda _: lambda g: scale * g, 200
    )
    assert found.converged
    torch.testing.assert_close(found.point.x, centre, atol=1e-8, rtol=0)


def test_a_step_that_is_far_too_long_is_brought_back() -> None:
    """log cosh has slope tanh: from 5 a step of 1000 overshoots into its flat arm."""

    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        return float((x.abs() + torch.log1p(torch.exp(-2 * x.abs()))).sum()), torch.tanh(x)

    start = torch.full((1, 1), 5.0, dtype=torch.float64)
    found = minimise([Stage(evaluate, 1e-12, 1e-15)], start, lambda _: lambda g: 1000 * g, 100)
    assert found.converged
    assert abs(float(found.point.x)) < 1e-11


def test_a_start_at_the_minimum_is_left_alone() -> None:
    centre = torch.ones(3, 1, dtype=torch.float64)
    found = minimise(
        [quadratic(torch.eye(3, dtype=torch.float64), centre)], centre, lambda _: lambda g: g, 10
    )
    assert (found.n_iterations, found.n_evaluations, found.converged) == (0, 1, True)
    torch.testing.assert_close(found.point.x, centre)


def test_a_later_stage_starts_where_the_first_ended() -> None:
    """The first stage is the same function off by noise in its gradient: it can reach 1e-3, not 1e-10."""
    centre = torch.ones(3, 1, dtype=torch.float64)
    exact = quadratic(torch.eye(3, dtype=torch.float64), centre)

    def rough(x: Tensor) -> tuple[float, Tensor]:
        value, gradient = exact.evaluate(x)
        return value, gradient.round(decimals=3)

    found = minimise([Stage(rough, 1e-3, 1e-6), exact], torch.zeros_like(centre), lambda _: lambda g: g, 50)
    assert found.converged
    torch.testing.assert_close(found.point.x, centre)


def test_it_stops_unconverged_when_rounding_hides_descent() -> None:
    """A value that never falls: no step is accepted, and the place is the start."""
    start = torch.ones(1, 1, dtype=torch.float64)
    stuck = Stage(lambda x: (float((x - 1).abs().sum()), torch.ones_like(x)), 1e-9, 0.0)
    found = minimise([stuck], start, lambda _: lambda g: g, 50)
    assert not found.converged
    torch.testing.assert_close(found.point.x, start)


def test_the_number_of_iterations_is_a_limit() -> None:
    hessian = torch.diag(torch.logspace(0, 6, 20, dtype=torch.float64))
    centre = torch.ones(20, 1, dtype=torch.float64)
    found = minimise([quadratic(hessian, centre)], torch.zeros_like(centre), lambda _: lambda g: 1e-6 * g, 3)
    assert found.n_iterations == 3
    assert not found.converged
