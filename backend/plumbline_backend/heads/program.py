"""What a fitted head computes, as a short list of steps: run here, written into ONNX, built for scikit-learn.

A head that gives its program needs no exporter of its own: numpy below, `exporters/classifier/onnx_program.py` and
`exporters/classifier/sklearn_program.py` follow the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp, softmax

from plumbline_backend.heads.trees import Trees

Matrix = NDArray[np.float64]
_ROWS = 16_384
_CELLS = 8_000_000
"""Cells of the widest array in one chunk: 64 MB of float64."""
FLOOR = 1e-300
"""Below the logarithm: larger than the smallest float64, so that log gives -691 and no infinity."""


@dataclass(frozen=True)
class Affine:
    """x W^T + b. weight (m, d), bias (m,)."""

    weight: Matrix
    bias: Matrix


@dataclass(frozen=True)
class UnitRows:
    """Each row over its length; a row of zeros stays as it is."""


@dataclass(frozen=True)
class Elementwise:
    """relu: max(x, 0). log: log(max(x, FLOOR)). reciprocal: 1 / x. square: x^2. squares: [x, x^2], twice as wide."""

    kind: Literal["relu", "log", "reciprocal", "square", "squares", "sigmoid", "tanh"]


@dataclass(frozen=True)
class RowWise:
    """softmax of each row; logsumexp of each row, (n, 1)."""

    kind: Literal["softmax", "logsumexp"]


@dataclass(frozen=True)
class Smallest:
    """The k smallest numbers of each row, ascending, (n, k)."""

    k: int


@dataclass(frozen=True)
class Clip:
    """x where it lies in [low, high], else the nearer end."""

    low: float
    high: float


@dataclass(frozen=True)
class Ramps:
    """A curve for each column: base + sum over points of rise * clip(scale * x + offset, 0, 1).

    scale, offset, rise: (K, points), 0 where a column has fewer; base: (K,). Lines between points, or steps where the
    scale lifts from 0 to 1 within one float64.
    """

    scale: Matrix
    offset: Matrix
    rise: Matrix
    base: Matrix


@dataclass(frozen=True)
class Times:
    """x * by(x), where `by` gives as many columns as x has, or one for all of them."""

    by: Program


@dataclass(frozen=True)
class Neighbours:
    """Shares (n, K): the mean of the k nearest anchors' values, weighted by 1 / squared distance.

    anchors (m, d), values (m, K). No item may lie on an anchor: heads see to it with a column that is 0 for
    items and not 0 for anchors.
    """

    anchors: Matrix
    values: Matrix
    k: int


@dataclass(frozen=True)
class Forest:
    """A fitted scikit-learn ensemble with the same trees as arrays.

    Gives what scikit-learn gives to a next step: `predict_proba` (of two classes only the second's) for "shares",
    `decision_function` (one column for two classes) for "raw".
    """

    estimator: Any
    gives: Literal["shares", "raw"]
    trees: Trees


Step = Affine | UnitRows | Elementwise | RowWise | Smallest | Clip | Ramps | Times | Neighbours | Forest
Program = tuple[Step, ...]
"""Ends in an Affine that gives the logits (n, K)."""


def affine(weight: NDArray[Any], bias: NDArray[Any] | float = 0.0) -> Affine:
    """An Affine in float64; a number serves as every entry of the bias."""
    matrix = np.ascontiguousarray(weight, dtype=np.float64)
    return Affine(matrix, np.ascontiguousarray(np.broadcast_to(bias, len(matrix)), dtype=np.float64))


def last(program: Program) -> Affine:
    """The step that gives the logits."""
    final = program[-1]
    if not isinstance(final, Affine):
        raise TypeError(f"a head's program ends in {type(final).__name__}; expected Affine")
    return final


def run(program: Program, features: NDArray[np.floating[Any]]) -> Matrix:
    """(n, m) what the steps make of (n, d) features, in float64, some rows at a time."""
    rows = max(1, min(_ROWS, _CELLS // widest(program, features.shape[1])))
    parts = [_run_rows(program, features[i : i + rows]) for i in range(0, max(1, len(features)), rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def widest(program: Program, width: int) -> int:
    """Numbers per item in the widest array between the steps."""
    found = width
    for step in program:
        if isinstance(step, Affine):
            width = len(step.weight)
        elif isinstance(step, Neighbours):
            found, width = max(found, len(step.anchors)), step.values.shape[1]
        elif isinstance(step, Forest):
            width = step.trees.n_outputs
        elif isinstance(step, Elementwise) and step.kind == "squares":
            width *= 2
        elif isinstance(step, RowWise) and step.kind == "logsumexp":
            width = 1
        elif isinstance(step, Smallest):
            width = step.k
        elif isinstance(step, Ramps):
            found = max(found, step.rise.size)
        elif isinstance(step, Times):
            found = max(found, widest(step.by, width))
        found = max(found, width)
    return found


def arrays(program: Program) -> Mapping[str, NDArray[Any]]:
    """Everything learned, by name: the last step's as weight and bias, the others' as step.<i>.<name>.

    Steps inside a Times are step.<i>.<j>.<name>.
    """
    return {**_named(program[:-1], "step."), "weight": last(program).weight, "bias": last(program).bias}


def _named(steps: Program, prefix: str) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for i, step in enumerate(steps):
        if isinstance(step, Affine):
            own: Mapping[str, Any] = {"weight": step.weight, "bias": step.bias}
        elif isinstance(step, Neighbours):
            own = {"anchors": step.anchors, "values": step.values, "k": np.array([step.k])}
        elif isinstance(step, Ramps):
            own = {"scale": step.scale, "offset": step.offset, "rise": step.rise, "base": step.base}
        elif isinstance(step, Clip):
            own = {"ends": np.array([step.low, step.high])}
        elif isinstance(step, Smallest):
            own = {"k": np.array([step.k])}
        elif isinstance(step, Forest):
            own = step.trees._asdict()
        else:
            own = _named(step.by, "") if isinstance(step, Times) else {}
        found |= {f"{prefix}{i}.{name}": array for name, array in own.items()}
    return found


def described(program: Program) -> list[str]:
    """The steps by name, in order: affine, unit_rows, the kind of an Elementwise or RowWise, neighbours, trees, ..."""
    return [_name(step) for step in program]


def _name(step: Step) -> str:
    if isinstance(step, Elementwise | RowWise):
        return step.kind
    if isinstance(step, Times):
        return f"times({', '.join(described(step.by))})"
    names = {UnitRows: "unit_rows", Forest: "trees"}
    return names.get(type(step), type(step).__name__.lower())


def _run_rows(program: Program, features: NDArray[np.floating[Any]]) -> Matrix:
    x: Matrix = features.astype(np.float64)
    for step in program:
        x = _run_step(step, x)
    return x


def _run_step(step: Step, x: Matrix) -> Matrix:
    if isinstance(step, Affine):
        return np.asarray(x @ step.weight.T + step.bias)
    if isinstance(step, UnitRows):
        lengths = np.sqrt((x * x).sum(axis=1, keepdims=True))
        return x / np.where(lengths > 0, lengths, 1.0)
    if isinstance(step, Neighbours):
        return _shares(step, x)
    if isinstance(step, Forest):
        return _ask(step, x)
    if isinstance(step, Elementwise):
        return _elementwise(step, x)
    if isinstance(step, RowWise):
        return softmax(x, axis=1) if step.kind == "softmax" else logsumexp(x, axis=1, keepdims=True)
    if isinstance(step, Smallest):
        return np.sort(x, axis=1)[:, : step.k]
    if isinstance(step, Clip):
        return np.clip(x, step.low, step.high)
    if isinstance(step, Times):
        return x * _run_rows(step.by, x)
    lifted = np.clip(x[:, :, None] * step.scale + step.offset, 0.0, 1.0)
    return np.asarray((lifted * step.rise).sum(axis=2) + step.base)


def _elementwise(step: Elementwise, x: Matrix) -> Matrix:
    if step.kind == "squares":
        return np.concatenate([x, x * x], axis=1)
    if step.kind == "relu":
        return np.maximum(x, 0.0)
    if step.kind == "log":
        return np.log(np.maximum(x, FLOOR))
    if step.kind == "sigmoid":
        return np.asarray(expit(x))
    if step.kind == "tanh":
        return np.tanh(x)
    return x * x if step.kind == "square" else 1 / x


def _ask(step: Forest, x: Matrix) -> Matrix:
    """scikit-learn's own answer, which comes faster than from the arrays; in the shape that stacking gives."""
    if not len(x):
        return np.empty((0, step.trees.n_outputs))
    if step.gives == "raw":
        raw = np.asarray(step.estimator.decision_function(x))
        return raw[:, None] if raw.ndim == 1 else raw
    return np.asarray(step.estimator.predict_proba(x.astype(np.float32)))[:, -step.trees.n_outputs :]


def _shares(step: Neighbours, x: Matrix) -> Matrix:
    lengths = (step.anchors * step.anchors).sum(axis=1)
    distance = (x * x).sum(axis=1, keepdims=True) + lengths - 2 * x @ step.anchors.T
    if step.k < len(step.anchors):
        nearest = np.argpartition(distance, step.k - 1, axis=1)[:, : step.k]
        weight = 1 / np.take_along_axis(distance, nearest, axis=1)
        return np.asarray(
            np.einsum("nk,nkc->nc", weight, step.values[nearest]) / weight.sum(axis=1, keepdims=True)
        )
    weight = 1 / distance
    return np.asarray(weight @ step.values / weight.sum(axis=1, keepdims=True))
