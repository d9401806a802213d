"""What a project's models are worth, measured on the answers of the random stream as they stand now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.answers import Labels
from plumbline_backend.domain.curves import ReferencePoint
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.metrics import Evaluation, accuracy
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import Interval, LabelClass, ModelVersion, Proba, Question
from plumbline_backend.evaluation import evaluate_on_stream, to_schema
from plumbline_backend.heads.making import load_head
from plumbline_backend.kinds.base import KindReport
from plumbline_backend.trust.serving import serving_calibrator, serving_name

if TYPE_CHECKING:
    from plumbline_backend.project import Project

MAX_CURVE_POINTS = 60
"""Versions drawn in the learning curve, spread evenly over those there are."""


@dataclass(frozen=True)
class Prediction:
    """Calibrated probabilities (n_items, n_classes) over the active classes, in schema order.

    none_of_these: (n_items,) which items are out of scope by the project's open-set rule; None while it has none.
    """

    classes: tuple[LabelClass, ...]
    proba: Proba
    model: ModelVersion
    none_of_these: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class ModelReport:
    """One model on the stream: cross-fitted calibration, all figures with interval and n.

    `n_untrained` counts stream answers whose class the model has never seen; they count as wrong.
    """

    model: ModelVersion
    classes: tuple[LabelClass, ...]
    trained: tuple[str, ...]
    temperature: float
    temperature_note: str
    evaluation: Evaluation
    n_untrained: int


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy of one model version on today's stream answers."""

    version: int
    n_train: int
    accuracy: Interval


@dataclass(frozen=True)
class LearningCurve:
    """`points`: every version on the same items. `reference`: throw-away heads trained on random items only."""

    points: tuple[CurvePoint, ...]
    reference: tuple[ReferencePoint, ...]
    n_stream: int
    reference_note: str


def predict(project: Project, model: ModelVersion, positions: Sequence[int]) -> Prediction:
    """The model's calibrated probabilities for these items."""
    own = project.loop.kind.predict(project, model, positions)
    if own is not None:
        return own
    head, question = _head(project, model), project.question()
    calibrator = serving_calibrator(project, model, head)
    features = project.pool.features.gather(np.array(positions, dtype=np.int64))
    logits = head.logits(features)
    proba = to_schema(calibrator.proba(logits), _columns(question, model), len(question.active))
    scope = project.desk.trust.scope.serving(model, head)
    outside = None if scope is None else scope.none_of_these(features, logits)
    return Prediction(question.active, proba, model, outside)


def kind_report(project: Project, model: ModelVersion) -> KindReport | None:
    """The model in the measures of its question kind; None where `model_report` says all."""
    return project.loop.kind.report(project, model)


def model_report(project: Project, model_id: int | None) -> ModelReport | None:
    """The report of one model, by default the newest; None while there is none."""
    models = project.models()
    if not models:
        return None
    by_id = {model.id: model for model in models}
    if model_id is not None and model_id not in by_id:
        raise NotFoundError(f"model {model_id} does not exist in project {project.slug!r}")
    model = models[-1] if model_id is None else by_id[model_id]
    question = project.question()
    active = tuple(c.id for c in question.active)
    stream = _stream(project, question)
    columns = _columns(question, model)
    logits = _head(project, model).logits(project.pool.features.gather(stream.items))
    measured = evaluate_on_stream(
        logits,
        columns,
        stream.targets,
        len(active),
        project.calibrate_from,
        project.seed,
        serving_name(project),
    )
    return ModelReport(
        model=model,
        classes=question.active,
        trained=tuple(active[column] for column in sorted(set(columns))),
        temperature=measured.calibrator.temperature_,
        temperature_note=measured.calibrator.note_,
        evaluation=measured.evaluation,
        n_untrained=int(np.isin(stream.targets, columns, invert=True).sum()),
    )


@dataclass(frozen=True)
class RightOnStream:
    """For each answer of the stream its class id, and whether the model says the same."""

    class_ids: NDArray[np.str_]
    right: NDArray[np.bool_]


def right_on_stream(project: Project, model: ModelVersion) -> RightOnStream:
    """One version on today's stream answers."""
    question = project.question()
    stream = _stream(project, question)
    columns = np.array(_columns(question, model))
    logits = _head(project, model).logits(project.pool.features.gather(stream.items))
    active = np.array([c.id for c in question.active])
    return RightOnStream(active[stream.targets], columns[logits.argmax(axis=1)] == stream.targets)


def learning_curve(project: Project, with_reference: bool = True) -> LearningCurve:
    """Every version (thinned to 60) judged by the same stream answers, beside what random sampling gives.

    The reference waits for a worker, a second or more, when the stream has grown; without it the rest comes at once.
    """
    question = project.question()
    stream = _stream(project, question)
    models = project.models()
    features = project.pool.features.gather(stream.items)
    points = []
    for index in (
        np.unique(np.linspace(0, len(models) - 1, MAX_CURVE_POINTS).round().astype(int)) if models else ()
    ):
        model = models[int(index)]
        columns = np.array(_columns(question, model))
        predicted = columns[_head(project, model).logits(features).argmax(axis=1)]
        points.append(CurvePoint(model.version, model.n_train, accuracy(predicted, stream.targets)))
    reference, note = project.reference.of(project, stream) if with_reference else ((), "is being computed")
    return LearningCurve(tuple(points), reference, len(stream.items), note)


def _stream(project: Project, question: Question) -> Labels:
    project.loop.answers.refresh()
    return project.loop.answers.stream(question, tuple(c.id for c in question.active))


def _head(project: Project, model: ModelVersion) -> Head:
    return load_head(project.folders.models / model.folder)


def _columns(question: Question, model: ModelVersion) -> list[int]:
    """For each class the head was trained on, its place among the active classes of today."""
    active = [c.id for c in question.active]
    return [active.index(question.resolve(class_id)) for class_id in model.metrics["classes"]]
