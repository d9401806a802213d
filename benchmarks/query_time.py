"""Time and extra memory of one query of ten, for every strategy, beside scikit-activeml, modAL and small-text.

    python benchmarks/query_time.py [--items 10000 100000 1000000] [--features 64] [--again] [--quick]

Rows that are measured stay in the result file, so that a long run can be made in pieces; `--again` measures anew.
Every row is measured in a process of its own: what an earlier row has freed would hide what a later one takes.
`--quick` takes 2,000 items and one round, prints the rows and writes nothing.
10 classes, 100 labelled items, float32 features in memory, a fitted head; scoring the pool is part of the query. CPU
seconds of one thread count, because they do not depend on what else the machine does; the median of the rounds is
given. Libraries that are not installed are named as such; calls that their own figures put above two minutes or ten
gigabytes are left out and said to be.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from common import RESULTS, environment, peak_extra_mib
from plumbline_backend.domain.asking import ArrayRows, Descriptions, Labelled, PoolView
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.registry import STRATEGIES
from plumbline_backend.strategies.base import ask
from plumbline_backend.strategies.committee import bootstrapped

CLASSES, LABELLED, ASKED, CHUNK = 10, 100, 10, 65_536
TOO_SLOW = {
    ("scikit-activeml", "badge"): 100_000,
    ("scikit-activeml", "typiclust"): 10_000,
    ("small-text", "margin"): 1_000_000,
    ("small-text", "entropy"): 100_000,
}
"""Largest pools for which a call is made: badge takes 10 GB at a million, typiclust 10 s and more from 100,000 on,
small-text's entropy 23 s at 100,000."""
Query = Callable[[], Any]
Key = tuple[int, str, str]


def main() -> None:
    """Measure and write results/query_time.json."""
    parser = argparse.ArgumentParser(description="One query of ten")
    parser.add_argument("--items", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="measure what was measured before, too")
    parser.add_argument("--quick", action="store_true", help="2,000 items, one round, nothing is written")
    options = parser.parse_args()
    if options.quick:
        for key in _keys(2_000, options.features, {}):
            print(_apart(key, options.features, 1), flush=True)
        return
    name = "query_time" if options.features == 64 else f"query_time_{options.features}"
    path = RESULTS / f"{name}.json"
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = {(row["items"], row["library"], row["strategy"]): row for row in kept}
    missing: dict[str, str] = {}
    for n in options.items:
        for key in _keys(n, options.features, missing):
            if options.again or key not in rows:
                rows[key] = _apart(key, options.features, options.rounds)
                print(rows[key], flush=True)
                _write(name, rows, missing)


def _keys(n: int, d: int, missing: dict[str, str]) -> list[Key]:
    """(items, library, strategy) of every row, found on a small pool: the size decides only what is too slow."""
    found = [(library, strategy) for library, strategy, _ in queries(*pool(1_000, d), missing)]
    return [(n, *each) for each in found if n <= TOO_SLOW.get(each, 10**9)]


