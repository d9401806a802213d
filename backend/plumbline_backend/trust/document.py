"""A calibration run as JSON: the keys that scripts rely on."""

from __future__ import annotations

import math
from typing import Any

from plumbline_backend.domain.calibration_summary import Summary
from plumbline_backend.domain.types import Interval
from plumbline_backend.trust.calibration import CalibrationRun


def as_json(run: CalibrationRun) -> dict[str, Any]:
    """before, calibrators, n_fit, n_shown, and what was chosen and why. Unknown is null."""
    return {
        "name": run.shown.name,
        "split": run.split,
        "n_fit": run.fit.n,
        "n_shown": run.shown.n,
        "n_classes": run.before.n_classes,
        "kind": run.before.kind,
        "before": figures_json(run.before),
        "calibrators": {
            name: {
                "parameters": {key: _known(value) for key, value in each.parameters.items()},
                "changes_predictions": each.changes_predictions,
                "changed": each.changed,
                "note": each.note,
                **figures_json(each.summary),
            }
            for name, each in run.after.items()
        },
        "chosen": run.comparison.chosen,
        "reason": run.comparison.reason,
        "comparison": {
            row.name: {"nll": _interval(row.nll), "above_best": _interval(row.above_best)}
            for row in run.comparison.rows
        },
        "notes": list(run.notes),
    }


def figures_json(summary: Summary) -> dict[str, dict[str, float | int | None]]:
    """Every figure by its name as {"value", "low", "high", "null", "n"}."""
    return {
        name: {
            "value": _known(f.value),
            "low": _known(f.low),
            "high": _known(f.high),
            "null": _known(f.null),
            "n": f.n,
        }
        for name, f in summary.figures.items()
    }


def _interval(interval: Interval) -> dict[str, float | int | None]:
    value, low, high, n = interval
    return {"value": _known(value), "low": _known(low), "high": _known(high), "n": n}


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
