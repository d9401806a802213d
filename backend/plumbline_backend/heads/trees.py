"""Ensembles of binary trees as flat arrays, taken from scikit-learn's own, and run in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Trees(NamedTuple):
    """All nodes of all trees in a row; an item goes left where its feature is at most the threshold.

    feature, left, right: (n_nodes,) int64, children as places in these arrays, -1 in leaves; threshold: (n_nodes,)
    float64; roots: (n_trees,); base: (n_outputs,) float64. value: what a leaf adds, (n_nodes, n_outputs), or
    (n_nodes, 1) to the one output that `column` (n_trees,) names for the tree; there column is -1 otherwise.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    roots: NDArray[np.int64]
    column: NDArray[np.int64]
    base: NDArray[np.float64]

    @property
    def n_outputs(self) -> int:
        """Columns of the result."""
        return len(self.base)


def run_trees(trees: Trees, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, n_outputs): base and the sum of every tree's leaf, for (n, d) features."""
    out = np.tile(trees.base, (len(x), 1))
    rows = np.arange(len(x))
    for root, column in zip(trees.roots, trees.column, strict=True):
        at = np.full(len(x), root)
        inner = trees.feature[at] >= 0
        while inner.any():
            here, who = at[inner], rows[inner]
            goes_left = x[who, trees.feature[here]] <= trees.threshold[here]
            at[inner] = np.where(goes_left, trees.left[here], trees.right[here])
            inner = trees.feature[at] >= 0
        if column < 0:
            out += trees.value[at]
        else:
            out[:, column] += trees.value[at, 0]
    return out


def of_random_forest(model: Any) -> Trees:
    """The trees of a fitted RandomForestClassifier: mean of the leaves' shares, of two classes the second's."""
    n_trees = len(model.estimators_)
    columns = slice(1, None) if len(model.classes_) == 2 else slice(None)
    parts = []
    for estimator in model.estimators_:
        tree = estimator.tree_
        leaf = tree.children_left < 0
        shares = tree.value[:, 0, :] / tree.value[:, 0, :].sum(axis=1, keepdims=True)
        value = np.where(leaf[:, None], shares[:, columns] / n_trees, 0.0)
        feature = np.where(leaf, -1, tree.feature)
        parts.append((feature, tree.threshold, tree.children_left, tree.children_right, value))
    return _joined(parts, [-1] * n_trees, np.zeros(parts[0][4].shape[1]))


def of_boosting(model: Any) -> Trees:
    """The trees of a fitted HistGradientBoostingClassifier: raw scores, one column for two classes."""
    base = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    parts, columns = [], []
    for round_ in model._predictors:
        for column, predictor in enumerate(round_):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            columns.append(column)
            value = np.where(leaf, nodes["value"], 0.0)[:, None]
            feature = np.where(leaf, -1, nodes["feature_idx"])
            left = np.where(leaf, -1, nodes["left"].astype(np.int64))
            right = np.where(leaf, -1, nodes["right"].astype(np.int64))
            parts.append((feature, np.where(leaf, 0.0, nodes["num_threshold"]), left, right, value))
    return _joined(parts, columns, base)


def _joined(
    parts: Sequence[tuple[NDArray[Any], ...]], columns: list[int], base: NDArray[np.float64]
) -> Trees:
    sizes = [len(part[0]) for part in parts]
    roots = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
    moved = [
        tuple(np.where(children < 0, -1, children + root) for children in part[2:4])
        for part, root in zip(parts, roots, strict=True)
    ]
    return Trees(
        feature=np.concatenate([part[0] for part in parts]).astype(np.int64),
        threshold=np.concatenate([part[1] for part in parts]).astype(np.float64),
        left=np.concatenate([left for left, _ in moved]).astype(np.int64),
        right=np.concatenate([right for _, right in moved]).astype(np.int64),
        value=np.concatenate([part[4] for part in parts]).astype(np.float64),
        roots=roots,
        column=np.array(columns, dtype=np.int64),
        base=base,
    )
