"""How often the 95 % intervals of the Calibration page hold the truth, over resamplings of a real network's answers.

    python benchmarks/calibration_coverage.py [--data ../shared/data/network_probs] [--resamples 500] [--n 500]
        [--seconds 200]

The 10,000 test answers of a WideResNet on CIFAR-10 are the population, as given and after temperature scaling; samples
of n are drawn with replacement, each from a seed of its own. Baseline in the same run: the percentile bootstrap of ECE
with 100 resamples. A run stops after --seconds and the next one goes on where the result file stands, so that a long
measurement can be made in pieces; --again starts over. With 500 samples a coverage of .95 is seen between .931 and .969
in 95 % of runs: of a hundred figures a few lie outside by chance.

Of a diagram or a curve every point counts as an interval of its own; their coverage is the mean over points. A bin's
truth is the population's accuracy between the bin's ends, a class's the population's error in the sample's bins, a
risk's the population's error rate from its confidence on, a set's what the population shows at the threshold that a
sample of n set. "sums" holds the number of intervals of each name.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from common import RESULTS, environment, write
from coverage_shown import Answers, Shown, agreement, agreement_truth, decisions, people, sets, slices
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.domain import calibration_errors as errors
from plumbline_backend.domain.calibration_cells import N_BINS, cells_of, mass_starts
from plumbline_backend.domain.calibration_scores import brier_parts
from plumbline_backend.domain.calibration_summary import _ERRORS, _OTHERS, summarise
from plumbline_backend.domain.reliability import Reliability

NETWORK = "wideresnet-16-4-cifar-10"
BASELINE = "baseline: percentile bootstrap of ece"
BASELINE_RESAMPLES = 100
RISK_POINTS = 10
SEED = 11


class Population(NamedTuple):
    """What samples are drawn from. proba (n, K); the rest (n,); truth: every figure of the whole; answers: the same
    for what `coverage_shown` measures."""

    proba: NDArray[np.float64]
    targets: NDArray[np.int64]
    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    truth: dict[str, float]
    answers: Answers


def main() -> None:
    """Measure and write results/calibration_coverage.json."""
    parser = argparse.ArgumentParser(description="Coverage of the Calibration page's intervals")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/network_probs"))
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    file = np.load(options.data / f"{NETWORK}.npz")
    given, targets = file["predictions"].astype(np.float64), file["ground_truth"]
    logits = np.log(np.maximum(given, np.finfo(np.float64).tiny))
    scaled = softmax(logits / Temperature().fit(logits, targets).temperature_, axis=1)
    until = time.perf_counter() + options.seconds
    counts = {} if options.again else _so_far(options.n)
    states = {"as given": softmax(logits, axis=1), "temperature": scaled}
    for name, other in (("as given", "temperature"), ("temperature", "as given")):
        of = population(states[name], targets, states[other])
        draw = partial(sample, of, options.n)
        counts[name] = coverage(draw, options.resamples, until, counts.get(name, {}))
    table = people()
    draw = partial(agreement, table, agreement_truth(table))
    counts["people, 100 items"] = coverage(
        draw, options.resamples, until, counts.get("people, 100 items", {})
    )
    write(
        "calibration_coverage",
        {
            "benchmark": "calibration_coverage",
            **environment(["numpy", "scipy"]),
            "network": NETWORK,
            "n": options.n,
            "coverage": counts,
        },
    )


def _so_far(n: int) -> dict[str, Any]:
    path = RESULTS / "calibration_coverage.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    return dict(kept["coverage"]) if kept.get("n") == n else {}


def population(
    proba: NDArray[np.float64], targets: NDArray[np.int64], other: NDArray[np.float64]
) -> Population:
    """The whole network's answers with every figure's true value; other: as another calibrator has them."""
    confidence, correct = np.minimum(proba.max(axis=1), 1.0), proba.argmax(axis=1) == targets
    own = proba[np.arange(len(targets)), targets]
    cells = cells_of(confidence, correct)
    truth = {name: (true or exact or measure)(cells) for name, (measure, true, exact) in _ERRORS.items()}
    truth |= {name: measure(cells) for name, (measure, _) in _OTHERS.items()}
    truth |= {
        name: getattr(brier_parts(cells), name) for name in ("resolution", "uncertainty", "within_variance")
    }
    truth["nll"] = float(-np.log(own).mean())
    truth["brier"] = float(((proba**2).sum(axis=1) - 2 * own + 1).mean())
    truth["accuracy"] = float(correct.mean())
    loss_gap = np.log(other[np.arange(len(targets)), targets] / own)
    return Population(proba, targets, confidence, correct, truth, Answers(proba, targets, loss_gap))


def coverage(
    draw: Callable[[np.random.Generator], Iterable[Shown]],
    resamples: int,
    until: float,
    before: dict[str, Any],
) -> dict[str, Any]:
    """For each figure the share of intervals that hold the truth, lie above it, lie below it, and their mean width.

    before: what an earlier piece returned; its samples are not drawn again.
    """
    done = int(before.get("resamples", 0))
    sums = {
        name: np.array([row[k] for k in ("intervals", "held", "too_high", "too_low", "width")], dtype=float)
        for name, row in before.get("sums", {}).items()
    }
    while done < resamples and time.perf_counter() < until:
        for name, truth, low, high in draw(np.random.default_rng([SEED, done])):
            slack = 1e-9
            above, below = truth < low - slack, truth > high + slack
            sums.setdefault(name, np.zeros(5))
            sums[name] += [1, not (above or below), above, below, high - low]
        done += 1
    return {
        "resamples": done,
        "share_held": {name: round(float(row[1] / row[0]), 4) for name, row in sums.items()},
        "sums": {
            name: dict(zip(("intervals", "held", "too_high", "too_low", "width"), row.tolist(), strict=True))
            for name, row in sums.items()
        },
    }


def sample(of: Population, n: int, rng: np.random.Generator) -> Iterator[Shown]:
    """Every interval that the page shows of one sample of n."""
    rows, fit = rng.integers(len(of.targets), size=(2, n))
    proba, targets = of.proba[rows], of.targets[rows]
    found = summarise(proba, targets, rng)
    for name in of.truth:
        figure = found.figures[name]
        yield Shown(name, of.truth[name], figure.low, figure.high)
    truth = _class_truth(of, proba, targets)
    classwise = found.figures["classwise_ece"]
    yield Shown("classwise_ece", float(truth.mean()), classwise.low, classwise.high)
    for true, figure in zip(truth, found.per_class, strict=True):
        yield Shown("ece of one class", float(true), figure.low, figure.high)
    yield from _bins(of, found.reliability)
    for threshold, _, risk in found.risk_coverage[:: max(1, len(found.risk_coverage) // RISK_POINTS)]:
        accepted = of.confidence >= threshold
        yield Shown("risk among accepted", float(1 - of.correct[accepted].mean()), risk.low, risk.high)
    yield from sets(of.answers, fit, rows)
    yield from decisions(of.answers, rows)
    yield from slices(of.answers, rows)
    resampled = [
        errors.ece(cells_of(of.confidence[again], of.correct[again]))
        for again in rows[rng.integers(n, size=(BASELINE_RESAMPLES, n))]
    ]
    low, high = np.quantile(resampled, [0.025, 0.975])
    yield Shown(BASELINE, of.truth["ece"], float(low), float(high))


def _class_truth(
    of: Population, proba: NDArray[np.float64], targets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(K,) the population's error of every class in the bins that the sample made."""
    errors_of = np.empty(proba.shape[1])
    for k in range(proba.shape[1]):
        cells = cells_of(proba[:, k], targets == k)
        edges = cells.confidence[mass_starts(cells.count, N_BINS)[1:]]
        inside = np.searchsorted(edges, of.proba[:, k], side="right")
        gaps = np.bincount(inside, (of.targets == k) - of.proba[:, k])
        errors_of[k] = np.abs(gaps).sum() / len(of.targets)
    return errors_of


def _bins(of: Population, bins: Reliability) -> Iterator[Shown]:
    """The points of the reliability diagram."""
    for k in range(len(bins.count)):
        inside = (of.confidence >= bins.edge_low[k]) & (of.confidence <= bins.edge_high[k])
        yield Shown("accuracy of a bin", float(of.correct[inside].mean()), bins.low[k], bins.high[k])


if __name__ == "__main__":
    main()
