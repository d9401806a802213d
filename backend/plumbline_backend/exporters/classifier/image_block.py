"""Pictures: uint8 pixels, scaled to 0..1, on their principal components."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.decomposition import PCA

from plumbline_backend.exporters.classifier.blocks import EstimatorPart, RawInput
from plumbline_backend.exporters.classifier.bundle import Array, TransformState
from plumbline_backend.exporters.classifier.graph import GraphWriter


class ImageBlock:
    """((pixels / 255 - mean) @ components) * scale, as pool/transforms/image.py."""

    def __init__(self, transform: TransformState) -> None:
        (self._column,) = transform.columns
        self._shape = [transform.state["side"], transform.state["side"], transform.state["channels"]]
        self._scale = float(transform.state["scale"])
        self._mean = np.asarray(transform.arrays["mean"])
        self._components = np.asarray(transform.arrays["components"])
        self.width = self._components.shape[1]

    def inputs(self) -> list[RawInput]:
        return [RawInput(column=self._column, kind="image", element="uint8", shape=self._shape)]

    def write(self, graph: GraphWriter, names: Mapping[str, str]) -> str:
        flat = graph.op("Flatten", graph.cast(names[self._column], "float64"), axis=1)
        bright = graph.op("Div", flat, graph.constant(255.0))
        centred = graph.op("Sub", bright, graph.double(self._mean))
        projected = graph.op("MatMul", centred, graph.double(self._components))
        return graph.op("Mul", projected, graph.constant(self._scale))

    def estimators(self, weight: Array) -> list[EstimatorPart]:
        """PCA takes pixels in 0..255: brightness and scale are inside its mean and components."""
        n_pixels = len(self._mean)
        pca = PCA(n_components=self.width)
        pca.mean_ = self._mean.astype(np.float64) * 255
        pca.components_ = self._components.T.astype(np.float64) * (self._scale / 255)
        pca.n_components_ = self.width
        pca.n_features_in_ = n_pixels
        pca.explained_variance_ = np.ones(self.width)
        return [EstimatorPart("pixels", pca, (self._column,), False, weight)]

    def limits(self) -> list[str]:
        side, _, channels = self._shape
        colour = "grey" if channels == 1 else "red, green, blue"
        return [
            f"`{self._column}`: a uint8 array of {side} x {side} x {channels} ({colour}). Plumbline makes it from "
            "a picture file so: turn upright by EXIF, put over white, convert to 8 bits, then resize with "
            "Pillow's bilinear filter; predict.py does the same when Pillow is installed."
        ]
