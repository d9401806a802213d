"""Gathers what a classifier export is made from: the newest model, its features, and what is known about them."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plumbline_backend.domain.errors import ConflictError
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import Interval, LabelClass, ModelVersion
from plumbline_backend.exporters.classifier.bundle import (
    ClassifierBundle,
    Provenance,
    Refusal,
    Reliability,
    TransformState,
)
from plumbline_backend.heads.making import load_head
from plumbline_backend.heads.program import Program, last
from plumbline_backend.kinds.base import KindReport
from plumbline_backend.pool.features import load_features
from plumbline_backend.report import ModelReport, kind_report, model_report
from plumbline_backend.trust.serving import calibration_note, folded, serving_calibrator

if TYPE_CHECKING:
    from plumbline_backend.project import Project

ROUNDING = 1e-6
"""The threshold is one held-out item's own score: so much is added, relatively, that rounding does not refuse it.

Plumbline and ONNX round features to float32, scikit-learn does not: scores then differ by about 1e-7.
"""


def write(project: Project, folder: Path) -> Path:
    """Write the newest model to `folder`.

    Raises ConflictError without a model, where the folder exists, and after a merge until a model has learned it.
    """
    from plumbline_backend.exporters.classifier.export import (
        export_classifier,  # onnx takes a second to import
    )

    model = project.loop.newest_model()
    if model is None:
        raise ConflictError(
            f"project {project.slug!r} has no model to export yet. {project.status().waiting}"
        )
    merged = [c for c in model.metrics["classes"] if project.question().resolve(c) != c]
    if merged:
        names = {c.id: c.name for c in project.question().classes}
        raise ConflictError(
            f"model version {model.version} still knows {', '.join(repr(names[c]) for c in merged)}, "
            "merged since; the next version, trained in a moment, does not"
        )
    own = kind_report(project, model)
    if own is not None and not project.loop.kind.also_a_choice:
        return export_classifier(bundle_of_kind(project, own), folder)
    report = model_report(project, model.id)
    if report is None:
        raise ConflictError(f"model version {model.version} was deleted while it was being exported")
    return export_classifier(bundle_of(project, report), folder)


def bundle_of_kind(project: Project, report: KindReport) -> ClassifierBundle:
    """The model of a question kind that is not one softmax over classes, in the kind's own measures."""
    question, model = project.question(), report.model
    head = load_head(project.folders.models / model.folder)
    named = {c.id: c for c in question.classes}
    return ClassifierBundle(
        question=question.text,
        guidelines=question.guidelines,
        question_version=question.version,
        classes=tuple(_trained_class(named[class_id]) for class_id in model.metrics["classes"]),
        transforms=_transforms(project),
        program=head.program(),
        width=head.width_,
        head=head.name,
        temperature=model.metrics["temperature"],
        metrics={figure.name: figure.value for figure in report.figures},
        provenance=_provenance(project, model, report.n),
        per_class={
            row.of.id: {
                name: value
                for (name, _), value in zip(report.headers, row.cells, strict=True)
                if isinstance(value, Interval)
            }
            for row in report.rows
        },
        calibration_note=model.metrics["temperature_note"],
        link=project.loop.kind.link,
        above=project.loop.kind.above(question, model),
    )


def bundle_of(project: Project, report: ModelReport) -> ClassifierBundle:
    """Everything about the reported model as plain values."""
    question, evaluation = project.question(), report.evaluation
    head = load_head(project.folders.models / report.model.folder)
    calibrator = serving_calibrator(project, report.model, head)
    own = head.program()
    program, temperature = folded(own, calibrator)
    refusal, refusal_note = _refusal(project, report.model, head, own)
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
            **_own_figures(project, report.model),
        },
        provenance=_provenance(project, report.model, evaluation.n),
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
        refusal=refusal,
        refusal_note=refusal_note,
    )


def _refusal(project: Project, model: ModelVersion, head: Head, own: Program) -> tuple[Refusal | None, str]:
    """The project's open-set rule as steps from features, or why there is none although one was chosen."""
    scope = project.desk.trust.scope.serving(model, head)
    if scope is None:
        return None, ""
    rule, score = scope.rule, scope.score
    name = rule.score.replace("_", " ")
    if not np.isfinite(rule.threshold):
        return None, (
            f"{name} was chosen to refuse such items, but n = {rule.n} held-out items are too few to promise that "
            f"{rule.kept:.1%} are kept, so nothing is refused"
        )
    steps = score.program(len(last(own).bias) if score.needs == "logits" else head.width_)
    if steps is None:
        raise ConflictError(f"out-of-scope score {name!r} cannot travel in an exported classifier")
    copies = "for comparison the files hold the features of the labelled items" if rule.score == "knn" else ""
    return Refusal(
        score=name,
        explanation=score.explanation,
        program=(*own, *steps) if score.needs == "logits" else steps,
        threshold=rule.threshold + ROUNDING * max(1.0, abs(rule.threshold)),
        kept=rule.kept,
        n=rule.n,
        note=copies,
    ), ""


def _own_figures(project: Project, model: ModelVersion) -> dict[str, Interval]:
    """What the question's kind measures beside."""
    own = kind_report(project, model)
    return {} if own is None else {figure.name: figure.value for figure in own.figures}


def _trained_class(named: LabelClass) -> LabelClass:
    return LabelClass(named.id, named.name, named.color, description=named.description)


def _transforms(project: Project) -> tuple[TransformState, ...]:
    fitted = load_features(project.pool)
    states = []
    for each in fitted.parts:
        state, arrays = each.transform.to_state()
        states.append(TransformState(each.part.transform, tuple(each.part.columns), state, arrays))
    return tuple(states)


def _provenance(project: Project, model: ModelVersion, n_stream: int) -> Provenance:
    status, question = project.status(), project.question()
    rows = project.loop.answers.training_by_stratum(question)
    return Provenance(
        project=project.name,
        data_hash=project.pool.data_hash,
        n_items=status.n_items,
        n_train=model.n_train,
        n_stream=n_stream,
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
