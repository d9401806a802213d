"""Text: TF-IDF of words and word pairs on the directions of a truncated SVD."""

from __future__ import annotations

from collections.abc import Mapping
from operator import methodcaller
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from plumbline_backend.exporters.classifier.blocks import EstimatorPart, RawInput
from plumbline_backend.exporters.classifier.bundle import Array, TransformState
from plumbline_backend.exporters.classifier.graph import CONTRIB, GraphWriter

ASCII_LOWER = "".join(chr(code + 32) if "A" <= chr(code) <= "Z" else chr(code) for code in range(128))
PADDING = "#"
"""Fills rows of tokens to equal length; no token holds punctuation, so it is never counted."""
TINY = float(np.finfo(np.float32).tiny)


class TextBlock:
    """l2((1 + ln tf) * idf) @ components * scale, as pool/transforms/text.py, in float64."""

    def __init__(self, transform: TransformState) -> None:
        (self._column,) = transform.columns
        self._pattern = str(transform.state["token_pattern"])
        self._bigrams = bool(transform.state["bigrams"])
        self._vocabulary = [str(term) for term in transform.state["vocabulary"]]
        self._scale = float(transform.state["scale"])
        self._idf = np.asarray(transform.arrays["idf"])
        self._components = np.asarray(transform.arrays["components"])
        self.width = self._components.shape[1]

    def inputs(self) -> list[RawInput]:
        return [RawInput(column=self._column, kind="text", element="string", shape=[1])]

    def write(self, graph: GraphWriter, names: Mapping[str, str]) -> str:
        flat = graph.op("Reshape", names[self._column], graph.constant(np.array([-1], dtype=np.int64)))
        lower = graph.op(
            "StringNormalizer", flat, case_change_action="LOWER", is_case_sensitive=1, locale="C"
        )
        tokens = graph.op(
            "Tokenizer",
            lower,
            domain=CONTRIB,
            mark=0,
            mincharnum=1,
            pad_value=PADDING,
            tokenexp=self._pattern,
        )
        tf = graph.cast(graph.op("TfIdfVectorizer", tokens, mode="TF", **self._terms()), "float64")
        weights = graph.op("Mul", self._sublinear(graph, tf), graph.double(self._idf))
        length = graph.op("ReduceL2", weights, axes=[1], keepdims=1)
        unit = graph.op("Div", weights, graph.op("Max", length, graph.constant(TINY)))
        projected = graph.op("MatMul", unit, graph.double(self._components))
        return graph.op("Mul", projected, graph.constant(self._scale))

    def estimators(self, weight: Array) -> list[EstimatorPart]:
        svd = TruncatedSVD(n_components=self.width)
        svd.components_ = self._components.T.astype(np.float64) * self._scale
        svd.n_features_in_ = len(self._vocabulary)
        pipeline = make_pipeline(self._vectorizer(), svd)
        return [EstimatorPart("text", pipeline, (self._column,), True, weight)]

    def limits(self) -> list[str]:
        pairs = " and pairs of neighbours" if self._bigrams else ""
        return [
            f"`{self._column}`: text as a bag of {len(self._vocabulary):,} known words{pairs}; word order, unknown "
            "words and punctuation have no effect; only A to Z are lower-cased. A text without known words "
            "gets the probabilities of the other columns alone."
        ]

    def _terms(self) -> dict[str, Any]:
        """Attributes of TfIdfVectorizer: the pool holds single words, then pairs word by word."""
        split = [term.split(" ") for term in self._vocabulary]
        words = [j for j, term in enumerate(split) if len(term) == 1]
        pairs = [j for j, term in enumerate(split) if len(term) == 2]
        return {
            "min_gram_length": 1 if words else 2,
            "max_gram_length": 2 if pairs else 1,
            "max_skip_count": 0,
            "ngram_counts": [0, len(words)] if pairs else [0],
            "ngram_indexes": words + pairs,
            "pool_strings": [word for j in words + pairs for word in split[j]],
        }

    def _sublinear(self, graph: GraphWriter, tf: str) -> str:
        """1 + ln tf where tf > 0, else 0; counts are whole, so min(tf, 1) tells the two apart."""
        one = graph.constant(1.0)
        grown = graph.op("Add", graph.op("Log", graph.op("Max", tf, one)), one)
        return graph.op("Mul", grown, graph.op("Min", tf, one))

    def _vectorizer(self) -> TfidfVectorizer:
        """scikit-learn lower-cases every script. Where no known word has a letter beyond ASCII that changes

        with case, that makes no difference; elsewhere A to Z are lowered by `str.translate`, which skops
        loads only when its reader trusts operator.methodcaller.
        """
        simple = not any(_cased_beyond_ascii(term) for term in self._vocabulary)
        vectorizer = TfidfVectorizer(
            lowercase=simple,
            preprocessor=None if simple else methodcaller("translate", ASCII_LOWER),
            token_pattern=self._pattern,
            ngram_range=(1, 2 if self._bigrams else 1),
            vocabulary={term: j for j, term in enumerate(self._vocabulary)},
            sublinear_tf=True,
        )
        vectorizer.fit([""])
        vectorizer.idf_ = self._idf.astype(np.float64)
        return vectorizer


def _cased_beyond_ascii(text: str) -> bool:
    return any(character > "~" and (character.lower() != character.upper()) for character in text)