def _apart(key: Key, d: int, rounds: int) -> dict[str, Any]:
    """The row of one query, measured in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_row, key, d, rounds).result()


def _row(key: Key, d: int, rounds: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    threadpool_limits(1)
    n, library, strategy = key
    x, y = pool(n, d)
    (query,) = (query for *named, query in queries(x, y, {}, library) if named == [library, strategy])
    return measured(library, strategy, n, d, query, rounds)


def _write(
    name: str, rows: Mapping[tuple[int, str, str], Mapping[str, Any]], missing: Mapping[str, str]
) -> None:
    packages = ["numpy", "torch", "scikit-learn", "scikit-activeml", "modAL-python", "small-text"]
    result = {
        "benchmark": "query_time",
        **environment(packages),
        "threads": 1,
        "asked": ASKED,
        "classes": CLASSES,
        "labelled": LABELLED,
        "not_installed": missing,
        "not_run": {f"{a}: {b}": f"above {most:,} items" for (a, b), most in TOO_SLOW.items()},
        "rows": [rows[key] for key in sorted(rows)],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")


def measured(library: str, strategy: str, n: int, d: int, query: Query, rounds: int) -> dict[str, Any]:
    """CPU and wall seconds (median), and extra peak memory of the first call."""
    memory = peak_extra_mib(query)
    cpu, wall = [], []
    for _ in range(rounds):
        start, start_cpu = time.perf_counter(), time.process_time()
        query()
        cpu.append(time.process_time() - start_cpu)
        wall.append(time.perf_counter() - start)
    return {
        "library": library,
        "strategy": strategy,
        "items": n,
        "features": d,
        "cpu_s": round(statistics.median(cpu), 4),
        "wall_s": round(statistics.median(wall), 4),
        "extra_peak_mib": None if memory is None else round(memory, 1),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def queries(
    x: NDArray[np.float32], y: NDArray[np.int64], missing: dict[str, str], only: str = ""
) -> Iterator[tuple[str, str, Query]]:
    """(library, strategy, query) for everything that can be run on this pool; only: of one library."""
    head = LinearSoftmax().fit(x[:LABELLED], y[:LABELLED], CLASSES)
    prompts = np.random.default_rng(1).normal(size=(4, CLASSES, x.shape[1]))
    texts = Descriptions(prompts, 0, x.shape[1])
    for name in STRATEGIES.names():
        yield "plumbline", name, partial(ours, name, x, y, head, texts)
    for library, make in (("scikit-activeml", skactiveml), ("modAL", modal), ("small-text", small_text)):
        if only and only != library:
            continue
        try:
            found = make(x, y)
        except ImportError as error:
            missing[library] = str(error)
            continue
        for name, query in found.items():
            if len(x) <= TOO_SLOW.get((library, name), 10**9):
                yield library, name, query


def ours(
    name: str, x: NDArray[np.float32], y: NDArray[np.int64], head: LinearSoftmax, texts: Descriptions
) -> NDArray[np.int64]:
    """Score the pool in chunks where the strategy needs scores, then ask, as the product does after a fit."""
    strategy = STRATEGIES.get(name)()
    rng = np.random.default_rng(0)
    candidates = np.ones(len(x), dtype=bool)
    candidates[:LABELLED] = False
    scores = None
    if "proba" in strategy.needs or name == "typical_then_margin":
        parts = [head.scores(x[start : start + CHUNK]) for start in range(0, len(x), CHUNK)]
        scores = PoolScores.concatenate(parts)
    labelled = Labelled(np.arange(LABELLED), y[:LABELLED], CLASSES)
    view = PoolView(
        candidates,
        scores=scores,
        features=ArrayRows(x),
        labelled=labelled,
        proba=head.proba,
        committee=partial(bootstrapped, LinearSoftmax, x[:LABELLED], labelled, rng),
        descriptions=texts,
    )
    return ask(strategy, view, ASKED, rng).items


def skactiveml(x: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, Query]:
    """scikit-activeml with a fitted logistic regression."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, TypiClust, UncertaintySampling
    from sklearn.linear_model import LogisticRegression

    labels = np.full(len(x), np.nan)
    labels[:LABELLED] = y[:LABELLED]
    model = SklearnClassifier(LogisticRegression(max_iter=500), classes=np.arange(CLASSES))
    model.fit(x[:LABELLED], y[:LABELLED])
    given = {"X": x, "y": labels, "batch_size": ASKED}
    fitted = {**given, "clf": model, "fit_clf": False}
    return {
        "margin": lambda: UncertaintySampling(method="margin_sampling", random_state=0).query(**fitted),
        "entropy": lambda: UncertaintySampling(method="entropy", random_state=0).query(**fitted),
        "least_confident": lambda: UncertaintySampling(method="least_confident", random_state=0).query(
            **fitted
        ),
        "k_center": lambda: CoreSet(random_state=0).query(**given),
        "badge": lambda: Badge(random_state=0).query(**fitted),
        "typiclust": lambda: TypiClust(random_state=0).query(**given),
    }


def modal(x: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, Query]:
    """modAL's uncertainty measures over a fitted logistic regression."""
    from modAL.models import ActiveLearner
    from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
    from sklearn.linear_model import LogisticRegression

    rest = x[LABELLED:]

    def query_of(strategy: Any) -> Query:
        learner = ActiveLearner(
            LogisticRegression(max_iter=500), strategy, X_training=x[:LABELLED], y_training=y[:LABELLED]
        )
        return lambda: learner.query(rest, n_instances=ASKED)

    return {
        "margin": query_of(margin_sampling),
        "entropy": query_of(entropy_sampling),
        "least_confident": query_of(uncertainty_sampling),
    }


def small_text(x: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, Query]:
    """small-text's strategies over its wrapper of a logistic regression."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression
    from small_text.classifiers import SklearnClassifier
    from small_text.data.datasets import SklearnDataset
    from small_text.query_strategies import BreakingTies, PredictionEntropy

    data = SklearnDataset(csr_matrix(x), y, target_labels=np.arange(CLASSES))
    model = SklearnClassifier(LogisticRegression(max_iter=500), CLASSES)
    model.fit(data[np.arange(LABELLED)])
    rest, known = np.arange(LABELLED, len(x)), np.arange(LABELLED)
    return {
        "margin": lambda: BreakingTies().query(model, data, rest, known, y[:LABELLED], n=ASKED),
        "entropy": lambda: PredictionEntropy().query(model, data, rest, known, y[:LABELLED], n=ASKED),
    }


def pool(n: int, d: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Overlapping classes; the first hundred items hold all ten."""
    draw = np.random.default_rng(0)
    y = draw.integers(CLASSES, size=n)
    y[:LABELLED] = np.arange(LABELLED) % CLASSES
    x = draw.standard_normal((n, d), dtype=np.float32)
    x += draw.normal(scale=0.4, size=(CLASSES, d)).astype(np.float32)[y]
    return x, y


if __name__ == "__main__":
    main()
