"""Heads whose classes have fixed places: the features are learned to go there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import helmert
from sklearn.feature_extraction.text import HashingVectorizer

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.cosine import scale_rule, unit_rows
from plumbline_backend.heads.network import Network

EBV_SCALE = 1 / 0.07
"""Logits are cosines over 0.07 (Shen et al. 2023)."""

_MULTIPLICATIONS = 1e10
"""About two seconds on one core."""


class SimplexETF(Network):
    """Classes at the corners of a simplex, all pairs equally far apart: what trained networks end in (neural collapse).

    The features are mapped there by one matrix, or through hidden layers. A new class changes every place.
    Source: Papyan et al. 2020; Yang et al. 2022.
    """

    name = "simplex_etf"
    MAX_CLASSES = 2000
    explanation = (
        "Places all classes equally far apart beforehand and learns to send items there: rare classes get as much room "
        "as frequent ones."
    )

    def __init__(
        self,
        widths: Sequence[int] = (),
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        weight_decay: float = 1e-2,
        max_epochs: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__(widths, adjust, label_smoothing, weight_decay, max_epochs, seed)

    def fixed(self, n_classes: int) -> tuple[NDArray[np.float64] | None, float]:
        """The simplex and the scale of the cosine head."""
        if n_classes > self.MAX_CLASSES:
            raise InputError(
                f"head {self.name!r} has {n_classes} classes; it is made for at most {self.MAX_CLASSES:,}, as their "
                "places need as many dimensions; equiangular_basis needs fewer"
            )
        return simplex_etf(n_classes, max(2, n_classes - 1)), 2 * scale_rule(n_classes)


class EquiangularBasis(Network):
    """Unit vectors as far apart as `dimensions` allow, found once; works for dimensions far below the classes.

    Source: Shen et al. 2023 (Equiangular Basis Vectors).
    """

    name = "equiangular_basis"
    explanation = (
        "Gives each of very many classes a fixed direction in a small space, so that the head does not grow with the "
        "classes: for thousands of classes."
    )
    SETTINGS = (*Network.SETTINGS, "dimensions")

    def __init__(
        self,
        widths: Sequence[int] = (),
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        weight_decay: float = 1e-2,
        max_epochs: int = 200,
        seed: int = 0,
        dimensions: int = 100,
    ) -> None:
        if dimensions < 2:
            raise InputError(f"dimensions is {dimensions}; expected two or more")
        super().__init__(widths, adjust, label_smoothing, weight_decay, max_epochs, seed)
        self.dimensions = dimensions

    def fixed(self, n_classes: int) -> tuple[NDArray[np.float64] | None, float]:
        """The basis and its scale."""
        m = min(self.dimensions, max(2, n_classes - 1))
        return equiangular_basis(n_classes, m, np.random.default_rng(self.seed)), EBV_SCALE


class SemanticTargets(Network):
    """Classes lie where their names and descriptions say: alike words, alike places.

    A text becomes character pieces of three to five letters, hashed; a quarter of each vector is the class's own, so
    that equal texts stay apart.
    """

    name = "semantic"
    explanation = (
        "Places classes by their names and descriptions, so that classes that sound alike share what is learned: for "
        "many classes with telling names."
    )
    needs = frozenset({"class_texts"})
    SETTINGS = (*Network.SETTINGS, "class_texts")

    def __init__(
        self,
        class_texts: Sequence[str],
        widths: Sequence[int] = (),
        adjust: float = 0.0,
        label_smoothing: float = 0.0,
        weight_decay: float = 1e-2,
        max_epochs: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__(widths, adjust, label_smoothing, weight_decay, max_epochs, seed)
        self.class_texts = list(class_texts)

    def fixed(self, n_classes: int) -> tuple[NDArray[np.float64] | None, float]:
        """One vector per text. Raises InputError when texts and classes differ in number."""
        if len(self.class_texts) != n_classes:
            raise InputError(
                f"{len(self.class_texts)} class texts for {n_classes} classes; expected one for each"
            )
        return semantic_vectors(self.class_texts, np.random.default_rng(self.seed)), EBV_SCALE


def simplex_etf(n_classes: int, dimensions: int) -> NDArray[np.float64]:
    """(n_classes, dimensions) unit rows with cosine -1 / (K - 1) between any two.

    sqrt(K / (K - 1)) times the columns of Helmert's matrix, an orthonormal basis of what is left of R^K without the
    ones. Raises InputError when dimensions < K - 1.
    """
    if dimensions < n_classes - 1:
        raise InputError(
            f"dimensions is {dimensions}; expected at least {n_classes - 1} for {n_classes} classes"
        )
    corners = np.zeros((n_classes, dimensions))
    corners[:, : n_classes - 1] = np.sqrt(n_classes / (n_classes - 1)) * helmert(n_classes).T
    return corners


def equiangular_basis(
    n_classes: int, dimensions: int, rng: np.random.Generator, most_steps: int = 200
) -> NDArray[np.float64]:
    """(n_classes, dimensions) unit rows: falling steps on sum relu(|W W^T - I| - threshold)^2, rows renormalised.

    The square lets the steps settle. The threshold is Welch's bound: no set of so many lines stays below it. As many
    steps as _MULTIPLICATIONS allow; random directions, where it begins, are already nearly at right angles. Blocks of
    rows bound the memory.
    """
    if n_classes <= dimensions:
        return np.asarray(np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0][:n_classes])
    w = unit_rows(rng.normal(size=(n_classes, dimensions)).astype(np.float32))
    bound = np.sqrt((n_classes - dimensions) / (dimensions * (n_classes - 1)))
    rate = min(0.5, 1.5 * dimensions / n_classes)
    steps = min(most_steps, int(_MULTIPLICATIONS / (n_classes**2 * dimensions)))
    for step in range(steps):
        pull = np.zeros_like(w)
        for start in range(0, n_classes, 2048):
            rows = slice(start, start + 2048)
            gram = w[rows] @ w.T
            gram[np.arange(len(gram)), np.arange(start, start + len(gram))] = 0
            pull[rows] = (np.sign(gram) * np.maximum(np.abs(gram) - bound, 0)).astype(np.float32) @ w
        w = unit_rows(w - np.float32(rate * (1 - step / steps)) * pull)
    return w.astype(np.float64)


def semantic_vectors(
    texts: Sequence[str], rng: np.random.Generator, dimensions: int = 256
) -> NDArray[np.float64]:
    """(n, dimensions) unit rows: hashed pieces of the words, centred, and a random direction for each class."""
    pieces = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**14)
    hashed = pieces.transform([text or " " for text in texts])
    mapped = np.asarray(hashed @ (rng.normal(size=(2**14, dimensions)) / np.sqrt(dimensions)))
    told = unit_rows(mapped - mapped.mean(axis=0))
    own = unit_rows(rng.normal(size=told.shape))
    return unit_rows(0.75 * told + 0.25 * own)
