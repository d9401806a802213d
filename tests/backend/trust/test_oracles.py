"""Figures of the Calibration page against scikit-learn, and against MAPIE where it is installed (extra "bench")."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import brier_score_loss, log_loss

from plumbline_backend.domain.calibration_cells import cells_of
from plumbline_backend.domain.calibration_errors import ece_equal_width
from plumbline_backend.domain.calibration_scores import brier_parts
from plumbline_backend.domain.calibration_sets import evaluate_sets, set_scores, set_threshold
from plumbline_backend.domain.calibration_summary import summarise, summarise_labels

N, K = 400, 5


def made(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure of themselves, and answers drawn from duller ones."""
    draw = np.random.default_rng(seed)
    dull = draw.dirichlet(np.ones(K), size=N)
    targets = np.array([draw.choice(K, p=row) for row in dull])
    sharp = dull**1.5
    return sharp / sharp.sum(axis=1, keepdims=True), targets


def test_log_loss_and_brier_are_those_of_scikit_learn() -> None:
    proba, targets = made()
    found = summarise(proba, targets, np.random.default_rng(0)).figures
    assert found["nll"].value == pytest.approx(log_loss(targets, proba), abs=1e-12)
    expected = brier_score_loss(targets, proba, labels=range(K), scale_by_half=False)
    assert found["brier"].value == pytest.approx(expected, abs=1e-12)
    right = proba.argmax(axis=1) == targets
    assert found["top_brier"].value == pytest.approx(brier_score_loss(right, proba.max(axis=1)), abs=1e-12)
    parts = brier_parts(cells_of(proba.max(axis=1), right))
    assert parts.score == pytest.approx(found["top_brier"].value, abs=1e-12)


def test_labels_one_by_one_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(1)
    proba = draw.random((N, 3))
    targets = (draw.random((N, 3)) < proba**2).astype(int)
    found = summarise_labels(proba, targets, np.random.default_rng(0)).figures
    losses = [log_loss(targets[:, k], proba[:, k]) for k in range(3)]
    briers = [brier_score_loss(targets[:, k], proba[:, k]) for k in range(3)]
    assert found["nll"].value == pytest.approx(np.mean(losses), abs=1e-12)
    assert found["brier"].value == pytest.approx(np.mean(briers), abs=1e-12)


class Given(ClassifierMixin, BaseEstimator):
    """A fitted classifier that "predicts" the probabilities in its rows."""

    def __init__(self) -> None:
        self.classes_ = np.arange(K)

    def fit(self, _x: Any, _y: Any) -> Given:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, x: Any) -> np.ndarray:
        return np.asarray(x)

    def predict(self, x: Any) -> np.ndarray:
        return np.asarray(x).argmax(axis=1)


def mapie() -> SimpleNamespace:
    pytest.importorskip("mapie", reason="pip install mapie; it is in the extra 'bench'")
    from mapie.classification import SplitConformalClassifier
    from mapie.metrics.calibration import expected_calibration_error

    return SimpleNamespace(sets=SplitConformalClassifier, ece=expected_calibration_error)


def test_equal_width_ece_is_that_of_mapie() -> None:
    oracle = mapie()
    proba, targets = made()
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == targets
    edges = 16  # what MAPIE 1.6 calls bins are their edges
    theirs = oracle.ece(right.astype(int), confidence, num_bins=edges, split_strategy="uniform")
    assert ece_equal_width(cells_of(confidence, right)) == pytest.approx(theirs, abs=1e-9)


def test_lac_sets_are_those_of_mapie() -> None:
    """Its APS draws at random between neighbouring sets and ours does not, so that there is no such test of it."""
    oracle = mapie()
    (fit, fit_y), (shown, shown_y) = made(2), made(3)
    judge = oracle.sets(Given(), confidence_level=0.9, conformity_score="lac", prefit=True)
    judge.conformalize(fit, fit_y)
    _, theirs = judge.predict_set(shown)
    ours = set_scores(shown, "lac") <= set_threshold(set_scores(fit, "lac"), fit_y, 0.9)
    np.testing.assert_array_equal(ours, theirs[:, :, 0])
    covered = theirs[np.arange(N), shown_y, 0].mean()
    assert evaluate_sets((fit, fit_y), (shown, shown_y), "lac").coverage.value == pytest.approx(covered)
