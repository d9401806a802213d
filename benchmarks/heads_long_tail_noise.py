"""clinc150, MiniLM: a long tail with and without logit adjustment; wrong labels with and without robust weights.

Long tail: 100 labels of the most frequent class down to one of the rarest, exponentially; balanced accuracy on the
even test set. Noise: 20 and 40 % of the labels replaced by another class, a tenth of all settled and right; weights by
loss, by the settled labels, and by the shape of the classes. Finished draws in the result file are kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

import clinc150
from common import RESULTS, environment, write
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.training.doubt import doubt_weights

L2 = 0.1
NOISE_PER_CLASS = 40
TRUSTED = 0.1
"""Share of the labels that two people settled: right in every row of the noise part, and told to the weights."""
NAME = "heads_long_tail_noise"


def main() -> None:
    """Measure and write results/heads_long_tail_noise.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="draws; those in the result file are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = clinc150.minilm()
    path = RESULTS / f"{NAME}.json"
    result = json.loads(path.read_text()) if path.exists() else {"benchmark": NAME}
    result |= environment(["torch", "numpy"])
    result |= {"threads": 1, "l2": L2, "n_test": len(sets.test_y)}
    cells: list[tuple[str, str, Callable[[int], float]]] = [
        ("long_tail_100_to_1", f"adjust={a}", partial(tail, sets, a)) for a in (0.0, 0.5, 1.0)
    ]
    cells += [
        ("noise", f"{share:.0%}, {how}", partial(noisy, sets, share, how))
        for share in (0.0, 0.2, 0.4)
        for how in ("none", "margins", "trusted", "shapes")
    ]
    for part, name, measure in cells:
        done = result.setdefault(part, {}).get(name, {"draws": []})["draws"]
        for seed in range(len(done), options.seeds):
            done = [*done, measure(seed)]
            result[part][name] = {"mean": round(statistics.fmean(done), 4), "draws": done}
            write(NAME, result)


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


def noisy(sets: clinc150.Sets, share: float, how: str, seed: int) -> float:
    """Accuracy after training on labels of which `share` are wrong, weighed by `how`; a tenth is known to be right."""
    rng = np.random.default_rng(seed)
    rows = clinc150.few(sets.train_y, NOISE_PER_CLASS, rng)
    y = sets.train_y[rows].copy()
    wrong = rng.permutation(len(y))[: int(share * len(y))]
    y[wrong] = (y[wrong] + rng.integers(1, 150, len(wrong))) % 150
    trusted = rng.random(len(y)) < TRUSTED
    y[trusted] = sets.train_y[rows[trusted]]
    weight = doubt_weights(how, sets.train_x[rows], y, 150, trusted, rng)
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
