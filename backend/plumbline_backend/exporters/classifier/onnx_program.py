"""A head's steps as ONNX nodes, in float64 like the head itself."""

from __future__ import annotations

import numpy as np

from plumbline_backend.exporters.classifier.graph import ML, GraphWriter
from plumbline_backend.heads.program import (
    FLOOR,
    Affine,
    Clip,
    Elementwise,
    Forest,
    Neighbours,
    Program,
    Ramps,
    RowWise,
    Smallest,
    Step,
    Times,
    UnitRows,
)
from plumbline_backend.heads.trees import Trees

Written = dict[tuple[int, str], str]
"""What a step, by its identity, made of a value: two programs that begin alike share these nodes."""


def write_program(graph: GraphWriter, program: Program, features: str, written: Written | None = None) -> str:
    """Add the steps' nodes; features is (N, d) float64. Returns the (N, K) logits, float64."""
    value, there = features, {} if written is None else written
    for step in program:
        key = id(step), value
        if key not in there:
            there[key] = _write(graph, step, value)
        value = there[key]
    return value


def _write(graph: GraphWriter, step: Step, x: str) -> str:
    if isinstance(step, Affine):
        return graph.op("Add", graph.op("MatMul", x, graph.double(step.weight.T)), graph.double(step.bias))
    if isinstance(step, UnitRows):
        lengths = graph.op("Sqrt", _row_sums(graph, graph.op("Mul", x, x)))
        one = graph.constant(np.float64(1.0))
        zero = graph.constant(np.float64(0.0))
        return graph.op("Div", x, graph.op("Where", graph.op("Equal", lengths, zero), one, lengths))
    if isinstance(step, Elementwise):
        return _elementwise(graph, step, x)
    if isinstance(step, RowWise):
        return graph.op("Softmax", x, axis=1) if step.kind == "softmax" else _log_sum(graph, x)
    if isinstance(step, Smallest):
        return graph.two("TopK", x, graph.constant(np.array([step.k])), axis=1, largest=0, sorted=1)[0]
    if isinstance(step, Clip):
        return _between(graph, x, step.low, step.high)
    if isinstance(step, Times):
        return graph.op("Mul", x, write_program(graph, step.by, x))
    if isinstance(step, Ramps):
        return _ramps(graph, step, x)
    return _neighbours(graph, step, x) if isinstance(step, Neighbours) else _forest(graph, step, x)


def _log_sum(graph: GraphWriter, x: str) -> str:
    """log of the sum of exponentials, with the largest taken out first."""
    top = graph.op("ReduceMax", x, axes=[1], keepdims=1)
    total = _row_sums(graph, graph.op("Exp", graph.op("Sub", x, top)))
    return graph.op("Add", graph.op("Log", total), top)


def _between(graph: GraphWriter, x: str, low: float, high: float) -> str:
    return graph.op(
        "Min",
        graph.op("Max", x, graph.constant(np.float64(low))),
        graph.constant(np.float64(high)),
    )


def _ramps(graph: GraphWriter, step: Ramps, x: str) -> str:
    column = graph.op("Unsqueeze", x, graph.constant(np.array([2])))
    scaled = graph.op("Mul", column, graph.double(step.scale))
    lifted = _between(graph, graph.op("Add", scaled, graph.double(step.offset)), 0.0, 1.0)
    risen = graph.op("Mul", lifted, graph.double(step.rise))
    total = graph.op("ReduceSum", risen, graph.constant(np.array([2])), keepdims=0)
    return graph.op("Add", total, graph.double(step.base))


def _elementwise(graph: GraphWriter, step: Elementwise, x: str) -> str:
    if step.kind == "squares":
        return graph.op("Concat", x, graph.op("Mul", x, x), axis=1)
    if step.kind == "relu":
        return graph.op("Relu", x)
    if step.kind == "square":
        return graph.op("Mul", x, x)
    if step.kind in ("reciprocal", "sigmoid", "tanh"):
        return graph.op(step.kind.capitalize(), x)
    return graph.op("Log", graph.op("Max", x, graph.constant(np.float64(FLOOR))))


def _neighbours(graph: GraphWriter, step: Neighbours, x: str) -> str:
    """Squared distances by the binomial formula; the k smallest; their values weighted by the inverse."""
    lengths = (step.anchors**2).sum(axis=1)
    own = _row_sums(graph, graph.op("Mul", x, x))
    product = graph.op("MatMul", x, graph.double(-2 * step.anchors.T))
    distance = graph.op("Add", graph.op("Add", product, own), graph.constant(lengths))
    nearest, places = graph.two("TopK", distance, graph.constant(np.array([step.k])), axis=1, largest=0)
    weight = graph.op("Reciprocal", nearest)
    values = graph.op("Gather", graph.double(step.values), places, axis=0)
    column = graph.op("Unsqueeze", weight, graph.constant(np.array([1])))
    total = graph.op("Squeeze", graph.op("MatMul", column, values), graph.constant(np.array([1])))
    return graph.op("Div", total, _row_sums(graph, weight))


def _row_sums(graph: GraphWriter, x: str) -> str:
    return graph.op("ReduceSum", x, graph.constant(np.array([1])), keepdims=1)


def _forest(graph: GraphWriter, step: Forest, x: str) -> str:
    """ai.onnx.ml's TreeEnsembleRegressor over float64, with as many targets as the trees have outputs."""
    trees = step.trees
    tree_of, place = _numbered(trees)
    leaves = np.flatnonzero(trees.feature < 0)
    inner = trees.feature >= 0
    nodes, targets, weights = _leaf_values(trees, leaves, tree_of)
    found = graph.op(
        "TreeEnsembleRegressor",
        x,
        domain=ML,
        n_targets=trees.n_outputs,
        nodes_treeids=tree_of.tolist(),
        nodes_nodeids=place.tolist(),
        nodes_featureids=np.where(inner, trees.feature, 0).tolist(),
        nodes_modes=np.where(inner, "BRANCH_LEQ", "LEAF").tolist(),
        nodes_values_as_tensor=graph.tensor(np.where(inner, trees.threshold, 0.0)),
        nodes_truenodeids=np.where(inner, place[trees.left], 0).tolist(),
        nodes_falsenodeids=np.where(inner, place[trees.right], 0).tolist(),
        target_treeids=tree_of[nodes].tolist(),
        target_nodeids=place[nodes].tolist(),
        target_ids=targets.tolist(),
        target_weights_as_tensor=graph.tensor(weights),
    )
    # ONNX Runtime gives float32 from this node; what follows is float64 again.
    return graph.op("Add", graph.cast(found, "float64"), graph.constant(trees.base))


def _numbered(trees: Trees) -> tuple[np.ndarray, np.ndarray]:
    """For each node its tree and its place in it."""
    sizes = np.diff([*trees.roots, len(trees.feature)])
    tree_of = np.repeat(np.arange(len(trees.roots)), sizes)
    return tree_of, np.arange(len(trees.feature)) - trees.roots[tree_of]


def _leaf_values(
    trees: Trees, leaves: np.ndarray, tree_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(node, output, value) for everything that leaves add; a leaf that adds nothing still needs one entry."""
    value = trees.value[leaves]
    if value.shape[1] == 1 and trees.n_outputs > 1:
        return leaves, trees.column[tree_of[leaves]], value[:, 0]
    kept = value != 0
    kept[:, 0] |= ~kept.any(axis=1)
    rows, outputs = np.nonzero(kept)
    return leaves[rows], outputs, value[rows, outputs]
