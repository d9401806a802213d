"""Whether more answers would change much, for one project: the signs of `domain.stopping` on its newest models."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from plumbline_backend import report
from plumbline_backend.domain.stopping import (
    Ahead,
    Verdict,
    class_separability,
    classification_change,
    is_stable,
    kappa,
    labels_ahead,
    overall_uncertainty,
    target_verdict,
)
from plumbline_backend.domain.types import Interval, ModelVersion

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.report import LearningCurve

STOP_SET = 2_000
"""Items of the pool on which models are compared: shares are then known to 2.2 points."""
APART = 10
"""Labels between two compared models: models a single answer apart agree whatever there is to learn."""
ROUNDS = 3
TARGET_KEY, DEFAULT_TARGET = "target_accuracy", 0.95


@dataclass(frozen=True)
class StoppingReport:
    """The signs as of the newest model. `kappas` oldest first; what cannot be said yet is None or has NaN."""

    target: float
    accuracy: Interval
    verdict: Verdict
    ahead: Ahead | None
    kappas: tuple[Interval, ...]
    stable: bool | None
    change: Interval | None
    uncertainty: Interval
    separability: Interval
    separability_chance: float | None
    compared: tuple[int, ...]
    """Labels of the compared models, oldest first."""


def stopping_report(project: Project, curve: LearningCurve) -> StoppingReport | None:
    """The signs for the project's newest models; None while there is no model. curve: of the random stream."""
    models = compared_models(project.models())
    if not models:
        return None
    rng = np.random.default_rng(project.seed)
    items = rng.permutation(project.pool.n_items)[:STOP_SET]
    predictions = [report.predict(project, model, items.tolist()).proba for model in models]
    said = [proba.argmax(axis=1) for proba in predictions]
    pairs = list(pairwise(said))
    kappas = tuple(kappa(before, after, rng) for before, after in pairs)
    separability, chance = class_separability(project.pool.features.gather(items), said[-1])
    target = target_of(project)
    points = curve.points
    newest = points[-1].accuracy if points else Interval(float("nan"), 0.0, 1.0, 0)
    return StoppingReport(
        target=target,
        accuracy=newest,
        verdict=target_verdict(newest, target),
        ahead=labels_ahead([p.n_train for p in points], [p.accuracy for p in points], target),
        kappas=kappas,
        stable=is_stable(kappas),
        change=classification_change(*pairs[-1]) if pairs else None,
        uncertainty=overall_uncertainty(predictions[-1], rng),
        separability=separability,
        separability_chance=chance,
        compared=tuple(model.n_train for model in models),
    )


def compared_models(models: list[ModelVersion]) -> list[ModelVersion]:
    """The newest model and up to three before it, each with at least ten labels fewer than the next; oldest first."""
    chosen: list[ModelVersion] = []
    for model in reversed(models):
        if not chosen or chosen[-1].n_train - model.n_train >= APART:
            chosen.append(model)
        if len(chosen) > ROUNDS:
            break
    return chosen[::-1]


def target_of(project: Project) -> float:
    """The accuracy that the project is to reach."""
    return float(project.settings().get(TARGET_KEY, DEFAULT_TARGET))


def set_target(project: Project, target: float) -> None:
    """Keep another target. Raises InputError outside (0, 1]."""
    target_verdict(Interval(float("nan"), 0.0, 1.0, 0), target)
    project.set_settings(**{TARGET_KEY: target})
