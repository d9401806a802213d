"""Numbers and vectors: missing ones take the median, each is standardised and cut, gaps are marked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.impute import KNNImputer, MissingIndicator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from plumbline_backend.exporters.classifier.blocks import EstimatorPart, RawInput
from plumbline_backend.exporters.classifier.bundle import Array, TransformState
from plumbline_backend.exporters.classifier.graph import GraphWriter

LIMIT = float(np.finfo(np.float32).max)


class NumericBlock:
    """z = clip((x or median) - mean) * scale, -clip, clip), then 1 where a column with known gaps is missing.

    All in float32 and in the order of pool/transforms/numeric.py, so that the numbers are the same.
    """

    def __init__(self, transform: TransformState) -> None:
        self._columns = transform.columns
        self._widths = tuple(int(width) for width in transform.state["widths"])
        self._names = tuple(transform.state["names"])
        self._clip = float(transform.state["clip"])
        self._mean = np.asarray(transform.arrays["mean"], dtype=np.float32)
        self._scale = np.asarray(transform.arrays["scale"], dtype=np.float32)
        self._median = np.asarray(transform.arrays["median"], dtype=np.float32)
        self._gaps = np.asarray(transform.arrays["missing_index"], dtype=np.int64)
        self.width = len(self._mean) + len(self._gaps)

    def inputs(self) -> list[RawInput]:
        starts = np.cumsum((0, *self._widths[:-1]))
        return [
            RawInput(
                column=column,
                kind="numeric" if width == 1 and self._names[start] == column else "vector",
                element="float32",
                shape=[width],
            )
            for column, width, start in zip(self._columns, self._widths, starts, strict=True)
        ]

    def write(self, graph: GraphWriter, names: Mapping[str, str]) -> str:
        values = [names[column] for column in self._columns]
        x = values[0] if len(values) == 1 else graph.op("Concat", *values, axis=1)
        missing = graph.op("IsNaN", x)
        filled = graph.op("Where", missing, graph.constant(self._median), x)
        finite = _cut(graph, filled, LIMIT)
        centred = graph.op("Sub", finite, graph.constant(self._mean))
        z = _cut(graph, graph.op("Mul", centred, graph.constant(self._scale)), self._clip)
        if not len(self._gaps):
            return z
        marks = graph.cast(graph.op("Gather", missing, graph.constant(self._gaps), axis=1), "float32")
        return graph.op("Concat", z, marks, axis=1)

    def estimators(self, weight: Array) -> list[EstimatorPart]:
        d = len(self._mean)
        parts = [EstimatorPart("numbers", self._numbers(), self._columns, False, weight[:, :d])]
        if len(self._gaps):
            gaps = MissingIndicator(features="all").fit(np.zeros((1, d)))
            spread = np.zeros((len(weight), d))
            spread[:, self._gaps] = weight[:, d:]
            marks = make_pipeline(_as_float32(), gaps)
            parts.append(EstimatorPart("gaps", marks, self._columns, False, spread))
        return parts

    def limits(self) -> list[str]:
        named = ", ".join(f"`{column}`" for column in self._columns[:20])
        more = f" and {len(self._columns) - 20} more" if len(self._columns) > 20 else ""
        return [
            f"{named}{more}: numbers, rounded to float32; a missing one (NaN, empty) counts as the median, and "
            f"more than {self._clip:g} standard deviations from the mean counts as {self._clip:g}. Infinity is refused."
        ]

    def _numbers(self) -> Pipeline:
        """Standardised first, so that filling in works with small numbers.

        One nearest neighbour among one row, the medians, is the median; unlike SimpleImputer, skops loads
        it without being told to trust more types.
        """
        d = len(self._mean)
        standard = StandardScaler().fit(np.zeros((1, d), dtype=np.float32))
        standard.mean_ = self._mean.astype(np.float64)
        with np.errstate(divide="ignore"):
            standard.scale_ = 1 / self._scale.astype(np.float64)
        standard.var_ = standard.scale_**2
        cut = MinMaxScaler(feature_range=(-self._clip, self._clip), clip=True)
        cut.fit(np.stack([np.full(d, -self._clip), np.full(d, self._clip)]))
        median = cut.transform(standard.transform(self._median[None]))
        fill = KNNImputer(n_neighbors=1).fit(median)
        return make_pipeline(_as_float32(), standard, cut, fill)


def _as_float32() -> FunctionTransformer:
    """Numbers or None in any container as float32, where Plumbline's arithmetic begins."""
    return FunctionTransformer(np.float32)


def _cut(graph: GraphWriter, value: str, limit: float) -> str:
    low, high = (graph.constant(np.array(edge, dtype=np.float32)) for edge in (-limit, limit))
    return graph.op("Clip", value, low, high)
