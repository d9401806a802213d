"""Several classes per item, each of which may be said yes, no, or nothing of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain import schema
from plumbline_backend.domain.answer_forms import parse_signed, write_signed
from plumbline_backend.domain.multi_label_metrics import MultiLabelEvaluation, evaluate_labels
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.types import LabelClass, Labels, ModelVersion, Question
from plumbline_backend.heads.making import load_head
from plumbline_backend.kinds.base import ClassRow, Figure, Kind, KindReport, Measured
from plumbline_backend.kinds.label_temperature import LabelTemperature
from plumbline_backend.learn import as_json
from plumbline_backend.pool.matrix import FeatureMatrix

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.report import Prediction

SEPARATOR = ";"
FOLDS = 5


class MultiLabel(Kind):
    """Any number of classes, or none."""

    name = "multi_label"
    title = "Several classes"
    explanation = "An item may carry several classes or none; each is said yes, no, or left open."
    question = "Which classes does this item carry?"
    task = "fit_kind"
    sections = frozenset({"data", "label", "model", "calibration", "export", "people", "audit"})
    heads = ("multi_label",)
    strategies = (
        "margin",
        "entropy",
        "least_confident",
        "typical_then_margin",
        "typiclust",
        "probcover",
        "maxherding",
        "k_center",
        "random",
    )
    link = "sigmoid"
    headline = ("micro_f1", "Micro F1")

    def first_classes(self, values: Iterable[str]) -> tuple[LabelClass, ...]:
        """Every name between semicolons."""
        names = {name for value in values for name in split_names(value)}
        return schema.first_classes(schema.natural_order(names))

    def imported(self, value: str, question: Question) -> str:
        """Yes to the classes named, no to all others: an imported label column is complete."""
        named = set(split_names(value))
        return write_signed({c.id: c.name in named for c in question.active})

    def classes(self, question: Question, answers: Iterable[str]) -> tuple[str, ...]:
        """Those that somebody said yes of and somebody no."""
        yes: set[str] = set()
        no: set[str] = set()
        for answer in set(answers):
            for class_id, sign in parse_signed(answer).items():
                (yes if sign else no).add(class_id)
        return tuple(c.id for c in question.active if c.id in yes and c.id in no)

    def labels(
        self, rows: Sequence[tuple[int, str]], classes: tuple[str, ...], _question: Question
    ) -> Labels:
        """targets (n, K) int8: 1 yes, 0 no, -1 not said."""
        index = {class_id: i for i, class_id in enumerate(classes)}
        targets = np.full((len(rows), len(classes)), -1, dtype=np.int64)
        for row, (_, answer) in enumerate(rows):
            for class_id, sign in parse_signed(answer).items():
                if class_id in index:
                    targets[row, index[class_id]] = sign
        return Labels(np.array([item for item, _ in rows], dtype=np.int64), targets)

    def waiting(self, labels: Labels, classes: tuple[str, ...], _question: Question) -> str:
        """One class has to have a yes and a no."""
        if classes:
            return ""
        if len(labels.items) == 0:
            return "Answer a few items; the first model is trained as soon as a class has a yes and a no."
        return f"{len(labels.items)} items are answered, but no class has both a yes and a no yet."

    def words(self, question: Question, answer: str) -> str:
        """The names it says yes to; "none" where it says yes to nothing."""
        names = {c.id: c.name for c in question.classes}
        return ", ".join(names[class_id] for class_id in self.form.yes(question, answer)) or "none"

    def columns(self, question: Question) -> tuple[str, ...]:
        """One per active class."""
        return tuple(f"class: {c.name}" for c in question.active)

    def cells(self, question: Question, answer: str) -> Mapping[str, str | None]:
        """ "yes", "no", or nothing."""
        said = parse_signed(answer)
        words = {True: "yes", False: "no"}
        return {f"class: {c.name}": words[said[c.id]] if c.id in said else None for c in question.active}

    def measure(self, spec: Mapping[str, Any], head: Head, features: FeatureMatrix) -> Measured:
        """The head's classes on the stream, each item with a temperature from the others."""
        items = np.array(spec["stream_items"], dtype=np.int64)
        truth = np.array(spec["stream_targets"], dtype=np.int64).reshape(len(items), len(spec["active"]))
        columns = [spec["active"].index(class_id) for class_id in spec["classes"]]
        on = measured_on(
            head.logits(features.gather(items)), columns, truth, spec["calibrate_from"], spec["seed"]
        )
        found = on.evaluation
        kept = ("micro_f1", "macro_f1", "map", "label_accuracy", "exact")
        metrics = {name: as_json(getattr(found, name)) for name in kept}
        return Measured(on.temperature, on.note, {**metrics, "accuracy": metrics["label_accuracy"]})

    def why(self, said: str) -> str:
        """By the class that decides the ranking; see heads.multi_label.MultiLabel.scores."""
        return said.replace("its two likeliest classes are close", "one of its classes could go either way")

    def predict(self, project: Project, model: ModelVersion, positions: Sequence[int]) -> Prediction:
        """(n_items, n_classes) probabilities, each class by itself: rows do not sum to 1."""
        from plumbline_backend.report import Prediction

        question = project.question()
        logits = _logits(project, model, np.array(positions, dtype=np.int64))
        columns = _columns(question, model)
        proba = spread(
            LabelTemperature.at(model.metrics["temperature"]).proba(logits), columns, len(question.active)
        )
        return Prediction(question.active, proba, model)

    def report(self, project: Project, model: ModelVersion) -> KindReport:
        """F1, mAP and what they are made of, on today's stream answers."""
        question = project.question()
        project.loop.answers.refresh()
        active = tuple(c.id for c in question.active)
        stream = project.loop.answers.stream(question, active)
        on = measured_on(
            _logits(project, model, stream.items),
            _columns(question, model),
            stream.targets.reshape(len(stream.items), len(active)),
            project.calibrate_from,
            project.seed,
        )
        trained = set(model.metrics["classes"])
        unknown = [c.name for c in question.active if c.id not in trained]
        notes = [f"Not learned yet, for want of a yes and a no: {', '.join(unknown)}."] if unknown else []
        return KindReport(
            model, on.evaluation.n, figures(on.evaluation), HEADERS, rows(question, on.evaluation), notes
        )


