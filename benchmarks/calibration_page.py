"""Time of everything the Calibration page computes of one judge, against netcal and torchmetrics for the same metrics.

    python benchmarks/calibration_page.py [--rounds 1]

Two shapes: 10,000 x 1,000 and 1,000,000 x 10 probabilities, drawn so that they are overconfident. "everything" is the
page's whole summary with intervals and nulls; "same metrics" is ECE, NLL (netcal has none) and Brier alone, without
intervals, which is what the others compute. The ECE of each is written beside its time, since their bins differ, and
"times_ours" says how many times the CPU seconds of "plumbline, same metrics" a way takes: they say more than wall
seconds on a busy machine. netcal and torchmetrics are no dependencies of Plumbline; without one its rows are missing.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from common import environment, write
from plumbline_backend.domain.calibration_cells import cells_of
from plumbline_backend.domain.calibration_errors import ece
from plumbline_backend.domain.calibration_summary import summarise

SHAPES = ((10_000, 1_000), (1_000_000, 10))


def main() -> None:
    """Measure and write results/calibration_page.json."""
    parser = argparse.ArgumentParser(description="Time of the Calibration page's computation")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)
    head = environment(["numpy", "torch", "netcal", "torchmetrics"])
    timed(*drawn(100, 3), 1)  # imports and first calls of everybody
    shapes = {f"{n} x {k}": timed(*drawn(n, k), options.rounds) for n, k in SHAPES}
    result = {"benchmark": "calibration_page", **head, "threads": 1, "rounds": options.rounds}
    write("calibration_page", {**result, "shapes": shapes})


def timed(proba: NDArray[np.float64], targets: NDArray[np.int64], rounds: int) -> dict[str, Any]:
    """CPU and wall seconds of each way, the least over the rounds, and its ECE."""
    rows: dict[str, Any] = {}
    ways: dict[str, Callable[[], float]] = {
        "plumbline, everything": lambda: (
            summarise(proba, targets, np.random.default_rng(0)).figures["ece"].value
        ),
        "plumbline, same metrics": lambda: same_metrics(proba, targets),
    }
    if find_spec("torchmetrics") is not None:
        ways["torchmetrics, same metrics"] = lambda: torchmetrics_metrics(proba, targets)
    if find_spec("netcal") is not None:
        ways["netcal, ECE"] = lambda: netcal_ece(proba, targets)
    for name, way in ways.items():
        wall, cpu, value = np.inf, np.inf, float("nan")
        for _ in range(rounds):
            start, start_cpu = time.perf_counter(), time.process_time()
            value = way()
            wall = min(wall, time.perf_counter() - start)
            cpu = min(cpu, time.process_time() - start_cpu)
        rows[name] = {"wall_s": wall, "cpu_s": cpu, "ece": value}
    ours = rows["plumbline, same metrics"]["cpu_s"]
    return {name: {**row, "times_ours": round(row["cpu_s"] / ours, 2)} for name, row in rows.items()}


def same_metrics(proba: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """ECE, NLL and Brier as numbers."""
    rows, predicted = np.arange(len(targets)), proba.argmax(axis=1)
    own = proba[rows, targets]
    _ = -np.log(np.maximum(own, 1e-300)).mean(), (np.einsum("ij,ij->i", proba, proba) - 2 * own + 1).mean()
    return ece(cells_of(np.minimum(proba[rows, predicted], 1.0), predicted == targets))


def torchmetrics_metrics(proba: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """multiclass_calibration_error with 15 bins (of equal width), cross-entropy and Brier by torch."""
    from torchmetrics.functional.classification import multiclass_calibration_error

    p, y = torch.from_numpy(proba), torch.from_numpy(targets)
    torch.nn.functional.nll_loss(torch.log(p.clamp_min(1e-300)), y)
    ((p**2).sum(dim=1) - 2 * p.gather(1, y[:, None])[:, 0] + 1).mean()
    return float(multiclass_calibration_error(p, y, num_classes=p.shape[1], n_bins=15, norm="l1"))


def netcal_ece(proba: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """netcal's ECE with 15 bins (of equal width)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from netcal.metrics import ECE

        return float(ECE(15).measure(proba, targets))


def drawn(n: int, k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Overconfident probabilities and answers that follow softer ones."""
    draw = np.random.default_rng(0)
    true = draw.normal(scale=2.5, size=(n, k))
    chance = softmax(true, axis=1).cumsum(axis=1)
    targets = (chance > draw.random((n, 1)) * chance[:, -1:]).argmax(axis=1)
    return softmax(1.5 * true, axis=1), targets.astype(np.int64)


if __name__ == "__main__":
    main()
