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
from plumbline_backend.exporters.classifier.bundle import ClassifierBundle
from plumbline_backend.exporters.classifier.graph import PREFIX, GraphWriter
from plumbline_backend.exporters.classifier.onnx_program import write_program

OUTPUTS = ("class_id", "probabilities")
SCHEMA_FORMAT = 1


def build_model(bundle: ClassifierBundle, blocks: Sequence[Block]) -> onnx.ModelProto:
    """The whole path in one graph: each block's features, the head's steps, temperature, softmax or sigmoid.

    Inputs are named as their columns (input_name says when not). Outputs: class_id (N,) string and
    probabilities (N, K) float32. Arithmetic is float64 inside; features are rounded to float32 on the way, as
    Plumbline stores them. Raises InputError when the head's width is not that of the features.
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
    logits = _head(graph, bundle, graph.cast(joined, "float64"))
    _outputs(graph, bundle, logits)
    schema = {
        "format": SCHEMA_FORMAT,
        "inputs": [{**each, "name": names[each["column"]]} for each in inputs],
        "classes": [{"id": each.id, "name": each.name} for each in all_classes(bundle)],
        "question": bundle.question,
        "link": bundle.link,
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


def _head(graph: GraphWriter, bundle: ClassifierBundle, features: str) -> str:
    """(N, K) float64: the head's logits over the temperature."""
    logits = write_program(graph, bundle.program, features)
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
