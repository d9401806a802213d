"""Classic strategies as scikit-activeml (BSD-3-Clause) has them, in our harness: what ours are measured against."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.domain.errors import InputError

PREFIX = "skactiveml:"
BASELINES = tuple(
    PREFIX + name
    for name in (
        "random",
        "margin",
        "entropy",
        "least_confident",
        "badge",
        "typiclust",
        "core_set",
        "qbc",
        "discriminative",
    )
)


class Baseline:
    """A pool strategy of scikit-activeml with a logistic regression as its query model."""

    needs: frozenset[Need] = frozenset({"features", "labels"})

    def __init__(self, name: str) -> None:
        if find_spec("skactiveml") is None:
            raise InputError(
                f"strategy {name!r} needs scikit-activeml, which is not installed; "
                "install it with: pip install 'plumbline[bench]'"
            )
        self.name = name
        self.explanation = f"The strategy {name.removeprefix(PREFIX)} of scikit-activeml, as a baseline."

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """What its `query` answers, in its order; the utilities count down."""
        labelled, rows = view.the_labels(), np.flatnonzero(view.candidates)
        known = np.concatenate([labelled.items, rows])
        x = view.the_features().gather(known).astype(np.float64)
        y = np.concatenate([labelled.targets.astype(float), np.full(len(rows), np.nan)])
        query, options = _made(self.name.removeprefix(PREFIX), labelled.n_classes, int(rng.integers(2**31)))
        candidates = np.arange(len(labelled.items), len(known))
        found = query.query(X=x, y=y, candidates=candidates, batch_size=min(n, len(rows)), **options)
        items = known[np.asarray(found)]
        _, first = np.unique(items, return_index=True)  # its BADGE may answer an item twice
        items = items[np.sort(first)]
        return Ranking(items, -np.arange(len(items), dtype=float), self.name)


def _made(name: str, n_classes: int, seed: int) -> tuple[Any, dict[str, Any]]:
    from skactiveml import pool
    from skactiveml.classifier import SklearnClassifier
    from sklearn.linear_model import LogisticRegression

    model = SklearnClassifier(
        LogisticRegression(max_iter=1000), classes=list(range(n_classes)), random_state=seed
    )
    uncertain = {"margin": "margin_sampling", "entropy": "entropy", "least_confident": "least_confident"}
    if name in uncertain:
        return pool.UncertaintySampling(method=uncertain[name], random_state=seed), {"clf": model}
    if name == "badge":
        return pool.Badge(random_state=seed), {"clf": model}
    if name == "qbc":
        return pool.QueryByCommittee(random_state=seed), {"ensemble": _ensemble(n_classes, seed)}
    if name == "discriminative":
        return pool.DiscriminativeAL(random_state=seed), {"discriminator": model}
    plain = {"random": pool.RandomSampling, "typiclust": pool.TypiClust, "core_set": pool.CoreSet}
    return plain[name](random_state=seed), {}


def _ensemble(n_classes: int, seed: int) -> Any:
    from skactiveml.classifier import SklearnClassifier
    from sklearn.ensemble import BaggingClassifier
    from sklearn.linear_model import LogisticRegression

    bagged = BaggingClassifier(LogisticRegression(max_iter=1000), n_estimators=8, random_state=seed)
    return SklearnClassifier(bagged, classes=list(range(n_classes)), random_state=seed)
