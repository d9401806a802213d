"""The calibrator that a project serves with: fitted on the random stream, part of predictions and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plumbline_backend.calibrators.base import PostHoc
from plumbline_backend.calibrators.matrix import Matrix
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.calibrators.vector import Vector
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import ModelVersion
from plumbline_backend.heads.program import Program, affine, last
from plumbline_backend.registry import CALIBRATORS

if TYPE_CHECKING:
    from plumbline_backend.project import Project

DEFAULT = "temperature"
SERVING = (DEFAULT, "vector", "matrix")
"""Calibrators that are linear in the logits, so that they travel inside an exported classifier."""


def serving_name(project: Project) -> str:
    """The calibrator that the project chose."""
    return str(project.settings().get("calibrator", DEFAULT))


def serving_calibrator(project: Project, model: ModelVersion, head: Head) -> PostHoc:
    """The chosen calibrator on the stream's answers as they stand; the model's own temperature where that is chosen.

    A calibrator with too few answers is the softmax, and says so in `note_`.
    """
    name = serving_name(project)
    if name == DEFAULT:
        calibrator = Temperature()
        calibrator.temperature_ = model.metrics["temperature"]
        calibrator.note_ = model.metrics["temperature_note"]
        return calibrator
    question = project.question()
    project.loop.answers.refresh()
    trained = [question.resolve(class_id) for class_id in model.metrics["classes"]]
    stream = project.loop.answers.stream(question, tuple(trained))
    known = stream.targets >= 0
    logits = head.logits(project.pool.features.gather(stream.items[known]))
    fitted: PostHoc = CALIBRATORS.get(name)().fit(np.asarray(logits), stream.targets[known])
    return fitted


def folded(program: Program, calibrator: PostHoc) -> tuple[Program, float]:
    """A head's steps with the calibrator inside the last of them, and the temperature that is left to divide by.

    Raises InputError for a calibrator that is not linear in the logits.
    """
    if isinstance(calibrator, Temperature):
        return program, calibrator.temperature_
    if not calibrator.fitted_:
        return program, 1.0
    final = last(program)
    if isinstance(calibrator, Vector):
        weight = calibrator.factor_[:, None] * final.weight
        bias = calibrator.factor_ * final.bias + calibrator.offset_
    elif isinstance(calibrator, Matrix):
        weight = calibrator.matrix_ @ final.weight
        bias = calibrator.matrix_ @ final.bias + calibrator.offset_
    else:
        raise InputError(
            f"calibrator {calibrator.name!r} is not linear in the logits; expected one of {', '.join(SERVING)}"
        )
    return (*program[:-1], affine(weight, bias)), 1.0


def calibration_note(calibrator: PostHoc) -> str:
    """What the model card says of the calibrator beside its temperature; empty when there is nothing to say."""
    if isinstance(calibrator, Temperature):
        return calibrator.note_
    if not calibrator.fitted_:
        return f"{calibrator.name} scaling was chosen, but {calibrator.note_}"
    return (
        f"{calibrator.name} scaling, fitted on {calibrator.n_:,} random-stream answers, is part of the last step's "
        "weight and bias; it may change which class is likeliest"
    )
