"""How good a head is on the random stream: calibrated by cross-fitting, measured on items it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.calibrators.making import make_calibrator
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.domain.metrics import Evaluation, evaluate
from plumbline_backend.domain.types import Proba

FOLDS = 5


@dataclass(frozen=True)
class StreamEvaluation:
    """`calibrator` is fitted on all stream answers and serves; `evaluation` rests on cross-fitted probabilities."""

    calibrator: Temperature
    evaluation: Evaluation


def evaluate_on_stream(
    logits: NDArray[np.floating[Any]],
    columns: Sequence[int],
    targets: NDArray[np.int64],
    n_classes: int,
    calibrate_from: int,
    seed: int,
    serving: str = Temperature.name,
) -> StreamEvaluation:
    """Calibrate a head on stream answers and measure it on the same ones, each with a temperature from the others.

    logits: (n, K) of the head's classes. columns: (K,) the schema's class for each of them, in
    0..n_classes-1; classes merged since the fit share one. targets: (n,) schema classes; one that the head has
    never seen counts as wrong and is left out of the temperature's fit. serving: the calibrator that the project chose;
    the evaluation is of that one, each item's from the other folds' items.
    """
    of_schema = {column: k for k, column in reversed(list(enumerate(columns)))}
    own_targets = np.array([of_schema.get(int(target), -1) for target in targets], dtype=np.int64)
    known = own_targets >= 0
    calibrator = Temperature(calibrate_from).fit(logits[known], own_targets[known])
    rng = np.random.default_rng(seed)
    proba = calibrator.proba(logits)
    if known.sum() >= FOLDS:
        served = calibrator if serving == calibrator.name else make_calibrator(serving, calibrate_from)
        proba[known] = served.cross_fitted(logits[known], own_targets[known], FOLDS, rng)
    return StreamEvaluation(calibrator, evaluate(to_schema(proba, columns, n_classes), targets, rng))


def to_schema(proba: Proba, columns: Sequence[int], n_classes: int) -> Proba:
    """Probabilities over the schema's classes (n, n_classes): 0 where the head knows nothing, sums where merged."""
    spread = np.zeros((len(proba), n_classes))
    for k, column in enumerate(columns):
        spread[:, column] += proba[:, k]
    return spread
