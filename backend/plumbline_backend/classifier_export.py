"""Gathers what a classifier export is made from: the newest model, its features, and what is known about them."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.types import Interval, LabelClass
from plumbline_backend.exporters.classifier.bundle import (
    ClassifierBundle,
    Provenance,
    Reliability,
    TransformState,
)
from plumbline_backend.heads.making import load_head
from plumbline_backend.pool.features import load_features
from plumbline_backend.report import ModelReport
from plumbline_backend.trust.serving import calibration_note, folded, serving_calibrator

if TYPE_CHECKING:
    from plumbline_backend.project import Project


def write(project: Project, folder: Path) -> Path:
    """Write the newest model to `folder`.

    Raises ConflictError without a model, where the folder exists, and after a merge until a model has learned it.
    """
    from plumbline_backend.exporters.classifier.export import (
        export_classifier,  # onnx takes a second to import
    )

    report = project.report()
    if report is None:
        raise ConflictError(
            f"project {project.slug!r} has no model to export yet. {project.status().waiting}"
        )
    merged = [c for c in report.model.metrics["classes"] if project.question().resolve(c) != c]
    if merged:
        names = {c.id: c.name for c in project.question().classes}
        raise ConflictError(
            f"model version {report.model.version} still knows {', '.join(repr(names[c]) for c in merged)}, "
            "merged since; the next version, trained in a moment, does not"
        )
    return export_classifier(bundle_of(project, report), folder)


def bundle_of(project: Project, report: ModelReport) -> ClassifierBundle:
    """Everything about the reported model as plain values."""
    question, evaluation = project.question(), report.evaluation
    head = load_head(project.folders.models / report.model.folder)
    calibrator = serving_calibrator(project, report.model, head)
    program, temperature = folded(head.program(), calibrator)
    named = {c.id: c for c in question.classes}
    measured = dict(zip((c.id for c in report.classes), evaluation.per_class, strict=True))
    bins = evaluation.reliability
    return ClassifierBundle(
        question=question.text,
        guidelines=question.guidelines,
        question_version=question.version,
        classes=tuple(_trained_class(named[class_id]) for class_id in report.model.metrics["classes"]),
        transforms=_transforms(project),
        program=program,
        width=head.width_,
        head=head.name,
        temperature=temperature,
        metrics={
            "accuracy": evaluation.accuracy,
            "expected calibration error": evaluation.ece,
            "negative log-likelihood": evaluation.nll,
            "Brier score": evaluation.brier,
        },
        provenance=_provenance(project, report),
        per_class={
            class_id: {"precision": figures.precision, "recall": figures.recall, "F1": figures.f1}
            for class_id, figures in measured.items()
        },
        reliability=tuple(
            Reliability(float(confidence), Interval(float(right), float(low), float(high), int(n)))
            for confidence, right, low, high, n in zip(
                bins.confidence, bins.accuracy, bins.low, bins.high, bins.count, strict=True
            )
        ),
        calibration_note=calibration_note(calibrator),
    )


def _trained_class(named: LabelClass) -> LabelClass:
    return LabelClass(named.id, named.name, named.color, description=named.description)


def _transforms(project: Project) -> tuple[TransformState, ...]:
    fitted = load_features(project.pool)
    states = []
    for each in fitted.parts:
        state, arrays = each.transform.to_state()
        states.append(TransformState(each.part.transform, tuple(each.part.columns), state, arrays))
    return tuple(states)


def _provenance(project: Project, report: ModelReport) -> Provenance:
    model, status, question = report.model, project.status(), project.question()
    rows = project.loop.answers.training_by_stratum(question)
    return Provenance(
        project=project.name,
        data_hash=project.pool.data_hash,
        n_items=status.n_items,
        n_train=model.n_train,
        n_stream=report.evaluation.n,
        label_counts=Counter(class_id for class_id, _ in rows),
        asked=Counter(stratum for _, stratum in rows),
        n_by_state=status.n_by_state,
        strategy=model.metrics["strategy"],
        stream_share=status.stream_share,
        model_version=model.version,
        ledger_id=model.ledger_id,
        trained_at=model.created_at,
        plumbline_version=version("plumbline"),
        source=str(project.pool.manifest.source.get("source", project.pool.manifest.name)),
    )
