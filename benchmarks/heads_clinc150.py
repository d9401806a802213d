"""Accuracy per head on clinc150 at 1, 5, 20 and all labels per class, over five draws; new classes with few labels.

Baseline beside them in the same run: scikit-learn's LogisticRegression(C=10). `--heads` picks some; `--seeds` draws.
Heads that need a tree per class and round (gradient_boosting, random_forest) are measured only when named. What is
measured joins what the result file has already, so that a long run can be done in parts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

import clinc150
from common import RESULTS, environment, write
from plumbline_backend.heads.making import make_head
from plumbline_backend.registry import HEADS

SLOW = ("gradient_boosting", "random_forest")
PER_CLASS = (1, 5, 20, 100)
ALL = 100
BASE = 100
"""Old classes; the other 50 come with five labels."""
SHOTS = 5
NEW_HEADS = (
    "nearest_mean",
    "cosine",
    "linear_softmax",
    "linear_softmax adjusted",
    "teen",
    "fetril",
    "napa_vq",
)
CHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    "linear_softmax adjusted": ("linear_softmax", {"adjust": 1.0}),
    "linear_softmax l2=1": ("linear_softmax", {"l2": 1.0}),
}


def main() -> None:
    """Measure and write results/heads_clinc150_<features>.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    quick = [name for name in HEADS.names() if name not in SLOW]
    parser.add_argument("--heads", nargs="*", default=[*quick, "linear_softmax l2=1", "scikit-learn C=10"])
    parser.add_argument("--per-class", type=int, nargs="+", default=PER_CLASS)
    parser.add_argument("--new", nargs="*", default=NEW_HEADS, help="heads for the part with new classes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--features", choices=("minilm", "lsa"), default="minilm")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = getattr(clinc150, options.features)()
    name = f"heads_clinc150_{options.features}"
    result = {"benchmark": "heads_clinc150", "accuracy": {}, "new_classes": {}}
    if (RESULTS / f"{name}.json").exists():
        result = json.loads((RESULTS / f"{name}.json").read_text())
    result |= environment(["torch", "scikit-learn", "numpy"])
    result |= {"features": options.features, "threads": 1, "n_test": len(sets.test_y)}
    for head in options.new:
        result["new_classes"][head] = new_classes(head, sets, options.seeds)
        write(name, result)
    for head in options.heads:
        measured = per_head(head, sets, options.seeds, options.per_class)
        result["accuracy"][head] = {**result["accuracy"].get(head, {}), **measured}
        write(name, result)


def per_head(name: str, sets: clinc150.Sets, seeds: int, numbers: Sequence[int]) -> dict[str, Any]:
    """Per number of labels the mean accuracy over the draws, how many, and the median seconds of a fit."""
    rows: dict[str, Any] = {}
    for per_class in numbers:
        accuracy, seconds = [], []
        for seed in range(1 if per_class == ALL else seeds):
            chosen = clinc150.few(sets.train_y, per_class, np.random.default_rng(seed))
            start = time.perf_counter()
            logits = fitted(name, sets, sets.train_x[chosen], sets.train_y[chosen], seed)
            seconds.append(time.perf_counter() - start)
            accuracy.append(float((logits.argmax(axis=1) == sets.test_y).mean()))
        key = "all" if per_class == ALL else str(per_class)
        mean = statistics.fmean(accuracy)
        rows[key] = {
            "mean": round(mean, 4),
            "draws": len(accuracy),
            "median_s": round(statistics.median(seconds), 2),
        }
        print(name, key, rows[key]["mean"], f"{rows[key]['median_s']:.2f} s", flush=True)
    return rows


def new_classes(name: str, sets: clinc150.Sets, seeds: int) -> dict[str, Any]:
    """Mean accuracy on all, old and new classes: 100 classes with all labels, 50 others with five."""
    found: dict[str, list[float]] = {"all": [], "base": [], "new": []}
    old_test = sets.test_y < BASE
    for seed in range(seeds):
        few = clinc150.few(sets.train_y, SHOTS, np.random.default_rng(seed))
        chosen = np.concatenate([np.flatnonzero(sets.train_y < BASE), few[sets.train_y[few] >= BASE]])
        logits = fitted(name, sets, sets.train_x[chosen], sets.train_y[chosen], seed)
        right = logits.argmax(axis=1) == sets.test_y
        for part, which in (("all", slice(None)), ("base", old_test), ("new", ~old_test)):
            found[part].append(float(right[which].mean()))
    means: dict[str, Any] = {part: round(statistics.fmean(values), 4) for part, values in found.items()}
    means["draws"] = seeds
    print("new classes:", name, means, flush=True)
    return means


def fitted(
    name: str, sets: clinc150.Sets, x: NDArray[np.float32], y: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """Scores of the test items by the named head fitted on (x, y)."""
    if name == "scikit-learn C=10":
        model = LogisticRegression(C=10.0, max_iter=1000).fit(x, y)
        return np.asarray(model.decision_function(sets.test_x))
    head, settings = CHANGED.get(name, (name, {}))
    rest = np.random.default_rng(seed).permutation(len(sets.train_x))[:3000]
    texts = [intent.replace("_", " ") for intent in sets.names]
    known = {"class_texts": texts, "unlabelled": sets.train_x[rest], "seed": seed}
    return make_head(head, known, settings).fit(x, y, 150).logits(sets.test_x)


if __name__ == "__main__":
    main()
