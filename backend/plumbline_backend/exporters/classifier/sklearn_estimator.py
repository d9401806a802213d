"""estimator.skops: the same classifier as a scikit-learn Pipeline of standard classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED

import numpy as np
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from plumbline_backend.exporters.classifier.blocks import Block, EstimatorPart, RawInput
from plumbline_backend.exporters.classifier.bundle import Array, ClassifierBundle, Refusal
from plumbline_backend.exporters.classifier.sklearn_program import (
    NamedStep,
    classifier_steps,
    labels_steps,
)
from plumbline_backend.heads.program import Affine, Program, affine


class BuiltEstimator(NamedTuple):
    """The pipeline, and the raw columns in the order in which their values stand in its rows.

    A column of shape (w,) or (side, side, channels) takes as many places, in C order.
    """

    pipeline: Pipeline
    inputs: tuple[RawInput, ...]


def build_estimator(bundle: ClassifierBundle, blocks: Sequence[Block]) -> BuiltEstimator:
    """Fitted transformers side by side, then the head: for one step, logistic regression over the temperature.

    A head whose first step is linear is written in the columns that the transformers give; before another one stands
    the matrix that makes them Plumbline's features.

    Rows are (n, places) arrays or data frames with raw values; columns go by position, so names are free.
    Nothing is trained: learned attributes are set from the bundle.
    """
    steps = classifier_steps if bundle.link == "softmax" else labels_steps
    ids = [each.id for each in bundle.classes]

    def head(program: Program, width: int) -> list[NamedStep]:
        return steps(program, width, bundle.temperature, ids)

    return _built(bundle.program, bundle.width, blocks, head)


def build_refusal(refusal: Refusal, width: int, blocks: Sequence[Block]) -> BuiltEstimator:
    """A pipeline over the same rows whose `predict` says True for "none of these".

    `decision_function` is the score less the threshold; what `predict_proba` gives means nothing.
    """
    above = affine(np.array([[0.0], [1.0]]), np.array([0.0, -refusal.threshold]))

    def head(program: Program, width: int) -> list[NamedStep]:
        return classifier_steps(program, width, 1.0, (False, True))

    return _built((*refusal.program, above), width, blocks, head)


def _built(
    program: Program, width: int, blocks: Sequence[Block], head: Callable[[Program, int], Sequence[NamedStep]]
) -> BuiltEstimator:
    inputs = tuple(each for block in blocks for each in block.inputs())
    sizes = [int(np.prod(each["shape"])) for each in inputs]
    starts = dict(zip((each["column"] for each in inputs), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    first, rest = program[0], program[1:]
    if not isinstance(first, Affine):
        first, rest = affine(np.eye(width)), program
    parts: list[EstimatorPart] = []
    offset = 0
    for block in blocks:
        parts += block.estimators(first.weight[:, offset : offset + block.width])
        offset += block.width
    of = {each["column"]: size for each, size in zip(inputs, sizes, strict=True)}
    transformers = [
        (f"{i}_{p.name}", FrozenEstimator(p.transformer), _places(p, starts, of)) for i, p in enumerate(parts)
    ]
    columns = ColumnTransformer(transformers, sparse_threshold=0.0)
    columns.fit(_example(inputs))
    weight = np.concatenate([part.weight for part in parts], axis=1)
    steps = head((affine(weight, first.bias), *rest), weight.shape[1])
    return BuiltEstimator(Pipeline([("features", columns), *map(tuple, steps)]), inputs)


def save_estimator(built: BuiltEstimator, path: Path) -> list[str]:
    """Write the pipeline; returns the types that its reader must name as trusted (usually none)."""
    skops.io.dump(built.pipeline, path, compression=ZIP_DEFLATED)
    return list(skops.io.get_untrusted_types(file=path))


def _places(part: EstimatorPart, starts: dict[str, int], of: dict[str, int]) -> Any:
    if part.one_dimensional:
        return starts[part.columns[0]]
    return [place for name in part.columns for place in range(starts[name], starts[name] + of[name])]


def _example(inputs: Sequence[RawInput]) -> Array:
    """One row of harmless values: ColumnTransformer learns the widths from it."""
    row: list[Any] = []
    for each in inputs:
        row += [""] if each["element"] == "string" else [0.0] * int(np.prod(each["shape"]))
    return np.array([row], dtype=object)
