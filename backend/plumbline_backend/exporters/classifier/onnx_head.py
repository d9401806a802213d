"""model.onnx: raw columns in, class ids and calibrated probabilities out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import LabelClass
from plumbline_backend.exporters.classifier.blocks import Block
from plumbline_backend.exporters.classifier.bundle import ClassifierBundle, Refusal
from plumbline_backend.exporters.classifier.graph import PREFIX, GraphWriter
from plumbline_backend.exporters.classifier.onnx_program import Written, write_program

OUTPUTS = ("class_id", "probabilities", "none_of_these", "out_of_scope_score")
SCHEMA_FORMAT = 1


def build_model(bundle: ClassifierBundle, blocks: Sequence[Block]) -> onnx.ModelProto:
    """The whole path in one graph: each block's features, the head's steps, temperature, softmax or sigmoid.

    Inputs are named as their columns (input_name says when not). Outputs: class_id (N,) string and
    probabilities (N, K) float32; with an open-set rule none_of_these (N,) bool and out_of_scope_score (N,) float64, and
    class_id stays the likeliest of the classes. Arithmetic is float64 inside; features are rounded to float32 on the
    way, as Plumbline stores them. Raises InputError when the head's width is not that of the features.
    """
    width = sum(block.width for block in blocks)
    if bundle.width != width:
        raise InputError(f"the head reads {bundle.width} features; its transforms give {width}")
    graph = GraphWriter()
    inputs = [each for block in blocks for each in block.inputs()]
    names = {each["column"]: input_name(each["column"]) for each in inputs}
    for each in inputs:
        graph.input(names[each["column"]], each["element"], tuple(each["shape"]))
    features = [graph.cast(block.write(graph, names), "float32") for block in blocks]
    joined = features[0] if len(features) == 1 else graph.op("Concat", *features, axis=1)
    doubled, written = graph.cast(joined, "float64"), Written()
    _outputs(graph, bundle, _head(graph, bundle, doubled, written))
    if bundle.refusal is not None:
        _refusal(graph, bundle.refusal, doubled, written)
    schema = {
        "format": SCHEMA_FORMAT,
        "inputs": [{**each, "name": names[each["column"]]} for each in inputs],
        "classes": [{"id": each.id, "name": each.name} for each in all_classes(bundle)],
        "question": bundle.question,
        "link": bundle.link,
        "none_of_these": refusal_words(bundle.refusal),
    }
    doc = f"{bundle.question}\nInputs are raw columns; outputs are class ids and calibrated probabilities."
    return graph.model("plumbline_classifier", doc, {"plumbline.schema": json.dumps(schema)})


def all_classes(bundle: ClassifierBundle) -> list[LabelClass]:
    """The classes in the order of the probabilities."""
    return [*bundle.classes, *(each for each, _ in bundle.above)]


def input_name(column: str) -> str:
    """The ONNX input for a column: its own name, or one with "input:" in front where ONNX could not have it."""
    taken = column in OUTPUTS or column == "" or column.startswith((PREFIX, "input:"))
    return f"input:{column}" if taken else column


def refusal_words(refusal: Refusal | None) -> dict[str, Any] | None:
    """The rule as the manifest and the model's own properties tell it."""
    if refusal is None:
        return None
    return {name: getattr(refusal, name) for name in ("score", "threshold", "kept", "n")}


def _refusal(graph: GraphWriter, refusal: Refusal, features: str, written: Written) -> None:
    column = write_program(graph, refusal.program, features, written)
    score = graph.op("Squeeze", column, graph.constant(np.array([1])))
    above = graph.op("Greater", score, graph.constant(float(refusal.threshold)))
    graph.output(above, "none_of_these", "bool", ())
    graph.output(score, "out_of_scope_score", "float64", ())


def _head(graph: GraphWriter, bundle: ClassifierBundle, features: str, written: Written) -> str:
    """(N, K) float64: the head's logits over the temperature."""
    logits = write_program(graph, bundle.program, features, written)
    return graph.op("Div", logits, graph.constant(float(bundle.temperature)))


def _outputs(graph: GraphWriter, bundle: ClassifierBundle, logits: str) -> None:
    K = len(bundle.classes)
    linked = graph.op("Softmax", logits, axis=1) if bundle.link == "softmax" else graph.op("Sigmoid", logits)
    if bundle.above:
        member = np.zeros((K, len(bundle.above)))
        for place, (_, parts) in enumerate(bundle.above):
            member[list(parts), place] = 1.0
        linked = graph.op("Concat", linked, graph.op("MatMul", linked, graph.constant(member)), axis=1)
    proba = graph.cast(linked, "float32")
    likeliest = graph.op("ArgMax", logits, axis=1, keepdims=0)
    ids: list[Any] = [each.id for each in bundle.classes]
    graph.output(graph.op("Gather", graph.constant(ids), likeliest, axis=0), "class_id", "string", ())
    graph.output(proba, "probabilities", "float32", (K + len(bundle.above),))
