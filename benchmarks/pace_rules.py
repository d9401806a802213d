"""How many proposals of each pace policy are wrong, with and without asking the nearest human label.

    python benchmarks/pace_rules.py [--labels 60 120] [--seeds 10]

Digits (scikit-learn, 1,797 items): a softmax head on random labels proposes for all the others at the starting pace.
Its probabilities are its own, not calibrated: with so few labels they are too low, and policies with a fixed threshold
take little. The rule of three human labels per class holds in the column "with" only.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from common import environment, write
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.pace.policy import START, PaceView
from plumbline_backend.pace.proposals import nearest_human, propose
from plumbline_backend.registry import PACES

N_CLASSES = 10


def main() -> None:
    """Run every policy over the seeds and write the sums."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--labels", type=int, nargs="+", default=[60, 120])
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, y = load_digits(return_X_y=True)
    results = [
        _measure(x.astype(np.float32) / 16, y, n, options.seeds, name)
        for n in options.labels
        for name in PACES.names()
    ]
    about = environment(["numpy", "scikit-learn", "torch"])
    write("pace_rules", {"benchmark": "pace_rules", **about, "seeds": options.seeds, "results": results})


def _measure(x: np.ndarray, y: np.ndarray, n_labels: int, seeds: int, name: str) -> dict[str, Any]:
    counts = np.zeros((2, 2), dtype=int)
    for seed in range(seeds):
        counts += _one(x, y, n_labels, seed, name)
    shares = [
        {"proposed": int(taken), "wrong": int(wrong), "error": round(wrong / taken, 4) if taken else None}
        for taken, wrong in counts
    ]
    return {"policy": name, "n_labels": n_labels, "with_nearest": shares[0], "without": shares[1]}


def _one(x: np.ndarray, y: np.ndarray, n_labels: int, seed: int, name: str) -> np.ndarray:
    """[[proposed, wrong] with the nearest label's agreement, the same without]."""
    labelled = np.random.default_rng(seed).choice(len(y), n_labels, replace=False)
    others = np.setdiff1d(np.arange(len(y)), labelled)
    head = LinearSoftmax(l2=1.0).fit(x[labelled], y[labelled], N_CLASSES)
    policy = PACES.get(name)()
    groups = np.zeros(len(others), dtype=np.int64)
    view = PaceView(head.proba(x[others]), np.full(N_CLASSES, START), groups)
    near = nearest_human(x[others], x[labelled], y[labelled])
    alone = policy.weights(view).argmax(axis=1)
    human = np.bincount(y[labelled], minlength=N_CLASSES)
    rows = []
    for found in (
        propose(policy, view, human, lambda rows: near[rows]),
        propose(policy, view, np.full(N_CLASSES, n_labels), lambda rows: alone[rows]),
    ):
        rows.append([len(found.taken), int((found.target[found.taken] != y[others][found.taken]).sum())])
    return np.array(rows)


if __name__ == "__main__":
    main()
