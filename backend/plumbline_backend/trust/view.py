"""Everything that the Calibration page draws of one judge, as JSON-like values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_sets import SET_RULES, SetReport, evaluate_sets
from plumbline_backend.domain.calibration_slices import worst_slices
from plumbline_backend.domain.calibration_summary import Summary
from plumbline_backend.domain.types import Interval
from plumbline_backend.registry import CALIBRATORS
from plumbline_backend.trust.calibration import CalibrationRun
from plumbline_backend.trust.comparison import FOLDS
from plumbline_backend.trust.document import as_json
from plumbline_backend.trust.predictions import Predictions
from plumbline_backend.trust.thresholds import AS_GIVEN

PROMISED = 0.9
MOST_SLICES = 40
MOST_CLASSES = 1_000


def page_view(run: CalibrationRun) -> dict[str, Any]:
    """The JSON document of a run, and under "states" what was given and what the chosen calibrator makes of it."""
    states = {AS_GIVEN: _state(run, run.before, run.fit.proba, run.shown.proba)}
    chosen = run.after.get(run.comparison.chosen)
    if chosen is not None:
        states[chosen.name] = _state(run, chosen.summary, threshold_proba(run, chosen.name), chosen.proba)
    return {**as_json(run), "classes": list(run.shown.classes[:MOST_CLASSES]), "states": states}


def threshold_proba(run: CalibrationRun, name: str) -> NDArray[np.float64]:
    """What sets the sets' thresholds: each fitting item by the calibrator that the other folds give.

    The items a calibrator was fitted to look better than new ones. With 20 classes, 300 items and .90 promised (APS, 12
    draws) thresholds from them covered .777 (isotonic) and .868 (vector); from the other folds .915 and .905.
    """
    if run.fit.multi_label:
        return run.fit.proba
    logits, targets = run.fit.logits, run.fit.targets
    make = CALIBRATORS.get(name)
    whole = make().fit(logits, targets)
    if not whole.fitted_:
        return np.asarray(whole.proba(logits), dtype=np.float64)
    crossed = make(min_items=1).cross_fitted(logits, targets, FOLDS, np.random.default_rng(0))
    return np.asarray(crossed, dtype=np.float64)


def _state(
    run: CalibrationRun, summary: Summary, fit: NDArray[np.float64], proba: NDArray[np.float64]
) -> dict[str, Any]:
    bins = summary.reliability
    return {
        "bins": {name: getattr(bins, name).tolist() for name in bins.__dataclass_fields__},
        "risk": [[p.threshold, p.coverage, *p.risk] for p in summary.risk_coverage],
        "classes": [
            [int(n), *numbers(figure)]
            for n, figure in zip(summary.n_true[:MOST_CLASSES], summary.per_class, strict=False)
        ],
        "slices": _slices(run.shown, proba),
        "sets": _sets(run, fit, proba),
    }


def _slices(shown: Predictions, proba: NDArray[np.float64]) -> list[dict[str, Any]]:
    if not shown.slices:
        return []
    if shown.multi_label:
        right = ((proba >= 0.5) == (shown.targets > 0)).mean(axis=1)
        found = worst_slices(shown.slices, np.maximum(proba, 1 - proba).mean(axis=1), right)
    else:
        correct = proba.argmax(axis=1) == shown.targets
        found = worst_slices(shown.slices, np.minimum(proba.max(axis=1), 1.0), correct)
    return [
        {
            "name": each.name,
            "accuracy": numbers(each.accuracy),
            "elsewhere": numbers(each.elsewhere),
            "gap": numbers(each.gap),
            "p_value": each.p_value,
            "found": each.found,
        }
        for each in found[:MOST_SLICES]
    ]


def _sets(run: CalibrationRun, fit: NDArray[np.float64], proba: NDArray[np.float64]) -> list[dict[str, Any]]:
    if run.shown.multi_label:
        return []
    reports = [
        evaluate_sets((fit, run.fit.targets), (proba, run.shown.targets), rule, PROMISED)
        for rule in SET_RULES
    ]
    return [_set(report) for report in reports]


def _set(report: SetReport) -> dict[str, Any]:
    return {
        "rule": report.rule,
        "promised": report.promised,
        "coverage": numbers(report.coverage),
        "size": numbers(report.size),
        "empty": numbers(report.empty),
        "worst": report.worst,
        "by_class": [numbers(each) for each in report.by_class[:MOST_CLASSES]],
        "everything": not np.isfinite(report.threshold),
    }


def numbers(interval: Interval | tuple[Any, ...]) -> list[float | int | None]:
    """An interval or a figure as JSON; unknown is null."""
    return [None if isinstance(v, float) and not np.isfinite(v) else v for v in map(_plain, interval)]


def _plain(value: Any) -> float | int:
    return value.item() if isinstance(value, np.generic) else value


def interval_of(numbers: list[float | int | None]) -> Interval:
    """[value, low, high, n] back as an interval, with NaN for what was unknown."""
    value, low, high = (float("nan") if v is None else float(v) for v in numbers[:3])
    return Interval(value, low, high, int(numbers[-1] or 0))


def view_bins(state: Mapping[str, Any]) -> Any:
    """The reliability bins of a state as arrays again."""
    from plumbline_backend.domain.reliability import Reliability

    return Reliability(**{name: np.array(values) for name, values in state["bins"].items()})