HEADERS = (
    ("Said", "Random-stream items of which people said yes or no to this class"),
    ("Yes", "Of those, items that carry it"),
    ("Given", "Of those, items that the model gives it"),
    ("Precision", "Share of the model's yes that is right"),
    ("Recall", "Share of the items carrying it that the model finds"),
    ("F1", "Harmonic mean of precision and recall"),
    ("Average precision", "Mean precision down the ranking by probability"),
)


class OnStream(NamedTuple):
    """A temperature for serving, what is to be said of it, and an evaluation by cross-fitted ones."""

    temperature: float
    note: str
    evaluation: MultiLabelEvaluation


def measured_on(
    logits: NDArray[np.float64],
    columns: Sequence[int],
    truth: NDArray[np.int64],
    calibrate_from: int,
    seed: int,
) -> OnStream:
    """logits (n, K) of the head's classes; columns (K,) their places among the active classes; truth (n, n_active)."""
    rng = np.random.default_rng(seed)
    own = truth[:, list(columns)]
    calibrator = LabelTemperature(calibrate_from).fit(logits, own)
    proba = calibrator.cross_fitted(logits, own, FOLDS, rng)
    return OnStream(
        calibrator.temperature_,
        calibrator.note_,
        evaluate_labels(spread(proba, columns, truth.shape[1]), truth, rng),
    )


def spread(proba: NDArray[np.float64], columns: Sequence[int], n_classes: int) -> NDArray[np.float64]:
    """(n, n_classes): 0 where the head knows nothing, the larger where two of its classes were merged."""
    found = np.zeros((len(proba), n_classes))
    for k, column in enumerate(columns):
        found[:, column] = np.maximum(found[:, column], proba[:, k])
    return found


def figures(found: MultiLabelEvaluation) -> list[Figure]:
    """The figures of the Model page and of the model card."""
    over = f"over the {found.n_classes:,} classes with a yes among them"
    return [
        Figure("Micro F1", found.micro_f1, "All classes' decisions together"),
        Figure("Macro F1", found.macro_f1, f"Mean of F1 {over}"),
        Figure("Mean AP", found.map, f"Mean average precision {over}"),
        Figure("Label accuracy", found.label_accuracy, "Share of the yes and no that is right"),
        Figure("Exact match", found.exact, "Share of fully said items whose whole set is right"),
    ]


def rows(question: Question, found: MultiLabelEvaluation) -> list[ClassRow]:
    """The table per class, under `HEADERS`."""
    return [
        ClassRow(c, (m.n_said, m.n_yes, m.n_predicted, m.precision, m.recall, m.f1, m.average_precision))
        for c, m in zip(question.active, found.per_class, strict=True)
    ]


def split_names(value: str) -> list[str]:
    """The class names of a label cell, without the spaces around them."""
    return [name for part in value.split(SEPARATOR) if (name := part.strip())]


def _logits(project: Project, model: ModelVersion, items: NDArray[np.int64]) -> NDArray[np.float64]:
    head = load_head(project.folders.models / model.folder)
    return np.asarray(head.logits(project.pool.features.gather(items)))


def _columns(question: Question, model: ModelVersion) -> list[int]:
    active = [c.id for c in question.active]
    return [active.index(question.resolve(class_id)) for class_id in model.metrics["classes"]]
