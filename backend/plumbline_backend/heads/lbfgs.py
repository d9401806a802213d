"""Preconditioned L-BFGS for smooth convex functions, exact to a tolerance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

MEMORY = 12
"""Pairs kept."""
_SUFFICIENT = 1e-4
_CURVATURE = 0.5
_MAX_TRIALS = 25
_NOISE = 1e-14
"""Relative rounding of a float64 sum of losses: smaller increases are not increases."""


class Point(NamedTuple):
    """A place, the function's value there, and its gradient (same shape as the place)."""

    x: Tensor
    value: float
    gradient: Tensor


class Solution(NamedTuple):
    """Where the search ended. `converged`: the gradient's measure is at most the tolerance."""

    point: Point
    gradient_size: float
    n_iterations: int
    n_evaluations: int
    converged: bool


def minimise(
    evaluate: Callable[[Tensor], tuple[float, Tensor]],
    start: Tensor,
    precondition: Callable[[Tensor], Tensor],
    measure: Callable[[Tensor], float],
    tolerance: float,
    max_iterations: int,
) -> Solution:
    """Minimise a convex function of a float64 tensor.

    evaluate(x) gives value and gradient; precondition(g) approximates H^-1 g for the Hessian H and must be
    symmetric positive definite; measure(g) is the size that has to fall to `tolerance`.
    Stops unconverged at `max_iterations`, or when rounding hides any further descent.
    Source: Nocedal and Wright 2006, algorithms 7.4, 7.5 and 3.5.
    """
    point = Point(start, *evaluate(start))
    pairs: deque[tuple[Tensor, Tensor, float]] = deque(maxlen=MEMORY)
    n_evaluations, n_iterations = 1, 0
    size = measure(point.gradient)
    while size > tolerance and n_iterations < max_iterations:
        direction = _direction(point.gradient, pairs, precondition)
        found, n_trials = _line_search(evaluate, point, direction)
        n_evaluations += n_trials
        n_iterations += 1
        if found is None:
            break
        step, change = found.x - point.x, found.gradient - point.gradient
        curvature = _dot(step, change)
        if curvature > 0:
            pairs.append((step, change, curvature))
        point, size = found, measure(found.gradient)
    return Solution(point, size, n_iterations, n_evaluations, size <= tolerance)


def _direction(
    gradient: Tensor,
    pairs: deque[tuple[Tensor, Tensor, float]],
    precondition: Callable[[Tensor], Tensor],
) -> Tensor:
    """-H^-1 g by the two-loop recursion around the preconditioner."""
    remaining = gradient.clone()
    shares: list[float] = []
    for step, change, curvature in reversed(pairs):
        share = _dot(step, remaining) / curvature
        remaining -= share * change
        shares.append(share)
    direction = precondition(remaining)
    if pairs:
        _, change, curvature = pairs[-1]
        direction *= curvature / _dot(change, precondition(change))
    for (step, change, curvature), share in zip(pairs, reversed(shares), strict=True):
        direction += (share - _dot(change, direction) / curvature) * step
    return -direction


def _line_search(
    evaluate: Callable[[Tensor], tuple[float, Tensor]], start: Point, direction: Tensor
) -> tuple[Point | None, int]:
    """A point that is lower and whose slope has at least halved; None when rounding hides it.

    Along a convex function the slope grows monotonically, so slopes of both signs bracket the minimum and
    their secant finds it; the first trial is the full step, which is nearly always taken.
    """
    first_slope = _dot(start.gradient, direction)
    if not first_slope < 0:
        return None, 0
    noise = _NOISE * abs(start.value)
    short, short_slope = 0.0, first_slope
    long: float | None = None
    long_slope = 0.0
    step = 1.0
    for trial in range(1, _MAX_TRIALS + 1):
        x = start.x + step * direction
        point = Point(x, *evaluate(x))
        slope = _dot(point.gradient, direction)
        lower = point.value <= start.value + _SUFFICIENT * step * first_slope + noise
        if lower and abs(slope) <= -_CURVATURE * first_slope:
            return point, trial
        if slope < 0 and lower:
            short, short_slope = step, slope
        else:
            long, long_slope = step, slope
        step = 2 * step if long is None else _secant(short, short_slope, long, long_slope)
    return None, _MAX_TRIALS


def _secant(short: float, short_slope: float, long: float, long_slope: float) -> float:
    """Where the slope's chord crosses zero, kept off the ends; the middle when the slopes do not bracket."""
    if not long_slope > 0 or long_slope == float("inf"):
        return (short + long) / 2
    share = -short_slope / (long_slope - short_slope)
    return short + min(max(share, 0.05), 0.95) * (long - short)


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.reshape(-1), b.reshape(-1)))
