"""How often the 95 % intervals of the Calibration page hold the truth, over resamplings of a real network's answers.

    python benchmarks/calibration_coverage.py [--data ../shared/data/network_probs] [--resamples 500] [--n 500]

The 10,000 test answers of a WideResNet on CIFAR-10 are the population, as given and after temperature scaling; samples
of n are drawn with replacement. Baseline in the same run: the percentile bootstrap of ECE with 200 resamples.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from common import environment, write
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.domain import calibration_errors as errors
from plumbline_backend.domain.calibration_cells import cells_of
from plumbline_backend.domain.calibration_intervals import (
    bootstrap_figures,
    error_figure,
    skewed_mean,
    worlds,
)
from plumbline_backend.domain.calibration_summary import _ERRORS, _OTHERS
from plumbline_backend.domain.intervals import wilson

NETWORK = "wideresnet-16-4-cifar-10"
BASELINE_RESAMPLES = 200


def main() -> None:
    """Measure and write results/calibration_coverage.json."""
    parser = argparse.ArgumentParser(description="Coverage of the Calibration page's intervals")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/network_probs"))
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--n", type=int, default=500)
    options = parser.parse_args()
    file = np.load(options.data / f"{NETWORK}.npz")
    given, targets = file["predictions"].astype(np.float64), file["ground_truth"]
    logits = np.log(np.maximum(given, np.finfo(np.float64).tiny))
    scaled = softmax(logits / Temperature().fit(logits, targets).temperature_, axis=1)
    head = environment(["numpy", "scipy"])
    found: dict[str, Any] = {}
    for name, proba in (("as given", softmax(logits, axis=1)), ("temperature", scaled)):
        found[name] = coverage(proba, targets, options.n, options.resamples)
        write(
            "calibration_coverage",
            {
                "benchmark": "calibration_coverage",
                **head,
                "network": NETWORK,
                "n": options.n,
                "resamples": options.resamples,
                "coverage": found,
            },
        )


def coverage(
    proba: NDArray[np.float64], targets: NDArray[np.int64], n: int, resamples: int
) -> dict[str, Any]:
    """Share of intervals that hold the population's value, below it, above it, and their mean width."""
    confidence, correct = np.minimum(proba.max(axis=1), 1.0), proba.argmax(axis=1) == targets
    own = proba[np.arange(len(targets)), targets]
    losses = {"nll": -np.log(own), "brier": (proba**2).sum(axis=1) - 2 * own + 1}
    population = cells_of(confidence, correct)
    truth = {name: (true or exact or measure)(population) for name, (measure, true, exact) in _ERRORS.items()}
    truth |= {name: measure(population) for name, measure in _OTHERS.items()}
    truth |= {name: float(values.mean()) for name, values in losses.items()}
    truth |= {"accuracy": float(correct.mean()), "baseline: percentile bootstrap of ece": truth["ece"]}
    counts = {name: np.zeros(3) for name in truth}
    width = dict.fromkeys(truth, 0.0)
    rng, start = np.random.default_rng(0), time.perf_counter()
    for _ in range(resamples):
        rows = rng.integers(len(targets), size=n)
        ends = _ends(confidence[rows], correct[rows], {k: v[rows] for k, v in losses.items()}, rng)
        for name, (low, high) in ends.items():
            slack = 1e-9
            place = 0 if truth[name] < low - slack else 2 if truth[name] > high + slack else 1
            counts[name][place] += 1
            width[name] += (high - low) / resamples
    rows_of = {
        name: {
            "truth": truth[name],
            "coverage": counts[name][1] / resamples,
            "truth_below": counts[name][0] / resamples,
            "truth_above": counts[name][2] / resamples,
            "mean_width": width[name],
        }
        for name in truth
    }
    return {**rows_of, "seconds_per_sample": (time.perf_counter() - start) / resamples}


def _ends(
    confidence: NDArray[np.float64],
    correct: NDArray[np.bool_],
    losses: Mapping[str, NDArray[np.float64]],
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    cells = cells_of(confidence, correct)
    drawn = worlds(cells, rng)
    found = {
        name: error_figure(measure, cells, drawn, true, exact)[1:3]
        for name, (measure, true, exact) in _ERRORS.items()
    }
    others = bootstrap_figures(list(_OTHERS.values()), cells, rng, drawn, 100)
    found |= {name: figure[1:3] for name, figure in zip(_OTHERS, others, strict=True)}
    found |= {name: skewed_mean(values, low=0.0)[1:3] for name, values in losses.items()}
    found["accuracy"] = wilson(int(correct.sum()), len(correct))[1:3]
    resampled = []
    for _ in range(BASELINE_RESAMPLES):
        rows = rng.integers(len(correct), size=len(correct))
        resampled.append(errors.ece(cells_of(confidence[rows], correct[rows])))
    low, high = np.quantile(resampled, [0.025, 0.975])
    found["baseline: percentile bootstrap of ece"] = (float(low), float(high))
    return found


if __name__ == "__main__":
    main()
