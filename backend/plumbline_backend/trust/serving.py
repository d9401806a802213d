"""The calibrator that a project serves with: fitted on the random stream, part of predictions and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plumbline_backend.calibrators.base import PostHoc
from plumbline_backend.calibrators.making import make_calibrator
from plumbline_backend.calibrators.temperature import Temperature
from plumbline_backend.calibrators.vector import Vector
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import ModelVersion
from plumbline_backend.heads.program import Affine, Program, affine, last
from plumbline_backend.registry import CALIBRATORS

if TYPE_CHECKING:
    from plumbline_backend.project import Project

DEFAULT = "temperature"
SERVING = CALIBRATORS.names()
MOST_CLASSES = 2_000
"""Classes up to which a calibrator that is more than a factor travels in exports: its steps hold K x K matrices."""


def serving_name(project: Project) -> str:
    """The calibrator that the project chose."""
    return str(project.settings().get("calibrator", DEFAULT))


def serving_calibrator(project: Project, model: ModelVersion, head: Head) -> PostHoc:
    """The chosen calibrator on the stream's answers as they stand; the model's own temperature where that is chosen.

    A calibrator with too few answers is the softmax, and says so in `note_`.
    """
    return project.desk.trust.served_calibrator.of(model, head)


class ServedCalibrator:
    """The project's fitted calibrator, kept until the model, the answers or the choice change."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._kept: tuple[tuple[Any, ...], PostHoc] | None = None

    def of(self, model: ModelVersion, head: Head) -> PostHoc:
        """The calibrator for this model as the answers stand."""
        self._project.loop.answers.refresh()
        key = (model.id, self._project.loop.answers.newest_id, serving_name(self._project))
        kept = self._kept  # read once: another thread may put another model's in its place
        if kept is None or kept[0] != key:
            kept = self._kept = key, _fitted(self._project, model, head)
        return kept[1]


def _fitted(project: Project, model: ModelVersion, head: Head) -> PostHoc:
    name = serving_name(project)
    if name == DEFAULT:
        calibrator = Temperature()
        calibrator.temperature_ = model.metrics["temperature"]
        calibrator.note_ = model.metrics["temperature_note"]
        return calibrator
    question = project.question()
    trained = [question.resolve(class_id) for class_id in model.metrics["classes"]]
    stream = project.loop.answers.stream(question, tuple(trained))
    known = stream.targets >= 0
    logits = head.logits(project.pool.features.gather(stream.items[known]))
    return make_calibrator(name, project.calibrate_from).fit(np.asarray(logits), stream.targets[known])


def folded(program: Program, calibrator: PostHoc) -> tuple[Program, float]:
    """A head's steps with the calibrator's behind them, and the temperature that is left to divide by.

    What is linear in the logits goes into the head's own last step. Raises InputError for a calibrator of more classes
    than its steps can hold.
    """
    if isinstance(calibrator, Temperature):
        return program, calibrator.temperature_
    if not calibrator.fitted_:
        return program, 1.0
    final = last(program)
    if isinstance(calibrator, Vector):
        weight = calibrator.factor_[:, None] * final.weight
        bias = calibrator.factor_ * final.bias + calibrator.offset_
        return (*program[:-1], affine(weight, bias)), 1.0
    if len(final.bias) > MOST_CLASSES:
        raise InputError(
            f"calibrator {calibrator.name!r} with {len(final.bias):,} classes: found more than the {MOST_CLASSES:,} "
            "that an exported classifier holds; expected temperature or vector"
        )
    first, *rest = calibrator.program(len(final.bias))
    if isinstance(first, Affine):
        weight, bias = first.weight @ final.weight, first.weight @ final.bias + first.bias
        return (*program[:-1], affine(weight, bias), *rest), 1.0
    return (*program, first, *rest), 1.0


def calibration_note(calibrator: PostHoc) -> str:
    """What the model card says of the calibrator beside its temperature; empty when there is nothing to say."""
    if isinstance(calibrator, Temperature):
        return calibrator.note_
    name = calibrator.name.replace("_", " ")
    if not calibrator.fitted_:
        return f"{name} scaling was chosen, but {calibrator.note_}"
    changes = "may change" if calibrator.changes_predictions else "never changes"
    warning = f"; {calibrator.note_}" if calibrator.note_ else ""
    return (
        f"{name} scaling, fitted on {calibrator.n_:,} random-stream answers, is part of the model's last steps; it "
        f"{changes} which class is likeliest{warning}"
    )
