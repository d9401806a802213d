"""The worker's part of finding candidates for new classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.novelty.clusters import discover
from plumbline_backend.pool.pool import Pool


def suggest_classes(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """Cluster the unclear items. Returns {"clusters": [[item, ...], ...], "n_known", "silhouette": {k: value}}.

    spec: pool, items, train_items, train_targets, n_classes, seed. Clusters are the largest first, the items of each
    nearest to its centre first; n_known items lie nearest to a known class.
    """
    report(0.1, "reading features")
    features = Pool.open(Path(spec["pool"])).features
    items = np.array(spec["items"], dtype=np.int64)
    targets = np.array(spec["train_targets"], dtype=np.int64)
    labelled = features.gather(np.array(spec["train_items"], dtype=np.int64)).astype(np.float64)
    known = [labelled[targets == k].mean(axis=0) for k in range(spec["n_classes"]) if (targets == k).any()]
    report(0.3, f"clustering {len(items):,} unclear items")
    found = discover(
        features.gather(items).astype(np.float64),
        np.array(known).reshape(len(known), features.d),
        np.random.default_rng(spec["seed"]),
    )
    clusters = []
    for k in range(found.k):
        rows = np.flatnonzero(found.label == k)
        clusters.append(items[rows[np.argsort(found.distance[rows], kind="stable")]].tolist())
    return {
        "clusters": sorted((c for c in clusters if c), key=len, reverse=True),
        "n_known": int((found.label < 0).sum()),
        "silhouette": {str(k): value for k, value in found.silhouette.items()},
    }
