"""Categories: one-hot over known values, or hashed into buckets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from plumbline_backend.exporters.classifier.blocks import EstimatorPart, RawInput
from plumbline_backend.exporters.classifier.bundle import Array, TransformState
from plumbline_backend.exporters.classifier.graph import CONTRIB, ML, GraphWriter

WHOLE_VALUE = r"(?s)\A.*\Z"


class CategoryBlock:
    """Feature j is 1 where the value is values[j], or where its MurmurHash3 (seed 0, unsigned) % n == j."""

    def __init__(self, transform: TransformState) -> None:
        (self._column,) = transform.columns
        self._hashed = transform.state["mode"] == "hash"
        self._values = [str(value) for value in transform.state["values"]]
        self.width = int(transform.state["n_buckets"]) if self._hashed else len(self._values)

    def inputs(self) -> list[RawInput]:
        return [RawInput(column=self._column, kind="category", element="string", shape=[1])]

    def write(self, graph: GraphWriter, names: Mapping[str, str]) -> str:
        value = names[self._column]
        if not self._hashed:
            cube = graph.op("OneHotEncoder", value, domain=ML, cats_strings=self._values, zeros=1)
            return graph.op("Flatten", cube, axis=1)
        code = graph.cast(graph.op("MurmurHash3", value, domain=CONTRIB, seed=0, positive=1), "int64")
        bucket = graph.op("Mod", code, graph.constant(np.array(self.width, dtype=np.int64)))
        depth = graph.constant(np.array([self.width], dtype=np.int64))
        cube = graph.op("OneHot", bucket, depth, graph.constant(np.array([0, 1], dtype=np.float32)), axis=-1)
        return graph.op("Flatten", cube, axis=1)

    def estimators(self, weight: Array) -> list[EstimatorPart]:
        if self._hashed:
            return [self._hashing(weight)]
        known = np.array(self._values, dtype=object)
        encoder = OneHotEncoder(categories=[known], handle_unknown="ignore", sparse_output=False)
        encoder.fit(known.reshape(-1, 1))
        return [EstimatorPart("values", encoder, (self._column,), False, weight)]

    def _hashing(self, weight: Array) -> EstimatorPart:
        """scikit-learn hashes to a signed number s, puts sign(s) at |s| % n; Plumbline puts 1 at s % 2^32 % n.

        2^32 is a multiple of n, so the bucket is |s| % n for s > 0 and -|s| % n for s < 0. With v the signed
        column and |v| beside it, weights (W[j] - W[-j]) / 2 and (W[j] + W[-j]) / 2 give W[bucket] for either.
        """
        vectorizer = HashingVectorizer(
            n_features=self.width, token_pattern=WHOLE_VALUE, lowercase=False, norm=None, alternate_sign=True
        )
        both = FeatureUnion([("signed", "passthrough"), ("unsigned", FunctionTransformer(np.absolute))])
        both.fit(np.zeros((1, self.width)))
        mirrored = weight[:, -np.arange(self.width) % self.width]
        spread = np.concatenate([(weight - mirrored) / 2, (weight + mirrored) / 2], axis=1)
        return EstimatorPart("buckets", make_pipeline(vectorizer, both), (self._column,), True, spread)

    def limits(self) -> list[str]:
        if self._hashed:
            return [
                f"`{self._column}`: categories hashed into {self.width} buckets; values that share a bucket are "
                "not told apart, and an unseen value takes the effect of its bucket."
            ]
        return [
            f"`{self._column}`: {len(self._values)} known categories, compared exactly (case and spaces count); "
            "an unseen one has no effect; a missing one counts as empty text."
        ]
