"""Refit of the softmax head on 10,000 x 384 against scikit-learn's LogisticRegression, to the same objective.

    python benchmarks/refit.py [--rounds 5] [--data embeddings.npz]

Both minimise the same sum of losses plus |W|^2 / 2 (C = 1). The minimum is found once to a gradient of 1e-8; each
solver then gets the loosest tolerance of a ladder with which it comes within 1e-5 of it, relatively, and is timed
with that one, interleaved. scikit-learn is given float32 and float64 features and the faster one counts. Then the
realistic case: ten more labels, each solver started from its earlier solution.
Without --data the features are made: unit vectors with a power-law spectrum around class centres, as sentence
embeddings have. --data takes an NPZ of X (n, d) and y (n,); the first 10,000 rows of a fixed shuffle are used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from common import environment, interleaved, write
from plumbline_backend.heads.linear_softmax import LinearSoftmax

N, D = 10_000, 384
MORE = 10
LADDER = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7)
WITHIN = 1e-5
Solve = Callable[[float], tuple[NDArray[Any], NDArray[Any]]]
"""A tolerance to weights (K, D) and bias (K,)."""


def main() -> None:
    """Measure and write results/refit.json."""
    parser = argparse.ArgumentParser(description="Refit of the head against scikit-learn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 100], help="of the made features")
    parser.add_argument("--threads", type=int, default=2, help="for both; 1 on a busy machine")
    parser.add_argument("--data", type=Path, help="NPZ with X and y instead of made features")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads)
    sets = (
        {"given": given(options.data)} if options.data else {f"{k} classes": made(k) for k in options.classes}
    )
    result: dict[str, Any] = {
        "benchmark": "refit",
        **environment(["torch", "scikit-learn", "numpy", "scipy"]),
        "threads": options.threads,
        "rounds": options.rounds,
        "within_relative_gap": WITHIN,
        "cases": {name: case(x, y, options.rounds) for name, (x, y) in sets.items()},
    }
    write("refit" if options.data is None else f"refit_{options.data.stem}", result)


def case(x: NDArray[np.float32], y: NDArray[np.int64], rounds: int) -> dict[str, Any]:
    """All solvers on one data set, from zero and from the solution without the last ten labels."""
    k = int(y.max()) + 1
    least = objective(x, y, *plumbline(x, y, k)(1e-8))
    cold = {
        "plumbline": plumbline(x, y, k),
        "scikit-learn float32": scikit(x, y),
        "scikit-learn float64": scikit(x.astype(np.float64), y),
    }
    earlier = LinearSoftmax().fit(x[:-MORE], y[:-MORE], k)
    warm = {
        "plumbline": plumbline(x, y, k, earlier),
        "scikit-learn float32": scikit(x, y, earlier),
        "scikit-learn float64": scikit(x.astype(np.float64), y, earlier),
    }
    return {
        "shape": [*x.shape],
        "classes": k,
        "least_objective": least,
        "from_zero": compare(cold, x, y, least, rounds),
        "ten_more_labels": compare(warm, x, y, least, rounds),
    }


def compare(
    solvers: dict[str, Solve], x: NDArray[Any], y: NDArray[Any], least: float, rounds: int
) -> dict[str, Any]:
    """Seconds of each solver at its own loosest sufficient tolerance, and the ratio to the faster scikit-learn."""
    rows: dict[str, Any] = {}
    for name, solve in solvers.items():
        tolerance, gap = sufficient(solve, x, y, least)
        rows[name] = {"tolerance": tolerance, "relative_gap": gap}
    timings = interleaved({n: lambda s=s, t=rows[n]["tolerance"]: s(t) for n, s in solvers.items()}, rounds)
    for name, timing in timings.items():
        rows[name] |= {"median_s": timing.wall_s, "median_cpu_s": timing.cpu_s, "rounds_s": timing.rounds_s}
    baseline = min((n for n in rows if n != "plumbline"), key=lambda n: rows[n]["median_s"])
    rows["times_faster_wall"] = rows[baseline]["median_s"] / rows["plumbline"]["median_s"]
    rows["times_faster_cpu"] = rows[baseline]["median_cpu_s"] / rows["plumbline"]["median_cpu_s"]
    return rows


def sufficient(solve: Solve, x: NDArray[Any], y: NDArray[Any], least: float) -> tuple[float, float]:
    """The loosest tolerance of the ladder that reaches the objective, and the gap it leaves."""
    for tolerance in LADDER:
        gap = objective(x, y, *solve(tolerance)) / least - 1
        if gap <= WITHIN:
            return tolerance, gap
    raise RuntimeError(f"no tolerance down to {LADDER[-1]:g} comes within {WITHIN:g} of the minimum")


def objective(x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> float:
    """Sum of losses + |W|^2 / 2 in float64."""
    logits = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
    return float(losses.sum() + (weight.astype(np.float64) ** 2).sum() / 2)


def plumbline(x: NDArray[Any], y: NDArray[Any], k: int, start: LinearSoftmax | None = None) -> Solve:
    """The head of this package."""

    def solve(tolerance: float) -> tuple[NDArray[Any], NDArray[Any]]:
        head = LinearSoftmax(tolerance=tolerance).fit(x, y, k, warm_start=start)
        return head.weight_, head.bias_

    return solve


def scikit(x: NDArray[Any], y: NDArray[Any], start: LinearSoftmax | None = None) -> Solve:
    """LogisticRegression(lbfgs), from zero or from the given head's solution."""

    def solve(tolerance: float) -> tuple[NDArray[Any], NDArray[Any]]:
        model = LogisticRegression(C=1.0, tol=tolerance, max_iter=5000, warm_start=start is not None)
        if start is not None:
            model.classes_ = np.arange(len(start.bias_))
            model.coef_ = start.weight_.astype(x.dtype)
            model.intercept_ = start.bias_.astype(x.dtype)
        model.fit(x, y)
        return model.coef_, model.intercept_

    return solve


def made(k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors like sentence embeddings: eight tenths of the classes' neighbours are told apart."""
    draw = np.random.default_rng(0)
    y = draw.integers(k, size=N)
    spectrum = np.arange(1, D + 1) ** -0.4
    x = (draw.normal(size=(k, D))[y] * 0.45 + draw.normal(size=(N, D))) * spectrum
    turn, _ = np.linalg.qr(draw.normal(size=(D, D)))
    x = x @ turn
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), y


def given(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """10,000 rows of the file in a fixed random order."""
    with np.load(path) as arrays:
        x, y = arrays["X"], arrays["y"]
    rows = np.random.default_rng(0).permutation(len(y))[:N]
    return x[rows].astype(np.float32), np.unique(y[rows], return_inverse=True)[1].astype(np.int64)


if __name__ == "__main__":
    main()
