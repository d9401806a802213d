"""What features are like: intrinsic dimension, neural collapse, separability, shift between imports, shortcuts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import pdist, squareform
from scipy.stats import chi2_contingency, ks_2samp
from sklearn.neighbors import NearestNeighbors

from plumbline_backend.domain.calibration_slices import holm
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval

MOST_ROWS = 5_000
"""Rows drawn at random for what looks at neighbours: exact neighbours of 5,000 x 384 take about a second."""
MOST_TREE_ROWS = 2_000
DISCARDED = 0.1
"""Share of the largest distance ratios that TwoNN leaves out: they rest on outliers (Facco et al. 2017)."""
NEIGHBOURS = 20
FOLDS = 5
LEVEL = 0.05


class Dimension(NamedTuple):
    """Intrinsic dimension by two estimators, over n rows; NaN when there are too few different rows."""

    two_nn: float
    mle: float
    n: int


class Collapse(NamedTuple):
    """nc1: spread within classes against between (0: collapsed); nc2: how far class means are from equal angles.

    nc3: how far they are from the head's weights; nc4: share of items whose nearest mean is not the head's answer.
    """

    nc1: float
    nc2: float
    nc3: float
    nc4: Interval


@dataclass(frozen=True)
class Shift:
    """One column of two imports compared. p_value: corrected for all columns; shifted: refuted at 5 %."""

    column: str
    statistic: float
    p_value: float
    shifted: bool


@dataclass(frozen=True)
class Shortcut:
    """How well one column alone predicts the label, on held-out folds; base: always the most frequent label."""

    column: str
    accuracy: Interval
    base: float
    suspicious: bool


def intrinsic_dimension(features: NDArray[np.floating[Any]], rng: np.random.Generator) -> Dimension:
    """TwoNN (slope of -log(1 - F) on log(r2 / r1), the top tenth left out) and the maximum-likelihood estimate.

    features (n, d). Duplicate rows are left out. Sources: Facco et al. 2017; Levina and Bickel 2004.
    """
    rows = np.unique(_drawn(features, rng, MOST_ROWS), axis=0)
    n = len(rows)
    if n < 20:
        return Dimension(float("nan"), float("nan"), n)
    k = min(NEIGHBOURS, n - 1)
    distance = np.maximum(NearestNeighbors(n_neighbors=k + 1).fit(rows).kneighbors(rows)[0][:, 1:], 1e-12)
    ratio = np.sort(np.log(distance[:, 1] / distance[:, 0]))
    kept = slice(0, int(n * (1 - DISCARDED)))
    heights = -np.log1p(-np.arange(1, n + 1)[kept] / (n + 1))
    two_nn = float(ratio[kept] @ heights / max(ratio[kept] @ ratio[kept], 1e-300))
    inverse = np.log(distance[:, -1:] / distance[:, :-1]).sum(axis=1).mean() / max(k - 2, 1)
    return Dimension(two_nn, float(1 / inverse) if inverse > 0 else float("nan"), n)


def neural_collapse(
    features: NDArray[np.floating[Any]],
    targets: NDArray[np.integer[Any]],
    weight: NDArray[np.floating[Any]],
    predicted: NDArray[np.integer[Any]],
) -> Collapse:
    """NC1 = tr(S_W S_B^+) / K, NC2, NC3, NC4 of features (n, d), targets (n,), a head's weight (K, d) and answers (n,).

    Every class 0 .. K - 1 must occur. Raises InputError otherwise. Source: Papyan, Han and Donoho 2020.
    """
    x, y = np.asarray(features, dtype=np.float64), np.asarray(targets)
    k = len(weight)
    counts = np.bincount(y, minlength=k)
    if len(counts) != k or (counts == 0).any() or k < 2:
        raise InputError(
            f"neural collapse: found {int((counts > 0).sum())} classes; expected items of all {k}, at least 2"
        )
    means = np.zeros((k, x.shape[1]))
    np.add.at(means, y, x)
    means /= counts[:, None]
    centred = means - means.mean(axis=0)
    within = (x - means[y]).T @ (x - means[y]) / len(x)
    between = centred.T @ centred / k
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-300)
    ideal = (k * np.eye(k) - 1) / (k - 1)
    own = np.asarray(weight, dtype=np.float64)
    aligned = centred / np.linalg.norm(centred) - own / np.linalg.norm(own)
    squares = (means**2).sum(axis=1)
    nearest = (squares - 2 * x @ means.T).argmin(axis=1)
    return Collapse(
        nc1=float(np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / k),
        nc2=float(np.abs(unit @ unit.T - ideal)[~np.eye(k, dtype=bool)].mean()),
        nc3=float((aligned**2).sum()),
        nc4=wilson(int((nearest != predicted).sum()), len(x)),
    )


def separability(features: NDArray[np.floating[Any]], rng: np.random.Generator) -> float:
    """Mean edge of the minimum spanning tree over its longest, in (0, 1]; lower: more clustered. Needs no labels.

    The edges are the deaths of connected components in the Rips filtration (H0 persistence). NaN below three rows.
    """
    rows = _drawn(features, rng, MOST_TREE_ROWS)
    if len(rows) < 3:
        return float("nan")
    edges = minimum_spanning_tree(squareform(np.maximum(pdist(rows), 1e-12))).data
    return float(edges.mean() / edges.max())


def neighbour_agreement(features: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]]) -> Interval:
    """Share of items (n, d) whose nearest other item has the same label (n,): 1 where classes lie apart.

    Where they do not, it is about the sum of the squared shares of the classes. Unknown below two rows.
    """
    if len(features) < 2:
        return wilson(0, 0)
    x = np.asarray(features, dtype=np.float64)
    near = NearestNeighbors(n_neighbors=2).fit(x).kneighbors(x, return_distance=False)
    # of equal rows either may come first
    other = np.where(near[:, 0] == np.arange(len(x)), near[:, 1], near[:, 0])
    return wilson(int((targets[other] == targets).sum()), len(x))


def shifts(old: Mapping[str, NDArray[Any]], new: Mapping[str, NDArray[Any]]) -> list[Shift]:
    """Columns that both imports have, from the most to the least different.

    Numbers by Kolmogorov-Smirnov's test, other values by chi-squared on the table of counts (Cramer's V is shown); the
    p-values are corrected for the number of columns (Holm 1979).
    """
    names = [name for name in old if name in new and len(old[name]) and len(new[name])]
    tested = [_compared(np.asarray(old[name]), np.asarray(new[name])) for name in names]
    adjusted = holm([p for _, p in tested])
    found = [
        Shift(name, statistic, float(p), bool(p < LEVEL))
        for name, (statistic, _), p in zip(names, tested, adjusted, strict=True)
    ]
    return sorted(found, key=lambda each: (each.p_value, -each.statistic))


def shortcuts(
    columns: Mapping[str, NDArray[Any]], targets: NDArray[np.integer[Any]], rng: np.random.Generator
) -> list[Shortcut]:
    """For each column alone, the accuracy of predicting the label (n,) from it, best first.

    Numbers are cut into ten equal parts; every part or value answers with its most frequent label on the other folds. A
    column is suspicious when its interval lies above the base rate by ten points or more: a head may learn it
    instead of the content.
    """
    y = np.asarray(targets)
    if not len(y):
        return []
    base = float(np.bincount(y).max() / len(y))
    fold = rng.permutation(len(y)) % FOLDS
    found = []
    for name, values in columns.items():
        groups = _groups(np.asarray(values))
        right = sum(_right(groups, y, fold == held_out, fold != held_out) for held_out in range(FOLDS))
        accuracy = wilson(int(right), len(y))
        found.append(Shortcut(name, accuracy, base, accuracy.low > base + 0.1))
    return sorted(found, key=lambda each: -each.accuracy.value)


def el2n(proba: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """(n,) how much each item matters to training: |p - onehot|, in [0, sqrt 2]. Source: Paul et al. 2021.

    Meant for probabilities of heads that have seen little yet; average it over seeds.
    """
    p = np.asarray(proba, dtype=np.float64)
    own = p[np.arange(len(p)), targets]
    return np.asarray(np.sqrt(np.maximum((p**2).sum(axis=1) - 2 * own + 1, 0.0)), dtype=np.float64)


def grand(
    proba: NDArray[np.floating[Any]], targets: NDArray[np.integer[Any]], features: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """(n,) length of each item's gradient; for a linear head with bias exactly |p - onehot| sqrt(|h|^2 + 1)."""
    h = np.asarray(features, dtype=np.float64)
    return np.asarray(el2n(proba, targets) * np.sqrt((h**2).sum(axis=1) + 1), dtype=np.float64)


