"""clinc150, MiniLM: a long tail with and without logit adjustment; wrong labels with and without robust weights.

Long tail: 100 labels of the most frequent class down to one of the rarest, exponentially; balanced accuracy on the
even test set. Noise: 20 and 40 % of the labels replaced by another class; weights from `robust_weights`.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import clinc150
from common import environment, write
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.heads.robust import robust_weights

L2 = 0.1
NOISE_PER_CLASS = 40


def main() -> None:
    """Measure and write results/heads_long_tail_noise.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = clinc150.minilm()
    seeds = range(options.seeds)
    result = {
        "benchmark": "heads_long_tail_noise",
        **environment(["torch", "numpy"]),
        "threads": 1,
        "seeds": options.seeds,
        "l2": L2,
        "n_test": len(sets.test_y),
        "long_tail_100_to_1": {
            f"adjust={a}": summary([tail(sets, a, seed) for seed in seeds]) for a in (0.0, 0.5, 1.0)
        },
        "noise": {
            f"{share:.0%}, {'robust' if robust else 'plain'}": summary(
                [noisy(sets, share, robust, seed) for seed in seeds]
            )
            for share in (0.0, 0.2, 0.4)
            for robust in (False, True)
        },
    }
    write("heads_long_tail_noise", result)


def summary(values: list[float]) -> dict[str, Any]:
    """Mean and every draw."""
    return {"mean": round(statistics.fmean(values), 4), "draws": values}


def tail(sets: clinc150.Sets, adjust: float, seed: int) -> float:
    """Balanced accuracy after training on classes whose labels fall from 100 to 1."""
    rng = np.random.default_rng(seed)
    counts = np.round(100 * 0.01 ** (np.arange(150) / 149)).astype(int)
    order = rng.permutation(150)
    rows = np.concatenate(
        [
            rng.choice(np.flatnonzero(sets.train_y == k), n, replace=False)
            for k, n in zip(order, counts, strict=True)
        ]
    )
    return accuracy(sets, LinearSoftmax(l2=L2, adjust=adjust), rows, sets.train_y[rows], None)


def noisy(sets: clinc150.Sets, share: float, robust: bool, seed: int) -> float:
    """Accuracy after training on labels of which `share` are wrong."""
    rng = np.random.default_rng(seed)
    rows = clinc150.few(sets.train_y, NOISE_PER_CLASS, rng)
    y = sets.train_y[rows].copy()
    wrong = rng.permutation(len(y))[: int(share * len(y))]
    y[wrong] = (y[wrong] + rng.integers(1, 150, len(wrong))) % 150
    weight = robust_weights(sets.train_x[rows], y, 150, rng) if robust else None
    return accuracy(sets, LinearSoftmax(l2=L2), rows, y, weight)


def accuracy(
    sets: clinc150.Sets,
    head: LinearSoftmax,
    rows: NDArray[np.int64],
    y: NDArray[np.int64],
    weight: NDArray[np.float64] | None,
) -> float:
    """On the test set, where every class is equally frequent: balanced accuracy is accuracy."""
    found = head.fit(sets.train_x[rows], y, 150, sample_weight=weight).logits(sets.test_x).argmax(axis=1)
    return float((found == sets.test_y).mean())


if __name__ == "__main__":
    main()
