"""What the Calibration page draws: sets that keep their promise, and the command line's figures on the same file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy.special import softmax

from plumbline_backend.domain.calibration_sets import evaluate_sets
from plumbline_backend.registry import CALIBRATORS
from plumbline_backend.trust.predictions import Predictions, from_logits
from plumbline_backend.trust.view import threshold_proba

N_FIT, CLASSES, DRAWS = 300, 20, 6


def made(seed: int) -> Predictions:
    """Overconfident logits of many classes, 15 items each to fit on."""
    draw = np.random.default_rng(seed)
    true = draw.normal(scale=2, size=(N_FIT + 2000, CLASSES))
    targets = (softmax(true, axis=1).cumsum(axis=1) > draw.random((len(true), 1))).argmax(axis=1)
    return from_logits("made", 2 * true, targets)


@pytest.mark.parametrize("name", ["vector", "isotonic"])
def test_sets_keep_their_promise_after_a_calibrator_that_fits_closely(name: str) -> None:
    """90 % promised; thresholds from the calibrator's own fitting items covered .868 (vector), .777 (isotonic).

    The mean over 6 draws varies by .007 (300 items set each threshold), so .88 is three such away.
    """
    covered = []
    for seed in range(DRAWS):
        given = made(seed)
        fit, shown = given.rows(np.arange(N_FIT)), given.rows(np.arange(N_FIT, given.n))
        fitted = CALIBRATORS.get(name)().fit(fit.logits, fit.targets)
        run = cast("Any", SimpleNamespace(fit=fit))
        sets = evaluate_sets(
            (threshold_proba(run, name), fit.targets), (fitted.proba(shown.logits), shown.targets), "aps", 0.9
        )
        covered.append(sets.coverage.value)
    assert np.mean(covered) > 0.88


def test_thresholds_follow_the_calibrator_also_when_a_fold_would_be_too_few_for_it() -> None:
    """60 items fit an isotonic calibrator (50 needed), the 48 of a fold would not; 40 items fit none."""
    for n, fitted in ((60, True), (40, False)):
        fit = made(0).rows(np.arange(n))
        found = threshold_proba(cast("Any", SimpleNamespace(fit=fit)), "isotonic")
        assert np.allclose(found, fit.proba) is not fitted
