"""The classes of exported scikit-learn pipelines: scikit-learn's own, and each passes scikit-learn's own checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, PolynomialFeatures
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator
from test_heads_contract import labelled, made

from plumbline_backend.exporters.classifier.sklearn_program import classifier_steps, labels_steps
from plumbline_backend.heads.making import make_head
from plumbline_backend.registry import HEADS

CHECKED = {
    "DecisionTreeClassifier": DecisionTreeClassifier(),
    "FunctionTransformer": FunctionTransformer(),
    "HistGradientBoostingClassifier": HistGradientBoostingClassifier(max_iter=5),
    "KNeighborsRegressor": KNeighborsRegressor(),
    "LogisticRegression": LogisticRegression(),
    "MinMaxScaler": MinMaxScaler(),
    "Normalizer": Normalizer(),
    "OneVsRestClassifier": OneVsRestClassifier(LogisticRegression()),
    "PCA": PCA(),
    "PolynomialFeatures": PolynomialFeatures(),
    "RandomForestClassifier": RandomForestClassifier(n_estimators=5),
    "StackingClassifier": StackingClassifier([("one", LogisticRegression())], cv=2),
}
"""An instance of each class that does work of its own."""
PUTS_TOGETHER = {"ColumnTransformer", "FeatureUnion", "FrozenEstimator", "Pipeline"}
"""Classes that only pass columns on to others; scikit-learn's own do not pass the checks for what holds parameters."""
WEIGHTS = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
    "weights and repeated rows are drawn or binned differently",
)
"""Checks that scikit-learn itself expects its forests and histograms to fail."""
FAILS = {"RandomForestClassifier": WEIGHTS, "HistGradientBoostingClassifier": WEIGHTS}


def parts(estimator: Any) -> Iterator[Any]:
    """The estimator and everything inside it that is one."""
    yield estimator
    inside = [getattr(estimator, "estimator", None), getattr(estimator, "final_estimator", None)]
    for name in ("steps", "transformers", "transformer_list", "estimators"):
        inside += [each[1] for each in getattr(estimator, name, ())]
    for each in inside:
        if hasattr(each, "get_params"):
            yield from parts(each)


@pytest.mark.parametrize("name", HEADS.names())
def test_every_head_is_exported_in_classes_that_are_checked_below(name: str) -> None:
    x, y = labelled()
    steps = classifier_steps(made(name).fit(x, y, 3).program(), 5, 1.3, ["a", "b", "c"])
    found = [type(part) for part in parts(Pipeline([tuple(step) for step in steps]))]
    assert {each.__module__.split(".")[0] for each in found} == {"sklearn"}
    assert {each.__name__ for each in found} <= {*CHECKED, *PUTS_TOGETHER}


def test_so_is_a_head_of_several_classes() -> None:
    x, y = labelled()
    head = make_head("multi_label", {}).fit(x, np.eye(3, dtype=np.int64)[y], 3)
    (step,) = labels_steps(head.program(), 5, 1.0, ["a", "b", "c"])
    assert {type(part).__name__ for part in parts(step.estimator)} <= set(CHECKED)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(CHECKED))
def test_the_class_passes_the_checks_of_scikit_learn(name: str) -> None:
    assert type(CHECKED[name]).__name__ == name
    checks = check_estimator(
        CHECKED[name], on_skip=None, on_fail="raise", expected_failed_checks=FAILS.get(name)
    )
    assert sum(check["status"] == "passed" for check in checks) > 20
