"""A project's judges that give probabilities, and what is measured of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.errors import InputError, NotFoundError, did_you_mean
from plumbline_backend.domain.types import Judge, ModelVersion, Positions
from plumbline_backend.evaluation import to_schema
from plumbline_backend.heads.making import load_head
from plumbline_backend.jobs.runner import Jobs
from plumbline_backend.stated import of_row
from plumbline_backend.store import Store
from plumbline_backend.trust.annotators import AnnotatorReport, annotator_report
from plumbline_backend.trust.measured import JudgeChoice, MeasuredJudges
from plumbline_backend.trust.outside import read_predictions
from plumbline_backend.trust.predictions import Predictions, from_logits, from_proba
from plumbline_backend.trust.scope import ScopeDesk
from plumbline_backend.trust.serving import SERVING, ServedCalibrator

if TYPE_CHECKING:
    from plumbline_backend.project import Project

SLICE_ROLES = ("category", "metadata")


class Trust(MeasuredJudges):
    """Collects predictions beside people's answers and has them measured in a worker."""

    def __init__(self, project: Project, store: Store, jobs: Jobs) -> None:
        folder = project.exports_folder.parent.parent / "trust" / project.slug
        super().__init__(project.row.id, project.seed, folder, jobs)
        self._project, self._store = project, store
        self.scope = ScopeDesk(project, jobs)
        self.served_calibrator = ServedCalibrator(project)

    def judges(self) -> list[JudgeChoice]:
        """The newest head on the random stream, other judges that gave probabilities, and outside files."""
        found = []
        model = self._project.loop.newest_model()
        if model is not None:
            n = len(self._stream(model.metrics["classes"])[0])
            found.append(JudgeChoice("head", f"Head, version {model.version}", n))
        compared = self._project.kind.also_a_choice  # as `stated.check_kinds`: others state one class an item
        for judge in self._store.judges.for_project(self._project.row.id):
            if compared and judge.kind not in ("person", "head"):
                n = len(self._given(judge)[0])
                if n:
                    found.append(JudgeChoice(f"judge-{judge.id}", judge.name, n))
        return [*found, *self._outside()]

    def predictions(self, key: str) -> Predictions:
        """The probabilities of a judge on the items that people answered. Raises NotFoundError."""
        if key == "head":
            return self._of_head()
        if key.startswith("judge-") and key.removeprefix("judge-").isdecimal():
            judge = self._store.judges.get(int(key.removeprefix("judge-")))
            if judge.project_id == self._project.row.id:
                return self._of_judge(judge)
        if key in {path.name for path in self._outside_files()}:
            return read_predictions(self.folder / key)
        raise NotFoundError(f"judge {key!r} gives no probabilities in project {self._project.slug!r}")

    def use_calibrator(self, name: str) -> None:
        """Serve with this calibrator from now on: predictions, reports and exports go through it.

        Raises InputError for a name that is no calibrator's.
        """
        if name not in SERVING:
            raise InputError(f"calibrator to serve with: found {name!r}; {did_you_mean(name, SERVING)}")
        self._project.set_settings(calibrator=name)

    def annotators(self, method: str = "dawid_skene") -> AnnotatorReport:
        """How far people agree, who answers how, and where they differ. Raises InputError on an unknown method."""
        return annotator_report(self._project, self._store, method)

    def _settings(self) -> Mapping[str, Any]:
        return self._project.settings()

    def _set(self, name: str, value: Any) -> None:
        self._project.set_settings(**{name: value})

    def _of_head(self) -> Predictions:
        """The newest head on the stream: its classes only; answers of other classes are left out.

        Of a question with several classes an item, items count of which people said yes or no to each of them.
        """
        model = self._project.loop.newest_model()
        if model is None:
            raise NotFoundError("there is no model yet; answer items of two classes first")
        items, targets = self._stream(model.metrics["classes"])
        question = self._project.question()
        names = {c.id: c.name for c in question.classes}
        classes = tuple(dict.fromkeys(names[question.resolve(c)] for c in model.metrics["classes"]))
        head = load_head(self._project.folders.models / model.folder)
        logits = np.asarray(head.logits(self._project.pool.features.gather(items)), dtype=np.float64)
        if targets.ndim == 2:
            return self._of_labels(model, logits, targets, self._slices(items))
        shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
        proba = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
        if len(classes) < logits.shape[1]:  # classes were merged since: their probabilities add up
            columns = [classes.index(names[question.resolve(c)]) for c in model.metrics["classes"]]
            proba = to_schema(proba, columns, len(classes))
            return from_proba("head", proba, targets, classes, self._slices(items))
        return Predictions("head", classes, proba, logits, targets, self._slices(items))

    def _of_labels(
        self,
        model: ModelVersion,
        logits: NDArray[np.float64],
        targets: NDArray[np.int64],
        slices: Mapping[str, NDArray[Any]],
    ) -> Predictions:
        """Logits (n, K) of the head's classes and yes or no to each of what they are called now."""
        question = self._project.question()
        now = [question.resolve(c) for c in model.metrics["classes"]]
        ids = list(dict.fromkeys(now))
        names = {c.id: c.name for c in question.classes}
        # of classes that were merged since, the likelier counts, as in predictions
        merged = np.stack([logits[:, [c == each for c in now]].max(axis=1) for each in ids], axis=1)
        return from_logits("head", merged, targets, tuple(names[c] for c in ids), slices)

    def _stream(self, trained: Sequence[str]) -> tuple[Positions, NDArray[np.int64]]:
        question = self._project.question()
        self._project.loop.answers.refresh()
        classes = tuple(dict.fromkeys(question.resolve(c) for c in trained))
        labels = self._project.loop.answers.stream(question, classes)
        known = labels.targets >= 0 if labels.targets.ndim == 1 else (labels.targets >= 0).all(axis=1)
        return labels.items[known], labels.targets[known]

    def _of_judge(self, judge: Judge) -> Predictions:
        items, proba, targets = self._given(judge)
        names = tuple(c.name for c in self._project.question().active)
        try:
            return from_proba(judge.name, proba, targets, names, self._slices(items))
        except InputError as error:
            raise InputError(f"{judge.name}: {error}") from error

    def _given(self, judge: Judge) -> tuple[Positions, NDArray[np.float64], NDArray[np.int64]]:
        """Items that the judge gave probabilities for and people answered, without what a label column says."""
        question = self._project.question()
        answers = self._project.loop.answers
        answers.refresh()
        index = {c.id: k for k, c in enumerate(question.active)}
        rows = []
        for row in self._store.ledger.current(question.id, judge_id=judge.id):
            proba = None if row.proba is None else of_row(question, row.proba)
            if proba is None or not answers.of(row.item):
                continue
            said = answers.choice(row.item, question)
            if said is not None:
                rows.append((row.item, proba, index[said]))
        return (
            np.array([r[0] for r in rows], dtype=np.int64),
            np.array([r[1] for r in rows], dtype=np.float64).reshape(len(rows), len(index)),
            np.array([r[2] for r in rows], dtype=np.int64),
        )

    def _slices(self, items: Positions) -> Mapping[str, NDArray[Any]]:
        pool = self._project.pool
        return {
            column.name: np.array([str(v) for v in pool.column_values(column.name, items.tolist())])
            for column in pool.columns
            if column.role in SLICE_ROLES
        }
