"""A head's steps as scikit-learn's own classes, with what they learned set from the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, logsumexp, softmax
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelBinarizer,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
)

from plumbline_backend.domain.errors import InputError
from plumbline_backend.exporters.classifier.bundle import Array
from plumbline_backend.heads.program import (
    FLOOR,
    Affine,
    Clip,
    Elementwise,
    Forest,
    Neighbours,
    Program,
    Ramps,
    RowWise,
    Smallest,
    Step,
    Times,
    UnitRows,
    affine,
    last,
)

_TOP = 1e300
"""Clip from above that no value reaches: MinMaxScaler wants two ends."""


class NamedStep(NamedTuple):
    """A scikit-learn object and the name that it has in a pipeline."""

    name: str
    estimator: Any


def classifier_steps(
    program: Program, width: int, temperature: float, classes: Sequence[str | bool]
) -> list[NamedStep]:
    """Steps of a Pipeline over (n, width) features that end in a classifier with these classes.

    Nothing is trained. A step that scikit-learn has only as a predictor (trees, neighbours) becomes the one member of
    a StackingClassifier whose final estimator is the rest.
    """
    x = np.ones((len(classes), width))
    steps: list[NamedStep] = []
    for i, step in enumerate(program[:-1]):
        if isinstance(step, Neighbours | Forest):
            rest = classifier_steps(program[i + 1 :], _outputs(step), temperature, classes)
            return [*steps, NamedStep("head", _stacked(step, rest, x, classes))]
        transformer = _transformer(step, x.shape[1])
        steps.append(NamedStep(f"{i}_{_word(step)}", transformer))
        x = transformer.transform(x)
    final = last(program)
    return [*steps, NamedStep("head", logistic(final.weight, final.bias, temperature, classes))]


def logistic(
    weight: Array, bias: Array, temperature: float, classes: Sequence[str | bool]
) -> LogisticRegression:
    """LogisticRegression with these weights. Two classes have one row in scikit-learn: the difference."""
    coef = weight.astype(np.float64) / temperature
    intercept = bias.astype(np.float64) / temperature
    head = LogisticRegression()
    if len(coef) == 2:
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    head.coef_, head.intercept_ = coef, intercept
    head.classes_ = np.array(list(classes))
    head.n_features_in_ = coef.shape[1]
    head.n_iter_ = np.array([0], dtype=np.int32)
    return head


def labels_steps(program: Program, width: int, temperature: float, classes: Sequence[str]) -> list[NamedStep]:
    """Steps that end in one logistic regression per class; `predict` gives a column of 0 and 1 for each.

    Raises InputError for a program of more than its last step.
    """
    if len(program) > 1:
        raise InputError(
            f"a head of several classes per item has {len(program)} steps; expected one linear step"
        )
    final = last(program)
    if len(classes) == 1:
        pair = np.stack([-final.weight[0], final.weight[0]]) / 2, np.array([-1.0, 1.0]) * final.bias[0] / 2
        return [NamedStep("head", logistic(*pair, temperature, ("no", classes[0])))]
    head = OneVsRestClassifier(LogisticRegression())
    head.estimators_ = [
        logistic(np.stack([-row, row]) / 2, np.array([-bias, bias]) / 2, temperature, ("no", "yes"))
        for row, bias in zip(final.weight, final.bias, strict=True)
    ]
    head.label_binarizer_ = LabelBinarizer().fit(np.eye(len(classes), dtype=int))
    head.n_features_in_ = width
    return [NamedStep("head", head)]


def _word(step: Step) -> str:
    return step.kind if isinstance(step, Elementwise | RowWise) else type(step).__name__.lower()


def _outputs(step: Neighbours | Forest) -> int:
    return step.values.shape[1] if isinstance(step, Neighbours) else step.trees.n_outputs


def _transformer(step: Step, width: int) -> Any:
    if isinstance(step, Affine):
        return _affine(step)
    if isinstance(step, UnitRows):
        return Normalizer().fit(np.zeros((1, width)))
    if isinstance(step, Elementwise):
        return _elementwise(step, width)
    if isinstance(step, RowWise):
        named = {"axis": 1} if step.kind == "softmax" else {"axis": 1, "keepdims": True}
        return _function(softmax if step.kind == "softmax" else logsumexp, width, named)
    if isinstance(step, Smallest):
        return Pipeline(
            [
                ("sort", _function(np.sort, width, {"axis": 1})),
                ("first", _affine(affine(np.eye(step.k, width)))),
            ]
        )
    if isinstance(step, Clip):
        return _clip(width, step.low, step.high)
    if isinstance(step, Ramps):
        return _ramps(step)
    if isinstance(step, Times):
        return _times(step, width)
    raise TypeError(f"{type(step).__name__} is no transformer")


def _function(function: Any, width: int, named: dict[str, Any] | None = None) -> FunctionTransformer:
    return FunctionTransformer(function, kw_args=named).fit(np.ones((1, width)))


def _elementwise(step: Elementwise, width: int) -> Any:
    if step.kind == "relu":
        return _clip(width, 0.0)
    if step.kind == "log":
        return Pipeline([("floor", _clip(width, FLOOR)), ("log", _function(np.log, width))])
    if step.kind == "squares":
        both = [("x", FunctionTransformer()), ("squared", FunctionTransformer(np.square))]
        return FeatureUnion(both).fit(np.zeros((1, width)))
    functions = {"square": np.square, "reciprocal": np.reciprocal, "sigmoid": expit, "tanh": np.tanh}
    return _function(functions[step.kind], width)


def _ramps(step: Ramps) -> ColumnTransformer:
    """For each column as many copies as it has points, scaled and clipped to [0, 1], then added up by their rise."""
    curves = []
    for k, (scale, offset, rise) in enumerate(zip(step.scale, step.offset, step.rise, strict=True)):
        own = np.flatnonzero(rise) if rise.any() else np.array([0])
        ramp = MinMaxScaler(clip=True).fit(np.array([[0.0], [1.0]]) * np.ones(len(own)))
        ramp.scale_, ramp.min_ = scale[own], offset[own]
        total = _affine(affine(rise[None, own], step.base[k]))
        curves.append((str(k), FrozenEstimator(Pipeline([("ramps", ramp), ("sum", total)])), [k] * len(own)))
    return ColumnTransformer(curves).fit(np.zeros((1, len(step.base))))


def _times(step: Times, width: int) -> Pipeline:
    """x y as ((x + y)^2 - (x - y)^2) / 4: scikit-learn has no product of columns."""
    by: list[tuple[str, Any]] = []
    x = np.ones((1, width))
    for i, inner in enumerate(step.by):
        transformer = _transformer(inner, x.shape[1])
        by.append((f"{i}_{_word(inner)}", transformer))
        x = transformer.transform(x)
    both = FeatureUnion([("x", FunctionTransformer()), ("by", FrozenEstimator(Pipeline(by)))])
    one, other = np.eye(width), np.eye(width) if x.shape[1] == width else np.ones((width, 1))
    return Pipeline(
        [
            ("both", both.fit(np.ones((1, width)))),
            ("sums", _affine(affine(np.block([[one, other], [one, -other]])))),
            ("squares", _function(np.square, 2 * width)),
            ("product", _affine(affine(np.hstack([one, -one]) / 4))),
        ]
    )


def _affine(step: Affine) -> Pipeline:
    """A column of ones for the bias, then PCA as a plain matrix product: mean zero, no whitening."""
    d = step.weight.shape[1]
    ones = PolynomialFeatures(degree=1).fit(np.zeros((1, d)))
    product = PCA(n_components=len(step.weight))
    product.components_ = np.column_stack([step.bias, step.weight])
    product.mean_ = np.zeros(d + 1)
    product.n_components_ = len(step.weight)
    product.n_features_in_ = d + 1
    product.explained_variance_ = np.ones(len(step.weight))
    product.explained_variance_ratio_ = np.ones(len(step.weight)) / len(step.weight)
    product.singular_values_ = np.ones(len(step.weight))
    product.noise_variance_ = 0.0
    product.n_samples_ = 1
    return Pipeline([("ones", ones), ("product", product)])


def _clip(width: int, low: float, high: float = _TOP) -> MinMaxScaler:
    """x within [low, high]: MinMaxScaler with scale 1 and offset 0 that clips."""
    clip = MinMaxScaler(feature_range=(low, high), clip=True).fit(np.zeros((2, width)))
    clip.scale_, clip.min_ = np.ones(width), np.zeros(width)
    return clip


def _stacked(
    step: Neighbours | Forest, rest: Sequence[NamedStep], x: Array, classes: Sequence[str | bool]
) -> StackingClassifier:
    final = FrozenEstimator(Pipeline([tuple(each) for each in rest]))
    if isinstance(step, Neighbours):
        member: Any = KNeighborsRegressor(step.k, weights="distance", metric="sqeuclidean", algorithm="brute")
        member.fit(step.anchors, step.values)
        method = "predict"
    else:
        member = step.estimator
        method = "predict_proba" if step.gives == "shares" else "decision_function"
    stacked = StackingClassifier(
        [("member", FrozenEstimator(member))], final_estimator=final, cv="prefit", stack_method=method
    )
    stacked.fit(x, np.array(list(classes)))
    stacked.named_estimators_ = dict(stacked.named_estimators_)
    return stacked
