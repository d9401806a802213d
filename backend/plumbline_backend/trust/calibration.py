"""Fits calibrators on one part of the items and shows what they do on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.calibration_summary import MIN_ITEMS, Summary, summarise, summarise_labels
from plumbline_backend.domain.errors import InputError
from plumbline_backend.registry import CALIBRATORS
from plumbline_backend.trust.comparison import Comparison, Report, compare
from plumbline_backend.trust.predictions import Predictions, in_order_of


@dataclass(frozen=True)
class Calibrated:
    """One calibrator on the shown items. changed: share of them whose likeliest class is another one than before."""

    name: str
    parameters: Mapping[str, float]
    changes_predictions: bool
    changed: float
    note: str
    summary: Summary
    proba: NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationRun:
    """Everything about one judge: before, after each calibrator, and which one to use."""

    fit: Predictions
    shown: Predictions
    split: str
    before: Summary
    after: Mapping[str, Calibrated]
    comparison: Comparison
    notes: tuple[str, ...]


def split_rows(n: int, how: str, columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.bool_], str]:
    """Which of n rows calibrators are fitted on, (n,) of bool, and the split in words.

    how: "half" (the first half), a share such as 0.3 or a number of rows such as 5000 (the first ones),
    "random:SEED" (a random half), or "column=NAME" (rows where it says fit, true, yes or 1).
    Raises InputError on anything else, and where either part would be empty.
    """
    fit = np.zeros(n, dtype=bool)
    if how.startswith("column="):
        name = how.removeprefix("column=")
        if name not in columns:
            raise InputError(
                f"split: column {name!r} does not exist; expected one of {', '.join(columns) or 'none'}"
            )
        fit = np.isin(np.char.lower(columns[name].astype(str)), ("fit", "true", "yes", "1"))
        words = f"rows where column {name} says fit"
    elif how.startswith("random:"):
        seed = _number(how.removeprefix("random:"), how)
        fit[np.random.default_rng(int(seed)).permutation(n)[: n // 2]] = True
        words = f"a random half (seed {int(seed)})"
    else:
        share = 0.5 if how == "half" else _number(how, how)
        first = round(share * n) if 0 < share < 1 else int(share)
        fit[:first] = True
        words = f"the first {int(fit.sum()):,} rows"
    if not fit.any() or fit.all():
        raise InputError(
            f"split {how!r} gives {int(fit.sum())} of {n} rows to fit on; "
            "expected at least one to fit on and one to show"
        )
    return fit, words


def run_calibration(
    predictions: Predictions,
    fit: NDArray[np.bool_],
    split: str,
    names: Sequence[str] | None = None,
    seed: int = 0,
    report: Report = lambda _, __: None,
) -> CalibrationRun:
    """Compare calibrators on the fitting rows, fit each of them there, and measure all on the other rows.

    fit: (n,) of bool; split: how it came about, in words; names: of calibrators, all by default.
    """
    inside, shown = predictions.rows(np.flatnonzero(fit)), predictions.rows(np.flatnonzero(~fit))
    return run_apart(inside, shown, split, names, seed, report)


def run_apart(
    inside: Predictions,
    shown: Predictions,
    split: str,
    names: Sequence[str] | None = None,
    seed: int = 0,
    report: Report = lambda _, __: None,
) -> CalibrationRun:
    """The same for a set to fit on that is another than the shown one.

    Raises InputError on an unknown calibrator, and as `in_order_of` on a set with other classes.
    """
    chosen = list(CALIBRATORS.names() if names is None else names)
    for name in chosen:
        CALIBRATORS.get(name)
    inside = in_order_of(inside, shown)
    logits, targets = _as_classes(inside)
    comparison = compare(logits, targets, chosen, np.random.default_rng(seed), lambda p, m: report(p / 2, m))
    report(0.5, "measuring what was given")
    before = _summary(shown, shown.proba, seed)
    after = {}
    for done, name in enumerate(chosen):
        report(0.5 + 0.5 * (done + 1) / (len(chosen) + 1), f"fitting and measuring {name}")
        after[name] = _calibrated(name, logits, targets, shown, seed)
    notes = []
    if inside.n < MIN_ITEMS:
        notes.append(f"{inside.n} items to fit on are too few; expected at least {MIN_ITEMS}")
    return CalibrationRun(inside, shown, split, before, after, comparison, (*notes, *before.notes))


def _calibrated(
    name: str, logits: NDArray[np.float64], targets: NDArray[np.int64], shown: Predictions, seed: int
) -> Calibrated:
    calibrator = CALIBRATORS.get(name)().fit(logits, targets)
    proba = calibrator.proba(_as_classes(shown)[0])
    if shown.multi_label:
        proba = proba[:, 1].reshape(shown.proba.shape)
        changed = ((proba >= 0.5) != (shown.proba >= 0.5)).mean()
    else:
        changed = (proba.argmax(axis=1) != shown.proba.argmax(axis=1)).mean()
    return Calibrated(
        name,
        dict(calibrator.parameters()),
        calibrator.changes_predictions,
        float(changed),
        calibrator.note_,
        _summary(shown, proba, seed),
        proba,
    )


def _as_classes(predictions: Predictions) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits and targets; every item and label of a multi-label question as an item with the classes no and yes."""
    if not predictions.multi_label:
        return predictions.logits, predictions.targets
    yes = predictions.logits.ravel()
    return np.stack([np.zeros_like(yes), yes], axis=1), predictions.targets.ravel()


def _summary(predictions: Predictions, proba: NDArray[np.float64], seed: int) -> Summary:
    make = summarise_labels if predictions.multi_label else summarise
    return make(proba, predictions.targets, np.random.default_rng(seed))


def _number(text: str, how: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not (np.isfinite(number) and number >= 0):
        raise InputError(
            f"split is {how!r}; expected half, a share such as 0.3, a number of rows, random:SEED or column=NAME"
        )
    return number
