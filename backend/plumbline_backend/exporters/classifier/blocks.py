"""Fitted transforms as pieces of an export: each writes itself into ONNX and builds scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.exporters.classifier.bundle import Array, TransformState
from plumbline_backend.exporters.classifier.graph import GraphWriter

BLOCKS: Mapping[str, str] = {
    "numeric": "plumbline_backend.exporters.classifier.numeric_block:NumericBlock",
    "category": "plumbline_backend.exporters.classifier.category_block:CategoryBlock",
    "text": "plumbline_backend.exporters.classifier.text_block:TextBlock",
    "image": "plumbline_backend.exporters.classifier.image_block:ImageBlock",
    "embedding": "plumbline_backend.exporters.classifier.embedding_block:EmbeddingBlock",
}


class RawInput(TypedDict):
    """A raw column as predict.py reads it. kind: numeric, category, text, image, vector or embedding;

    element: the ONNX element type; shape: per item; model, encoder: of an embedding, its model's name and the folder of
    the export that holds it (empty: none).
    """

    column: str
    kind: str
    element: str
    shape: list[int]
    model: NotRequired[str]
    encoder: NotRequired[str]


class EstimatorPart(NamedTuple):
    """A fitted scikit-learn transformer for some raw columns, and the head's weights for what it gives.

    columns: raw column names; each stands for as many places as its input has numbers. one_dimensional:
    the transformer takes one column as a plain sequence (scikit-learn's text vectorizers). weight: (K, n).
    """

    name: str
    transformer: Any
    columns: tuple[str, ...]
    one_dimensional: bool
    weight: Array


class Block(Protocol):
    """One transform's share of the features."""

    width: int

    def __init__(self, transform: TransformState) -> None: ...

    def inputs(self) -> list[RawInput]:
        """The raw columns that it reads."""

    def write(self, graph: GraphWriter, names: Mapping[str, str]) -> str:
        """Add its nodes, given the input name of each column; returns (N, width) features of any float type."""

    def estimators(self, weight: Array) -> list[EstimatorPart]:
        """The same as fitted scikit-learn transformers, with `weight` (K, width) for what they give."""

    def limits(self) -> list[str]:
        """Sentences for the model card: what a user must know about this input."""


def make_blocks(transforms: Sequence[TransformState]) -> list[Block]:
    """One block per transform, in order. Raises InputError for a kind that cannot be exported.

    A column may feed only one block: ONNX inputs are columns.
    """
    read = [column for transform in transforms for column in transform.columns]
    twice = sorted({column for column in read if read.count(column) > 1})
    if twice:
        raise InputError(f"column {twice[0]!r} goes through two transforms; expected each column in one")
    return [_block(transform) for transform in transforms]


def _block(transform: TransformState) -> Block:
    if transform.kind not in BLOCKS:
        raise InputError(
            f"transform {transform.kind!r} cannot be exported; {did_you_mean(transform.kind, BLOCKS)}"
        )
    module, _, name = BLOCKS[transform.kind].partition(":")
    made: Block = getattr(import_module(module), name)(transform)
    return made
