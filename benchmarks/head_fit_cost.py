"""Seconds and peak memory of one fit: linear and cosine heads against LogisticRegression and skorch, on one thread.

    python benchmarks/head_fit_cost.py [--cells 10000x150 ...] [--solvers linear ...]

Items: unit vectors of 384 columns around class centres with a power-law spectrum, as sentence embeddings have. linear,
scikit-learn (float32 features) and skorch minimise the same sum of losses plus |W|^2 / 2; their objectives are in
the result. skorch is a Linear module with Adam (rate 0.01, batches of 512, 20 epochs). Every fit runs in a process of
its own and is stopped after --limit CPU seconds; then five iterations stand for it, in memory and seconds.
What is measured joins what the result file has already.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp

from common import RESULTS, environment, peak_extra_mib, write

NAME = "head_fit_cost"
D = 384
SIZES, CLASSES = (1_000, 10_000, 100_000), (10, 150, 1_000)
SOLVERS = ("linear", "cosine", "scikit-learn", "skorch")
LIMIT_S = 150
FEW_ITERATIONS = 5
Fit = Callable[[NDArray[np.float32], NDArray[np.int64], int, int], tuple[Any, Any] | None]
"""Features, targets, classes and most iterations to weights and bias, or None where the objective is another."""


def main() -> None:
    """Measure each cell and write results/head_fit_cost.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cells", nargs="*", default=[f"{n}x{k}" for n in SIZES for k in CLASSES])
    parser.add_argument("--solvers", nargs="*", default=SOLVERS)
    parser.add_argument("--limit", type=int, default=LIMIT_S, help="CPU seconds of one fit")
    parser.add_argument("--few", action="store_true", help="only five iterations, for the largest cells")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one.split(","), limit=options.limit)
        return
    path = RESULTS / f"{NAME}.json"
    result = json.loads(path.read_text()) if path.exists() else {"benchmark": NAME, "cells": {}}
    result |= environment(["torch", "scikit-learn", "skorch", "numpy"]) | {"threads": 1, "width": D}
    for cell in options.cells:
        for solver in options.solvers:
            measured = elsewhere(cell, solver, options.limit, options.few)
            result["cells"].setdefault(cell, {})[solver] = measured
            print(cell, solver, measured, flush=True)
            write(NAME, result)


def elsewhere(cell: str, solver: str, limit: int, few: bool) -> dict[str, Any]:
    """The figures of a process of its own; of five iterations where the whole fit takes too long."""
    for iterations in (FEW_ITERATIONS,) if few else (500, FEW_ITERATIONS):
        command = [sys.executable, __file__, "--one", f"{cell},{solver},{iterations}", "--limit", str(limit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return found if iterations > FEW_ITERATIONS else {"iterations": FEW_ITERATIONS, **found}
    return {"failed": done.stderr.splitlines()[-1:] or [f"stopped after {limit} CPU seconds"]}


def one(cell: str, solver: str, iterations: str, limit: int) -> None:
    """Fit once and print the figures as JSON."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    n, k = map(int, cell.split("x"))
    x, y = made(n, k)
    fit: Fit = {"linear": linear, "cosine": cosine, "scikit-learn": scikit, "skorch": by_skorch}[solver]
    fit(x[: max(64, 2 * k)], y[: max(64, 2 * k)], k, 1)  # imports and pools of memory are not the fit's
    kept: list[Any] = []
    wall, cpu = time.perf_counter(), time.process_time()
    peak = peak_extra_mib(lambda: kept.append(fit(x, y, k, int(iterations))))
    found = {"wall_s": round(time.perf_counter() - wall, 3), "cpu_s": round(time.process_time() - cpu, 3)}
    found["peak_extra_mib"] = None if peak is None else round(peak, 1)
    if kept[0] is not None:
        found["objective"] = round(objective(x, y, *kept[0]), 2)
    print(json.dumps(found))


def linear(x: Any, y: Any, k: int, iterations: int) -> tuple[Any, Any]:
    """Our head at the tolerance that refit.py found sufficient for 1e-5 of the least objective."""
    from plumbline_backend.heads.linear_softmax import LinearSoftmax

    head = LinearSoftmax(tolerance=3e-5, max_iterations=iterations).fit(x, y, k)
    return head.weight_, head.bias_


def cosine(x: Any, y: Any, k: int, iterations: int) -> None:
    """Our normalised softmax; another objective."""
    from plumbline_backend.heads.cosine import Cosine

    Cosine(max_iterations=iterations).fit(x, y, k)


def scikit(x: Any, y: Any, _: int, iterations: int) -> tuple[Any, Any]:
    """LogisticRegression(lbfgs) at the tolerance that refit.py found sufficient."""
    import warnings

    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # too few iterations, where they are cut on purpose
        model = LogisticRegression(C=1.0, tol=3e-5, max_iter=iterations).fit(x, y)
    return model.coef_, model.intercept_


def by_skorch(x: Any, y: Any, k: int, iterations: int) -> tuple[Any, Any]:
    """The same penalty as weight decay of the mean loss."""
    from skorch import NeuralNetClassifier

    torch.manual_seed(0)
    net = NeuralNetClassifier(
        torch.nn.Linear,
        module__in_features=D,
        module__out_features=k,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__weight_decay=1 / len(x),
        lr=0.01,
        batch_size=512,
        max_epochs=min(20, iterations),
        train_split=None,
        verbose=0,
    ).fit(x, y)
    return net.module_.weight.detach().numpy(), net.module_.bias.detach().numpy()


def objective(x: Any, y: Any, weight: NDArray[Any], bias: NDArray[Any]) -> float:
    """Sum of losses + |W|^2 / 2 in float64, some rows at a time."""
    total = float((weight.astype(np.float64) ** 2).sum() / 2)
    for start in range(0, len(x), 4096):
        rows = slice(start, start + 4096)
        logits = x[rows].astype(np.float64) @ weight.T.astype(np.float64) + bias
        total += float((logsumexp(logits, axis=1) - logits[np.arange(len(logits)), y[rows]]).sum())
    return total


def made(n: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n, 384) unit rows and classes of which every one occurs."""
    draw = np.random.default_rng(0)
    y = np.r_[np.arange(k), draw.integers(k, size=n - k)].astype(np.int64)
    spectrum = np.arange(1, D + 1) ** -0.4
    centres = draw.normal(size=(k, D)) * 0.45
    x = np.empty((n, D), dtype=np.float32)
    for start in range(0, n, 4096):
        rows = slice(start, start + 4096)
        part = (centres[y[rows]] + draw.normal(size=(len(y[rows]), D))) * spectrum
        x[rows] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return x, y


if __name__ == "__main__":
    main()
