"""Text: TF-IDF of words and word pairs, projected by a truncated singular value decomposition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer

from plumbline_backend.importers.convert import to_text
from plumbline_backend.pool.transforms.base import Block

TOKEN_PATTERN = r"[^\x00-\x20!-/:-@\[-`{-~]+"
"""Anything but ASCII control characters, space and punctuation: whole words in every script."""

MAX_VOCABULARY = 20_000
MAX_TOKEN_LENGTH = 64
"""Longer "words" are links, hashes or data, and never shared between items."""
MAX_DIMENSIONS = 128
MAX_SAMPLE_CHARACTERS = 20_000_000
"""Text that the vocabulary is learned from: its word pairs fill about 0.5 GB while they are counted."""

_LOWER = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})


class TextTransform:
    """out = (l2(tfidf(tokens)) @ components) * scale; one text column, missing values as "".

    Steps, all of which ONNX Runtime has operators for:
    1. A to Z become a to z; other letters are left as they are.
    2. tokens = re.findall(token_pattern, text), in order.
    3. terms = tokens, and, when bigrams is true, each pair of neighbours joined by one space.
    4. tf[j] = how often vocabulary[j] occurs among the terms; terms outside the vocabulary are dropped.
    5. w[j] = (1 + ln tf[j]) * idf[j] where tf[j] > 0, else 0; then w / max(||w||_2, tiny); float32.
    6. out = (w @ components) * scale, float32. A text without known terms gives zeros.

    State (JSON): column (name), token_pattern (text), bigrams (bool), vocabulary (list of V terms, sorted),
    scale (float: one over the root mean square of the projected sample). Arrays: idf ((V,) float32,
    ln((1 + n) / (1 + df)) + 1), components ((V, r) float32).
    """

    name = "text"

    def __init__(self, bigrams: bool = True) -> None:
        self.bigrams = bigrams
        self.column_ = ""
        self.vocabulary_: tuple[str, ...] = ()
        self.idf_: NDArray[np.float32] = np.empty(0, np.float32)
        self.components_: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self.scale_ = 1.0
        self._counter: CountVectorizer | None = None

    def fit(self, columns: Sequence[pa.Array], names: Sequence[str], rng: np.random.Generator) -> Self:
        """Vocabulary by document frequency, then at most 128 dimensions. No words: no features."""
        self.column_ = names[0]
        texts = _sample(_texts(columns[0]), rng)
        self.vocabulary_, frequency = self._learn_vocabulary(texts)
        self._counter = None
        if not self.vocabulary_:
            return self
        self.idf_ = (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)
        weights = self._weights(texts)
        self.components_ = _principal_directions(weights, int(rng.integers(2**31)))
        size = float(np.sqrt(np.mean((weights @ self.components_) ** 2))) if self.components_.size else 0.0
        self.scale_ = 1.0 / size if size > 0 else 1.0
        return self

    def apply(self, columns: Sequence[pa.Array]) -> Block:
        """(n, r) float32, finite."""
        if self.components_.shape[1] == 0:
            return np.zeros((len(columns[0]), 0), dtype=np.float32)
        projected = self._weights(_texts(columns[0])) @ self.components_
        return np.asarray(projected * np.float32(self.scale_), dtype=np.float32)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """ "COLUMN topic 1", ..."""
        return tuple(f"{self.column_} topic {i + 1}" for i in range(self.components_.shape[1]))

    def to_state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """See the class."""
        state = {
            "column": self.column_,
            "token_pattern": TOKEN_PATTERN,
            "bigrams": self.bigrams,
            "vocabulary": list(self.vocabulary_),
            "scale": self.scale_,
        }
        return state, {"idf": self.idf_, "components": self.components_}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See the class."""
        made = cls(bigrams=bool(state["bigrams"]))
        made.column_, made.scale_ = state["column"], state["scale"]
        made.vocabulary_ = tuple(state["vocabulary"])
        made.idf_, made.components_ = arrays["idf"], arrays["components"]
        return made

    def _vectorizer(self, vocabulary: Mapping[str, int] | None) -> CountVectorizer:
        return CountVectorizer(
            preprocessor=ascii_lower,
            token_pattern=TOKEN_PATTERN,
            ngram_range=(1, 2 if self.bigrams else 1),
            vocabulary=vocabulary,
            dtype=np.float32,
        )

    def _learn_vocabulary(self, texts: list[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The most frequent terms, sorted, and in how many texts each occurs; rare ties go by the alphabet."""
        if not any(_has_word(text) for text in texts):
            return (), np.empty(0, np.int64)
        counter = self._vectorizer(None)
        counts = counter.fit_transform(texts)
        terms = counter.get_feature_names_out()
        frequency = np.asarray((counts > 0).sum(axis=0)).reshape(-1)
        usable = np.array([len(term) <= MAX_TOKEN_LENGTH for term in terms])
        if not usable.any():
            return (), np.empty(0, np.int64)
        order = np.lexsort((np.arange(len(terms)), -frequency, ~usable))[
            : min(MAX_VOCABULARY, int(usable.sum()))
        ]
        order.sort()
        return tuple(terms[order].tolist()), frequency[order].astype(np.int64)

    def _weights(self, texts: list[str]) -> sparse.csr_matrix:
        """(n, V) float32, rows of unit length or empty."""
        if self._counter is None:
            self._counter = self._vectorizer({term: j for j, term in enumerate(self.vocabulary_)})
        counts = sparse.csr_matrix(self._counter.transform(texts))
        counts.data = (np.float32(1) + np.log(counts.data)) * self.idf_[counts.indices]
        norms = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1))).reshape(-1)
        scaled = sparse.diags(1 / np.maximum(norms, np.finfo(np.float32).tiny)) @ counts
        return sparse.csr_matrix(scaled, dtype=np.float32)


def ascii_lower(text: str) -> str:
    """A to Z in lower case and nothing else, as ONNX's StringNormalizer does in the C locale."""
    return text.translate(_LOWER)


def _texts(column: pa.Array) -> list[str]:
    return pc.fill_null(to_text(column).array, "").to_pylist()


def _sample(texts: list[str], rng: np.random.Generator) -> list[str]:
    """Texts in random order until the character limit is reached; all of them when they fit."""
    if sum(map(len, texts)) <= MAX_SAMPLE_CHARACTERS:
        return texts
    shuffled = [texts[i][:MAX_SAMPLE_CHARACTERS] for i in rng.permutation(len(texts))]
    ends = np.cumsum([len(text) for text in shuffled])
    return shuffled[: max(1, int(np.searchsorted(ends, MAX_SAMPLE_CHARACTERS, side="right")))]


def _has_word(text: str) -> bool:
    return any(character > " " and (character.isalnum() or character > "~") for character in text)


def _principal_directions(weights: sparse.csr_matrix, seed: int) -> NDArray[np.float32]:
    """(V, r) right singular vectors, r <= 128; exact when the matrix is small, else randomised."""
    smaller = min(weights.shape)
    if smaller <= MAX_DIMENSIONS:
        gram_first = weights.shape[0] <= weights.shape[1]
        dense = weights.toarray() if gram_first else None
        if dense is None:
            gram = (weights.T @ weights).toarray().astype(np.float64)
            values, vectors = np.linalg.eigh(gram)
            kept = values > 1e-8 * max(values.max(), 1e-30)
            return np.ascontiguousarray(vectors[:, kept][:, ::-1], dtype=np.float32)
        _, values, rows = np.linalg.svd(dense.astype(np.float64), full_matrices=False)
        return np.ascontiguousarray(rows[values > 1e-4 * max(values.max(), 1e-30)].T, dtype=np.float32)
    svd = TruncatedSVD(MAX_DIMENSIONS, algorithm="randomized", random_state=seed)
    svd.fit(weights)
    return np.ascontiguousarray(svd.components_.T, dtype=np.float32)
