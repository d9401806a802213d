"""Graders that state probabilities, against the grades of people: a grading project's part of the Calibration page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.alignment import UNGRADED
from plumbline_backend.domain.errors import NotFoundError
from plumbline_backend.domain.grades import FAIL, PASS, GradingJudge
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.judges.reference import reference_grades
from plumbline_backend.trust.measured import JudgeChoice, MeasuredJudges
from plumbline_backend.trust.outside import read_predictions
from plumbline_backend.trust.predictions import Predictions, from_proba

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

CLASSES = (PASS, FAIL)
MOST_SLICE_COLUMNS = 20


class GraderTrust(MeasuredJudges):
    """Collects the graders' probabilities of a pass beside people's grades and has them measured in a worker.

    Grades: of the judge's criterion, else the overall ones, of outputs that the sampling design drew or whose grade
    came with the file. Outputs that a grader was shown as graded examples are left out, and a head's probabilities of
    graded outputs are cross-fitted: no grade is met by a judge that learned from it.
    """

    def __init__(self, project: GradingProject, jobs: Jobs) -> None:
        folder = project.exports_folder.parent.parent / "trust" / project.slug
        super().__init__(project.row.id, project.seed, folder, jobs)
        self._project = project

    def judges(self) -> list[JudgeChoice]:
        """The judges in use that stated probabilities of graded outputs, and outside files."""
        found = []
        for judge in self._project.judges():
            n = len(self._given(judge)[0])
            if n:
                criterion = self._project.criterion(judge.criterion_id)
                found.append(JudgeChoice(f"judge-{judge.id}", f"{judge.name} on {criterion.name}", n))
        return [*found, *self._outside()]

    def predictions(self, key: str) -> Predictions:
        """The probabilities of pass and fail of a judge on graded outputs. Raises NotFoundError."""
        for judge in self._project.judges():
            if key == f"judge-{judge.id}":
                items, p_pass, targets = self._given(judge)
                proba = np.stack([p_pass, 1 - p_pass], axis=1)
                return from_proba(judge.name, proba, targets, CLASSES, self._slices(items))
        if key in {path.name for path in self._outside_files()}:
            return read_predictions(self.folder / key)
        raise NotFoundError(f"judge {key!r} gives no probabilities in project {self._project.slug!r}")

    def _given(self, judge: GradingJudge) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Outputs that the judge passed or failed with a probability, by today's wording, and people graded; targets: 0
        good, 1 bad."""
        truth = reference_grades(self._project, self._project.criterion(judge.criterion_id)).truth
        shown = {each["output"] for each in judge.spec.get("examples", [])}
        rows = [
            (verdict.output, verdict.p_pass, truth[verdict.output])
            for verdict in self._project.verdicts(judge.id)
            if verdict.p_pass is not None
            and not verdict.stale
            and verdict.state in (PASS, FAIL)
            and truth[verdict.output] != UNGRADED
            and verdict.output not in shown
        ]
        return (
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.float64),
            np.array([row[2] for row in rows], dtype=np.int64),
        )

    def _slices(self, items: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        """The system that made each output, and what its metadata says in a word or a number."""
        outputs = self._project.outputs(items.tolist())
        names = dict.fromkeys(name for each in outputs for name in each.metadata)
        found = {"system": np.array([each.system for each in outputs])}
        for name in list(names)[:MOST_SLICE_COLUMNS]:
            values = [each.metadata.get(name, "") for each in outputs]
            if all(isinstance(value, str | int | float | bool) for value in values):
                found.setdefault(name, np.array([str(value) for value in values]))
        return found

    def _settings(self) -> Mapping[str, Any]:
        return self._project.kept.read()

    def _set(self, name: str, value: Any) -> None:
        self._project.kept.change(lambda settings: settings.update({name: value}))
