"""Sentence embeddings: the classifier takes the vectors; the model that makes them goes along in its own folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.preprocessing import FunctionTransformer

from plumbline_backend.exporters.classifier.blocks import EstimatorPart, RawInput
from plumbline_backend.exporters.classifier.bundle import Array, TransformState
from plumbline_backend.exporters.classifier.graph import GraphWriter


class EmbeddingBlock:
    """The (N, d) features of the embedding transform, taken as they are.

    `encoder` is the model's folder, to be copied to `encoder_name` in the export; None for a name on the hub and for a
    folder that is not there any more.
    """

    def __init__(self, transform: TransformState) -> None:
        (self._column,) = transform.columns
        model = str(transform.state["model"])
        self.width = int(transform.state["d"])
        self.encoder = Path(model) if Path(model).is_absolute() and Path(model).is_dir() else None
        self.encoder_name = f"encoder-{hashlib.sha256(model.encode()).hexdigest()[:8]}"
        self._model = Path(model).name if Path(model).is_absolute() else model

    def inputs(self) -> list[RawInput]:
        return [
            RawInput(
                column=self._column,
                kind="embedding",
                element="float32",
                shape=[self.width],
                model=self._model,
                encoder="" if self.encoder is None else self.encoder_name,
            )
        ]

    def write(self, graph: GraphWriter, names: Mapping[str, str]) -> str:
        return graph.op("Identity", names[self._column])

    def estimators(self, weight: Array) -> list[EstimatorPart]:
        return [EstimatorPart("embedding", FunctionTransformer(np.float32), (self._column,), False, weight)]

    def limits(self) -> list[str]:
        where = (
            f"`{self._model}`, which is not in this folder"
            if self.encoder is None
            else f"`{self._model}`, which lies in `{self.encoder_name}/` under its own makers' licence"
        )
        return [
            f"`{self._column}`: **the embedding is not inside the exported model.** model.onnx and estimator.skops "
            f"take, for each text, the {self.width} numbers that the sentence-transformers model {where}, makes of it "
            f"with normalize_embeddings=True, times the square root of {self.width} ({self.width**0.5:.6f}). "
            "predict.py takes those numbers, or the texts themselves where sentence-transformers is installed."
        ]
