"""Images: pixels at one small size, projected on their principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA

from plumbline_backend.pool.image_check import decode
from plumbline_backend.pool.transforms.base import Block

MAX_COMPONENTS = 64
SIDE = 32
TINY_SIDE = 16
"""Images of at most 16 pixels a side (digits, sprites) are not blown up to 32."""
MAX_SAMPLE = 5_000
"""Images that the components are fitted on: 32 x 32 x 3 values of 5,000 are 61 MB."""


class ImageTransform:
    """out = ((pixels / 255 - mean) @ components) * scale; one image column.

    pixels: the (side * side * channels) uint8 values of the decoded image (`image_tensor`), row by row,
    channel last; a missing image is the mean image, so that its features are 0.

    State (JSON): column (name), side (int), channels (1 grey, 3 RGB), scale (float: one over the root mean
    square of the projected sample). Arrays: mean ((side*side*channels,) float32, in units of full
    brightness), components ((side*side*channels, r) float32). Arithmetic in float32.
    """

    name = "image"

    def __init__(self) -> None:
        self.column_ = ""
        self.side_ = SIDE
        self.channels_ = 1
        self.scale_ = 1.0
        self.mean_: NDArray[np.float32] = np.empty(0, np.float32)
        self.components_: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def fit(self, columns: Sequence[pa.Array], names: Sequence[str], rng: np.random.Generator) -> Self:
        """Size and channels from the sample's images, then PCA with at most 64 components."""
        self.column_ = names[0]
        present = [cell.as_py() for cell in columns[0].drop_null()]
        if len(present) > MAX_SAMPLE:
            present = [present[i] for i in np.sort(rng.choice(len(present), MAX_SAMPLE, replace=False))]
        first = [decode(data) for data in present[:100]]
        largest = max((max(image.size) for image in first), default=SIDE)
        self.side_ = TINY_SIDE if largest <= TINY_SIDE else SIDE
        self.channels_ = 1 if all(image.mode == "L" for image in first) else 3
        pixels = self._pixels(present)
        if len(pixels) < 2 or not np.ptp(pixels, axis=0).any():
            self.mean_ = pixels.mean(axis=0) if len(pixels) else np.zeros(self._n_pixels, np.float32)
            self.components_ = np.zeros((self._n_pixels, 0), np.float32)
            return self
        n_components = min(MAX_COMPONENTS, len(pixels) - 1, self._n_pixels)
        pca = PCA(n_components, svd_solver="randomized", random_state=int(rng.integers(2**31)))
        projected = pca.fit_transform(pixels)
        kept = pca.explained_variance_ > 1e-9
        self.mean_ = pca.mean_.astype(np.float32)
        self.components_ = np.ascontiguousarray(pca.components_[kept].T, dtype=np.float32)
        size = float(np.sqrt(np.mean(projected[:, kept] ** 2))) if kept.any() else 0.0
        self.scale_ = 1.0 / size if size > 0 else 1.0
        return self

    def apply(self, columns: Sequence[pa.Array]) -> Block:
        """(n, r) float32, finite."""
        cells = [cell.as_py() for cell in columns[0]]
        out = np.zeros((len(cells), self.components_.shape[1]), dtype=np.float32)
        there = [i for i, cell in enumerate(cells) if cell is not None]
        if there:
            centred = self._pixels([cells[i] for i in there]) - self.mean_
            out[there] = (centred @ self.components_) * np.float32(self.scale_)
        return out

    @property
    def feature_names(self) -> tuple[str, ...]:
        """ "COLUMN component 1", ..."""
        return tuple(f"{self.column_} component {i + 1}" for i in range(self.components_.shape[1]))

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See the class."""
        state = {"column": self.column_, "side": self.side_, "channels": self.channels_, "scale": self.scale_}
        return state, {"mean": self.mean_, "components": self.components_}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See the class."""
        made = cls()
        made.column_, made.side_, made.channels_ = state["column"], state["side"], state["channels"]
        made.scale_ = state["scale"]
        made.mean_, made.components_ = arrays["mean"], arrays["components"]
        return made

    @property
    def _n_pixels(self) -> int:
        return self.side_ * self.side_ * self.channels_

    def _pixels(self, images: Sequence[bytes]) -> NDArray[np.float32]:
        out = np.empty((len(images), self._n_pixels), dtype=np.float32)
        for i, data in enumerate(images):
            out[i] = image_tensor(data, self.side_, self.channels_).reshape(-1)
        return out / np.float32(255)


def image_tensor(data: bytes, side: int, channels: int) -> NDArray[np.uint8]:
    """(side, side, channels) uint8: decoded upright over white, then resized bilinearly with antialiasing."""
    image = decode(data).convert("L" if channels == 1 else "RGB")
    small = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.uint8).reshape(side, side, channels)
