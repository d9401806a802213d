"""A margin query of 10 over 1,000,000 x 64 against scikit-activeml, in the same run, with extra peak memory.

    python benchmarks/margin_query.py [--rounds 5] [--items 1000000]

Both get the same pool in memory, the same probabilities (one scikit-learn fit on 1,000 items, 10 classes, whose
weights our head is given) and the same 1,000 items that may not be asked. Ours is the product's path after a fit:
score chunks of 65,536, then `Margin.pick`, which ranks four times as many as are wanted and lets near-duplicates give
way. The largest margin among the asked items is kept for both.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import UncertaintySampling
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from common import environment, interleaved, peak_extra_mib, write
from plumbline_backend.domain.asking import ArrayRows, PoolView
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.strategies.base import ask
from plumbline_backend.strategies.margin import Margin

D, K, LABELLED, ASKED, CHUNK = 64, 10, 1000, 10, 65_536


def main() -> None:
    """Measure and write results/margin_query.json."""
    parser = argparse.ArgumentParser(description="A margin query against scikit-activeml")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2, help="for both; 1 on a busy machine")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    threadpool_limits(options.threads)
    x, y = pool(options.items)
    fitted = LogisticRegression(tol=1e-7, max_iter=2000).fit(x[:LABELLED], y[:LABELLED])
    head = LinearSoftmax().fit(x[:LABELLED], y[:LABELLED], K)
    head.weight_, head.bias_ = fitted.coef_.astype(np.float64), fitted.intercept_.astype(np.float64)
    np.testing.assert_allclose(head.proba(x[:CHUNK]), fitted.predict_proba(x[:CHUNK]), atol=1e-5)
    queries = {"plumbline": ours(head, x), "scikit-activeml": theirs(fitted, x, y)}
    margins = {name: sorted(margin_of(head, x[query()]).tolist()) for name, query in queries.items()}
    memory = {name: peak_extra_mib(query) for name, query in queries.items()}
    timings = interleaved(queries, options.rounds)
    rows: dict[str, Any] = {
        name: {
            "median_s": timings[name].wall_s,
            "median_cpu_s": timings[name].cpu_s,
            "rounds_s": timings[name].rounds_s,
            "extra_peak_mib": memory[name],
            "largest_margin_asked": margins[name][-1],
        }
        for name in queries
    }
    mine, other = rows["plumbline"], rows["scikit-activeml"]
    write(
        "margin_query",
        {
            "benchmark": "margin_query",
            **environment(["torch", "scikit-activeml", "scikit-learn", "numpy"]),
            "threads": options.threads,
            "rounds": options.rounds,
            "shape": [options.items, D],
            "classes": K,
            "asked": ASKED,
            **rows,
            "times_faster_wall": other["median_s"] / mine["median_s"],
            "times_faster_cpu": other["median_cpu_s"] / mine["median_cpu_s"],
            "share_of_extra_memory": mine["extra_peak_mib"]
            and mine["extra_peak_mib"] / other["extra_peak_mib"],
        },
    )


def ours(head: LinearSoftmax, x: NDArray[np.float32]) -> Any:
    """Scores, margins, the ten asked: as a worker does it after a fit."""
    mask = np.ones(len(x), dtype=bool)
    mask[:LABELLED] = False

    def query() -> NDArray[np.int64]:
        parts = [head.scores(x[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
        view = PoolView(mask, PoolScores.concatenate(parts), ArrayRows(x), proba=head.proba)
        return ask(Margin(), view, ASKED, np.random.default_rng(0)).items

    return query


def theirs(fitted: LogisticRegression, x: NDArray[np.float32], y: NDArray[np.int64]) -> Any:
    """UncertaintySampling(margin_sampling) over everything that has no label."""
    labels = np.full(len(x), np.nan)
    labels[:LABELLED] = y[:LABELLED]
    classifier = SklearnClassifier(fitted, classes=np.arange(K))
    classifier.fit(x[:LABELLED], y[:LABELLED])

    def query() -> NDArray[np.int64]:
        strategy = UncertaintySampling(method="margin_sampling", random_state=0)
        return strategy.query(X=x, y=labels, clf=classifier, fit_clf=False, batch_size=ASKED)

    return query


def margin_of(head: LinearSoftmax, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Gap between the two likeliest classes, to show that both ask the same kind of item."""
    ordered = np.sort(head.proba(x), axis=1)
    return ordered[:, -1] - ordered[:, -2]


def pool(n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Overlapping classes: about seven in ten are told apart."""
    draw = np.random.default_rng(0)
    y = draw.integers(K, size=n)
    x = draw.standard_normal((n, D), dtype=np.float32)
    x += draw.normal(scale=0.3, size=(K, D)).astype(np.float32)[y]
    return x, y


if __name__ == "__main__":
    main()
