"""The worker's part of the health check: cross-validated probabilities, training dynamics, duplicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.health.confident import confident_learning
from plumbline_backend.health.duplicates import near_duplicates
from plumbline_backend.health.dynamics import training_dynamics
from plumbline_backend.pool.pool import Pool

FOLDS = 5
LEAST = 20
"""Labels below which a model says too little about any of them."""
MOST = 20_000
SHOWN = 300
GROUPS_SHOWN = 100

Report = Callable[[float, str], None]


def check_health(spec: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    """Check the labels of a project. spec: pool, items, targets, classes, l2, seed.

    Returns {"issues": [...], "n_issues", "n_checked", "why_not", "duplicates", "n_groups", "n_compared"}; an issue is
    {"item", "given", "suggested", "proba", "self", "aum", "el2n", "by"}, the gravest first.
    """
    features = Pool.open(Path(spec["pool"])).features
    rng = np.random.default_rng(spec["seed"])
    items, targets = np.array(spec["items"], dtype=np.int64), np.array(spec["targets"], dtype=np.int64)
    report(0.02, "comparing items")
    twins = near_duplicates(features, items, rng, lambda share, words: report(0.5 * share, words))
    if len(items) > MOST:
        kept = np.sort(rng.choice(len(items), MOST, replace=False))
        items, targets = items[kept], targets[kept]
    why_not = _why_not(targets)
    issues = [] if why_not else _issues(spec, features.gather(items), items, targets, rng, report)
    return {
        "issues": issues[:SHOWN],
        "n_issues": len(issues),
        "n_checked": 0 if why_not else len(items),
        "why_not": why_not,
        "duplicates": twins.groups[:GROUPS_SHOWN],
        "n_groups": len(twins.groups),
        "n_compared": twins.n_checked,
    }


def cross_validated(
    x: NDArray[np.floating[Any]],
    y: NDArray[np.int64],
    n_classes: int,
    l2: float | None,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """(n, n_classes) probabilities of each item from a head that was trained on the other folds.

    Folds hold each class in proportion. A class that is missing outside a fold gets the probability that the head
    gives to classes it never saw.
    """
    fold = np.empty(len(y), dtype=np.int64)
    for k in range(n_classes):
        mine = rng.permutation(np.flatnonzero(y == k))
        fold[mine] = (np.arange(len(mine)) + rng.integers(FOLDS)) % FOLDS
    proba = np.empty((len(y), n_classes))
    for held in range(FOLDS):
        inside = fold == held
        if not inside.any():
            continue
        proba[inside] = LinearSoftmax(l2=l2).fit(x[~inside], y[~inside], n_classes).proba(x[inside])
    return proba


def _why_not(targets: NDArray[np.int64]) -> str:
    if len(targets) < LEAST:
        return f"{len(targets)} labels; the check of labels needs at least {LEAST}"
    counts = np.bincount(targets)
    if (counts > 1).sum() < 2:
        return "all labels but one say the same; the check of labels needs two classes with two labels each"
    return ""


def _issues(
    spec: Mapping[str, Any],
    x: NDArray[np.floating[Any]],
    items: NDArray[np.int64],
    targets: NDArray[np.int64],
    rng: np.random.Generator,
    report: Report,
) -> list[dict[str, Any]]:
    n_classes = len(spec["classes"])
    report(0.55, "training without each fold")
    proba = cross_validated(x, targets, n_classes, spec["l2"], rng)
    report(0.75, "watching a model learn")
    dynamics = training_dynamics(x, targets, n_classes, rng)
    found = confident_learning(proba, targets)
    own = proba[np.arange(len(items)), targets]
    other = np.where(found.flagged, found.suggested, _best_other(proba, targets))
    rows = np.flatnonzero(found.flagged | dynamics.low_aum)
    report(0.97, "sorting")
    issues = [
        {
            "item": int(items[i]),
            "given": spec["classes"][targets[i]],
            "suggested": spec["classes"][other[i]],
            "proba": float(proba[i, other[i]]),
            "self": float(own[i]),
            "aum": float(dynamics.aum[i]),
            "el2n": float(dynamics.el2n[i]),
            "by": [
                name
                for name, by in (
                    ("confident learning", found.flagged),
                    ("area under the margin", dynamics.low_aum),
                )
                if by[i]
            ],
        }
        for i in rows
    ]
    return sorted(issues, key=lambda issue: (-len(issue["by"]), issue["self"] - issue["proba"]))


def _best_other(proba: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    without = proba.copy()
    without[np.arange(len(proba)), targets] = -1
    return without.argmax(axis=1).astype(np.int64)
