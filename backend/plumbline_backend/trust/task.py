"""The worker's part of the Calibration page: measure each judge's predictions and write what the page draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plumbline_backend.trust.calibration import run_apart, split_rows
from plumbline_backend.trust.chosen_slice import keep_slices
from plumbline_backend.trust.outside import read_predictions
from plumbline_backend.trust.predictions import Predictions
from plumbline_backend.trust.thresholds import keep_shown
from plumbline_backend.trust.view import page_view


def measure(spec: Mapping[str, Any], report: Callable[[float, str], None]) -> Mapping[str, Any]:
    """spec: judges [{"key", "name", "file"}], split or fit {"name", "file"}, calibrators (None: all), seed, out.

    Returns the written file.
    """
    views, out = [], Path(spec["out"])
    judges = spec["judges"]
    for done, judge in enumerate(judges):
        predictions = read_predictions(Path(judge["file"]))
        inside, shown, words = _parted(predictions, spec)

        def tell(progress: float, message: str, done: int = done, name: str = judge["name"]) -> None:
            report((done + progress) / len(judges), f"{name}: {message}")

        run = run_apart(inside, shown, words, spec["calibrators"], spec["seed"], tell)
        named = {"key": judge["key"], "name": judge["name"], "why": judge.get("why", "")}
        kept = {"shown": keep_shown(run, out.parent, f"shown-{done}")}
        views.append({**page_view(run), **named, **kept, **keep_slices(run, out.parent, f"shown-{done}")})
    half_done = out.with_suffix(".half")
    half_done.write_text(json.dumps({"judges": views}, allow_nan=False), encoding="utf-8")
    half_done.rename(out)
    return {"file": out.name}


def _parted(predictions: Predictions, spec: Mapping[str, Any]) -> tuple[Predictions, Predictions, str]:
    """What calibrators are fitted on, what is shown, and how they were parted, in words."""
    other = spec.get("fit")
    if other is not None:
        return read_predictions(Path(other["file"])), predictions, f"the set {other['name']}"
    fit, words = split_rows(predictions.n, spec["split"], predictions.slices)
    return predictions.rows(np.flatnonzero(fit)), predictions.rows(np.flatnonzero(~fit)), words