def _drawn(features: NDArray[np.floating[Any]], rng: np.random.Generator, most: int) -> NDArray[np.float64]:
    rows = np.asarray(features, dtype=np.float64)
    return rows if len(rows) <= most else rows[np.sort(rng.permutation(len(rows))[:most])]


def _compared(old: NDArray[Any], new: NDArray[Any]) -> tuple[float, float]:
    """Size of the difference in [0, 1], and the p-value."""
    if old.dtype.kind in "fiu" and new.dtype.kind in "fiu":
        old, new = old[np.isfinite(old)], new[np.isfinite(new)]
        if not (len(old) and len(new)):
            return 0.0, 1.0
        found = ks_2samp(old, new)
        return float(found.statistic), float(found.pvalue)
    values, codes = np.unique(np.concatenate([old.astype(str), new.astype(str)]), return_inverse=True)
    if len(values) < 2:
        return 0.0, 1.0
    table = np.stack([np.bincount(part, minlength=len(values)) for part in np.split(codes, [len(old)])])
    found = chi2_contingency(table)
    return sqrt(float(found.statistic) / table.sum()), float(found.pvalue)


def _groups(values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind in "fiu" and len(np.unique(values)) > 20:
        cuts = np.nanquantile(values, np.linspace(0.1, 0.9, 9))
        return np.searchsorted(cuts, values).astype(np.int64)
    return np.unique(values.astype(str), return_inverse=True)[1].astype(np.int64)


def _right(
    groups: NDArray[np.int64], y: NDArray[Any], held_out: NDArray[np.bool_], rest: NDArray[np.bool_]
) -> int:
    k = int(y.max()) + 1
    table = np.bincount(groups[rest] * k + y[rest], minlength=(int(groups.max()) + 1) * k).reshape(-1, k)
    tie_break = np.bincount(y[rest], minlength=k) / (
        len(y) + 1
    )  # unseen values answer the most frequent label
    answers = (table + tie_break).argmax(axis=1)
    return int((answers[groups[held_out]] == y[held_out]).sum())
