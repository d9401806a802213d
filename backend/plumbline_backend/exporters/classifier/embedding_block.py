"""Sentence embeddings: the embedding model stays outside; the classifier takes its vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.preprocessing import FunctionTransformer

from plumbline_backend.exporters.classifier.blocks import EstimatorPart, RawInput
from plumbline_backend.exporters.classifier.bundle import Array, TransformState
from plumbline_backend.exporters.classifier.graph import GraphWriter


class EmbeddingBlock:
    """The (N, d) features of the embedding transform, taken as they are."""

    def __init__(self, transform: TransformState) -> None:
        (self._column,) = transform.columns
        self._model = str(transform.state["model"])
        self.width = int(transform.state["d"])

    def inputs(self) -> list[RawInput]:
        return [RawInput(column=self._column, kind="vector", element="float32", shape=[self.width])]

    def write(self, graph: GraphWriter, names: Mapping[str, str]) -> str:
        return graph.op("Identity", names[self._column])

    def estimators(self, weight: Array) -> list[EstimatorPart]:
        return [EstimatorPart("embedding", FunctionTransformer(np.float32), (self._column,), False, weight)]

    def limits(self) -> list[str]:
        return [
            f"`{self._column}`: **the embedding is not inside the exported model.** Give, for each text, the "
            f"{self.width} numbers that the sentence-transformers model `{self._model}` makes of it with "
            f"normalize_embeddings=True, times the square root of {self.width} ({self.width**0.5:.6f})."
        ]
