"""Intervals that the Calibration and Agreement pages show beside the errors, each with what it should hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.agreement import (
    alpha_interval,
    cohen_of_columns,
    fleiss_kappa,
    kappa_interval,
    krippendorff_alpha,
)
from plumbline_backend.domain.calibration_intervals import skewed_mean
from plumbline_backend.domain.calibration_scores import operating_point
from plumbline_backend.domain.calibration_sets import SET_RULES, evaluate_sets, set_scores
from plumbline_backend.domain.calibration_slices import worst_slices
from plumbline_backend.domain.metrics import confusion_matrix, per_class
from plumbline_backend.trust.annotators import fleiss_interval

THRESHOLD, COST_FP, COST_FN = 0.3, 1.0, 2.0
N_SLICES = 3
N_PEOPLE = 4


class Answers(NamedTuple):
    """The population: proba (n, K), targets (n,), and the loss of each item less that of another calibrator (n,)."""

    proba: NDArray[np.float64]
    targets: NDArray[np.int64]
    loss_gap: NDArray[np.float64]


class Shown(NamedTuple):
    """One interval and what it should hold."""

    name: str
    truth: float
    low: float
    high: float


def decisions(of: Answers, rows: NDArray[np.int64]) -> Iterator[Shown]:
    """Costs, precision and recall at a threshold of every class; F1; the difference of two calibrators' losses."""
    proba, targets = of.proba[rows], of.targets[rows]
    for k in range(proba.shape[1]):
        ours = operating_point(proba[:, k], targets == k, THRESHOLD, COST_FP, COST_FN)
        true = operating_point(of.proba[:, k], of.targets == k, THRESHOLD, COST_FP, COST_FN)
        for name in ("cost", "precision", "recall", "false_positive_rate"):
            part = getattr(ours, name)
            yield Shown(f"operating point: {name}", getattr(true, name).value, part.low, part.high)
    ours_of, true_of = (
        per_class(confusion_matrix(p.argmax(axis=1), t, p.shape[1]))
        for p, t in ((proba, targets), (of.proba, of.targets))
    )
    for one, other in zip(ours_of, true_of, strict=True):
        yield Shown("F1 of one class", other.f1.value, one.f1.low, one.f1.high)
    gap = skewed_mean(of.loss_gap[rows])
    yield Shown("difference of NLL", float(of.loss_gap.mean()), gap.low, gap.high)


def slices(of: Answers, rows: NDArray[np.int64]) -> Iterator[Shown]:
    """Accuracy inside and outside of slices, and the gap to the confidence."""
    columns = (np.arange(len(of.targets)) % N_SLICES).astype(str)
    found = {}
    for name, chosen in (("ours", rows), ("true", np.arange(len(of.targets)))):
        p = of.proba[chosen]
        right = p.argmax(axis=1) == of.targets[chosen]
        part = worst_slices({"part": columns[chosen]}, np.minimum(p.max(axis=1), 1), right, depth=1)
        found[name] = {each.name: each for each in part}
    for name, ours in found["ours"].items():
        for part in ("accuracy", "elsewhere", "gap"):
            interval = getattr(ours, part)
            truth = getattr(found["true"][name], part).value
            yield Shown(f"slice: {part}", truth, interval.low, interval.high)


def sets(of: Answers, fit: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[Shown]:
    """Coverage, size and emptiness of conformal sets of every rule, and coverage of each class's items."""
    calibration = (of.proba[fit], of.targets[fit])
    for rule in SET_RULES:
        shown = evaluate_sets(calibration, (of.proba[rows], of.targets[rows]), rule)
        inside = set_scores(of.proba, rule) <= shown.threshold
        own = inside[np.arange(len(of.targets)), of.targets]
        sizes = inside.sum(axis=1)
        truth = {"coverage": own.mean(), "size": sizes.mean(), "empty": (sizes == 0).mean()}
        for name, value in truth.items():
            part = getattr(shown, name)
            yield Shown(f"sets, {rule}: {name}", float(value), part.low, part.high)
        for k, part in enumerate(shown.by_class):
            yield Shown(
                "sets: coverage of one class", float(own[of.targets == k].mean()), part.low, part.high
            )


def people(n_items: int = 20_000) -> NDArray[np.int64]:
    """(n_items, N_PEOPLE) answers of people of different skill to items of three classes."""
    rng = np.random.default_rng(3)
    truth = rng.choice(3, n_items, p=(0.6, 0.3, 0.1))
    columns = []
    for skill in np.linspace(0.6, 0.9, N_PEOPLE):
        knows = rng.random(n_items) < skill
        columns.append(np.where(knows, truth, rng.integers(3, size=n_items)))
    return np.stack(columns, axis=1)


def agreement(table: NDArray[np.int64], truth: dict[str, float], rng: np.random.Generator) -> Iterator[Shown]:
    """The coefficients of a sample of 100 items. truth: of `agreement_truth`."""
    rows = table[rng.integers(len(table), size=100)]
    intervals = {
        "Cohen's kappa": kappa_interval(rows[:, 0], rows[:, 1], rng),
        "Krippendorff's alpha": alpha_interval(rows, rng),
        "Fleiss' kappa": fleiss_interval(rows, rng),
    }
    for name, interval in intervals.items():
        yield Shown(name, truth[name], interval.low, interval.high)


def agreement_truth(table: NDArray[np.int64]) -> dict[str, float]:
    """The coefficients of the whole population."""
    return {
        "Cohen's kappa": cohen_of_columns(table),
        "Krippendorff's alpha": krippendorff_alpha(table),
        "Fleiss' kappa": fleiss_kappa(table),
    }
