"""How good a classifier over a tree is, where people answer as deep as they can."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.intervals import bootstrap_mean, wilson
from plumbline_backend.domain.types import Interval


class NodeMetrics(NamedTuple):
    """One class of the tree, on the items whose answer decides it: n_true lie in it, n_given are put into it."""

    precision: Interval
    recall: Interval
    n_true: int
    n_given: int


class TreeEvaluation(NamedTuple):
    """accuracy: share of answers that the predicted leaf lies in, at whatever depth they were given. by_depth: the same
    at each depth from the root's, on the answers at least so deep. leaves: on answers that are leaves. nll: of the
    answered class, in nats."""

    n: int
    accuracy: Interval
    leaves: Interval
    by_depth: tuple[Interval, ...]
    nll: Interval
    per_class: tuple[NodeMetrics, ...]


def evaluate_tree(
    proba: NDArray[np.floating[Any]],
    leaf_paths: NDArray[np.integer[Any]],
    answer_paths: NDArray[np.integer[Any]],
    is_leaf: NDArray[np.bool_],
    n_classes: int,
    rng: np.random.Generator,
) -> TreeEvaluation:
    """proba (n, L) of the leaves; leaf_paths (L, D) and answer_paths (n, D): classes 0 .. n_classes - 1 from the root
    down, -1 behind the end; is_leaf (n,) whether the answer is a leaf. n may be 0. Raises InputError on other shapes.
    """
    proba = np.asarray(proba, dtype=np.float64)
    if proba.ndim != 2 or proba.shape != (len(answer_paths), len(leaf_paths)) or len(is_leaf) != len(proba):
        raise InputError(
            f"probabilities have shape {proba.shape}; expected ({len(answer_paths)}, {len(leaf_paths)})"
        )
    predicted = leaf_paths[proba.argmax(axis=1)] if len(proba) else answer_paths
    given = answer_paths >= 0
    same = (predicted == answer_paths) & given
    inside = (same == given).all(axis=1)
    return TreeEvaluation(
        n=len(proba),
        accuracy=wilson(int(inside.sum()), len(inside)),
        leaves=wilson(int((inside & is_leaf).sum()), int(is_leaf.sum())),
        by_depth=tuple(
            wilson(int(same[given[:, d], : d + 1].all(axis=1).sum()), int(given[:, d].sum()))
            for d in range(answer_paths.shape[1])
        ),
        nll=_nll(proba, leaf_paths, answer_paths, rng),
        per_class=tuple(_node(k, predicted, answer_paths, leaf_paths) for k in range(n_classes)),
    )


def _nll(
    proba: NDArray[np.floating[Any]],
    leaf_paths: NDArray[np.integer[Any]],
    answer_paths: NDArray[np.integer[Any]],
    rng: np.random.Generator,
) -> Interval:
    below = ((leaf_paths[None] == answer_paths[:, None]) | (answer_paths[:, None] < 0)).all(axis=2)
    stated = np.where(below, proba, 0.0).sum(axis=1)
    return bootstrap_mean(-np.log(np.clip(stated, 1e-300, 1.0)), rng, low=0.0)


def _node(
    k: int,
    predicted: NDArray[np.integer[Any]],
    answers: NDArray[np.integer[Any]],
    leaf_paths: NDArray[np.integer[Any]],
) -> NodeMetrics:
    """Only items whose answer decides class k: it is in the answer's path, or the answer excludes it."""
    true, found = (answers == k).any(axis=1), (predicted == k).any(axis=1)
    leaves = (leaf_paths == k).any(axis=1)
    possible = ((leaf_paths[None] == answers[:, None]) | (answers[:, None] < 0)).all(axis=2)
    decided = true | ~(possible & leaves[None]).any(axis=1)
    hits = int((true & found).sum())
    n_true, n_given = int(true.sum()), int((found & decided).sum())
    return NodeMetrics(wilson(hits, n_given), wilson(hits, n_true), n_true, n_given)
