"""One class of a tree, as fine as the person can say; a finer answer implies every class above it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.domain.class_tree import ClassTree, class_at, classes_of_paths, tree_of
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.tree_metrics import TreeEvaluation, evaluate_tree
from plumbline_backend.domain.types import LabelClass, Labels, ModelVersion, Question
from plumbline_backend.heads.making import load_head
from plumbline_backend.kinds.base import ClassRow, Figure, Kind, KindReport, Measured
from plumbline_backend.kinds.label_temperature import LeafTemperature
from plumbline_backend.learn import as_json
from plumbline_backend.pool.matrix import FeatureMatrix

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.report import Prediction

FOLDS = 5
DEPTHS_SHOWN = 4
HEADERS = (
    ("In it", "Random-stream items that people put into this class or below it"),
    ("Given", "Items that the model puts into it, of those whose answer decides it"),
    ("Precision", "Share of the model's that is right"),
    ("Recall", "Share of people's that the model finds"),
)


class Hierarchical(Kind):
    """Classes in a tree, answered at any depth."""

    name = "hierarchical"
    title = "Class in a tree"
    explanation = (
        "Classes have parents; an answer may be coarse now and finer later, and old answers stay valid."
    )
    task = "fit_kind"
    sections = frozenset({"data", "label", "model", "export", "people", "audit"})
    heads = ("tree",)
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

    def first_classes(self, values: Iterable[str]) -> tuple[LabelClass, ...]:
        """Every class on the way to a value such as "animal/dog"."""
        return classes_of_paths(values)

    def imported(self, value: str, question: Question) -> str:
        """The class at the end of the path."""
        return class_at(question, value)

    def classes(self, question: Question, answers: Iterable[str]) -> tuple[str, ...]:
        """The leaves at or below what was answered."""
        tree, said = tree_of(question), set(answers)
        return tuple(leaf for leaf in tree.leaves if said.intersection(tree.path(leaf)))

    def labels(self, rows: Sequence[tuple[int, str]], classes: tuple[str, ...], question: Question) -> Labels:
        """targets (n, n_leaves): 1 for every leaf that the answer leaves open."""
        tree = tree_of(question)
        below = {answer: set(tree.below(answer)) for answer in {answer for _, answer in rows}}
        targets = np.array([[c in below[answer] for c in classes] for _, answer in rows], dtype=np.int64)
        return Labels(
            np.array([item for item, _ in rows], dtype=np.int64), targets.reshape(len(rows), len(classes))
        )

    def truth(self, rows: Sequence[tuple[int, str]], classes: tuple[str, ...], _question: Question) -> Labels:
        """targets (n,): the place of the answered class."""
        index = {class_id: i for i, class_id in enumerate(classes)}
        return Labels(
            np.array([item for item, _ in rows], dtype=np.int64),
            np.array([index.get(answer, -1) for _, answer in rows], dtype=np.int64),
        )

    def waiting(self, labels: Labels, classes: tuple[str, ...], _question: Question) -> str:
        """Two answers have to exclude each other."""
        if len(labels.items) == 0:
            return "Answer a few items; the first model is trained as soon as two branches have an answer."
        open_to_all = labels.targets.all(axis=0)
        if len(classes) < 2 or open_to_all.any():
            return (
                f"No two of the {len(labels.items)} answers so far exclude each other; a model needs answers of two "
                "branches."
            )
        return ""

    def words(self, question: Question, answer: str) -> str:
        """The names from the root down."""
        tree = tree_of(question)
        return tree.name(answer) if answer in tree.classes else super().words(question, answer)

    def columns(self, _question: Question) -> tuple[str, ...]:
        """The answer as a path, by names and by ids, and how deep it is."""
        return ("class_path", "class_id_path", "depth")

    def cells(self, question: Question, answer: str) -> Mapping[str, str | None]:
        """The root first; depth 1 is a root."""
        tree = tree_of(question)
        path = tree.path(answer)
        return {"class_path": tree.name(answer), "class_id_path": "/".join(path), "depth": str(len(path))}

    def facts(self, question: Question) -> Mapping[str, Any]:
        """The path to each active class, by ids."""
        tree = tree_of(question)
        return {"paths": {class_id: list(tree.path(class_id)) for class_id in tree.classes}}

    def why(self, said: str) -> str:
        """The classes that are compared are leaves."""
        return said.replace("its two likeliest classes", "its two likeliest finest classes")

    def measure(self, spec: Mapping[str, Any], head: Head, features: FeatureMatrix) -> Measured:
        """The head's leaves on the stream, each item with a temperature from the others."""
        items = np.array(spec["stream_items"], dtype=np.int64)
        on = measured_on(
            head.logits(features.gather(items)),
            Paths.of(spec["kind_facts"]["paths"], spec["active"], spec["classes"]),
            np.array(spec["stream_targets"], dtype=np.int64),
            spec["calibrate_from"],
            spec["seed"],
        )
        found = on.evaluation
        metrics = {"accuracy": as_json(found.accuracy), "leaf_accuracy": as_json(found.leaves)}
        return Measured(on.temperature, on.note, {**metrics, "nll": as_json(found.nll)})

    def predict(self, project: Project, model: ModelVersion, positions: Sequence[int]) -> Prediction:
        """(n_items, n_classes) of every class of the tree: a parent's is the sum of its children's."""
        from plumbline_backend.report import Prediction

        question = project.question()
        tree = tree_of(question)
        logits = _logits(project, model, np.array(positions, dtype=np.int64))
        leaves = LeafTemperature.at(model.metrics["temperature"]).proba(logits)
        proba = np.zeros((len(leaves), len(question.active)))
        place = {c.id: i for i, c in enumerate(question.active)}
        for k, class_id in enumerate(model.metrics["classes"]):
            for above in tree.path(question.resolve(class_id)):
                proba[:, place[above]] += leaves[:, k]
        return Prediction(question.active, np.minimum(proba, 1.0), model)

    def above(
        self, question: Question, model: ModelVersion
    ) -> tuple[tuple[LabelClass, tuple[int, ...]], ...]:
        """The branches, with the places of their leaves."""
        tree, leaves = tree_of(question), list(model.metrics["classes"])
        held = [set(tree.path(question.resolve(leaf))[:-1]) for leaf in leaves]
        return tuple(
            (LabelClass(c.id, c.name, c.color), tuple(k for k, above in enumerate(held) if c.id in above))
            for c in question.active
            if any(c.id in above for above in held)
        )

    def report(self, project: Project, model: ModelVersion) -> KindReport:
        """Accuracy at the depth of the answers and at each depth, on today's stream answers."""
        question = project.question()
        project.loop.answers.refresh()
        active = tuple(c.id for c in question.active)
        stream = project.loop.answers.stream(question, active)
        tree = tree_of(question)
        leaves = [question.resolve(c) for c in model.metrics["classes"]]
        on = measured_on(
            _logits(project, model, stream.items),
            Paths.of({c: tree.path(c) for c in active}, active, leaves),
            stream.targets,
            project.calibrate_from,
            project.seed,
        )
        unknown = [tree.name(leaf) for leaf in tree.leaves if leaf not in leaves]
        notes = [f"Without an answer in their branch yet: {', '.join(unknown)}."] if unknown else []
        rows = [
            ClassRow(_named(tree, c), (m.n_true, m.n_given, m.precision, m.recall))
            for c, m in zip(question.active, on.evaluation.per_class, strict=True)
        ]
        return KindReport(model, on.evaluation.n, figures(on.evaluation), HEADERS, rows, notes)


class Paths(NamedTuple):
    """Classes by place. leaf (L, D), node (n_active, D): places from the root down, -1 behind the end."""

    leaf: NDArray[np.int64]
    node: NDArray[np.int64]
    is_leaf: NDArray[np.bool_]

    @classmethod
    def of(cls, paths: Mapping[str, Sequence[str]], active: Sequence[str], leaves: Sequence[str]) -> Paths:
        """paths: from the root to each active class; leaves: those of the head, in its order."""
        place = {class_id: i for i, class_id in enumerate(active)}
        depth = max((len(path) for path in paths.values()), default=1)
        inner = {each for path in paths.values() for each in path[:-1]}

        def row(class_id: str) -> list[int]:
            path = [place[each] for each in paths[class_id]]
            return path + [-1] * (depth - len(path))

        return cls(
            np.array([row(c) for c in leaves], dtype=np.int64).reshape(len(leaves), depth),
            np.array([row(c) for c in active], dtype=np.int64).reshape(len(active), depth),
            np.array([c not in inner for c in active], dtype=np.bool_),
        )


class OnStream(NamedTuple):
    """A temperature for serving, what is to be said of it, and an evaluation by cross-fitted ones."""

    temperature: float
    note: str
    evaluation: TreeEvaluation


def measured_on(
    logits: NDArray[np.float64], paths: Paths, targets: NDArray[np.int64], calibrate_from: int, seed: int
) -> OnStream:
    """logits (n, L) of the head's leaves; targets (n,) places of the answered classes."""
    rng = np.random.default_rng(seed)
    answers = paths.node[targets]
    may = ((paths.leaf[None] == answers[:, None]) | (answers[:, None] < 0)).all(axis=2).astype(np.int64)
    calibrator = LeafTemperature(calibrate_from).fit(logits, may)
    proba = calibrator.cross_fitted(logits, may, FOLDS, rng)
    found = evaluate_tree(proba, paths.leaf, answers, paths.is_leaf[targets], len(paths.node), rng)
    return OnStream(calibrator.temperature_, calibrator.note_, found)


def figures(found: TreeEvaluation) -> list[Figure]:
    """The figures of the Model page and of the model card."""
    depths = [
        Figure(f"At depth {d + 1}", value, "On answers at least so deep; the root's depth is 1")
        for d, value in enumerate(found.by_depth[:DEPTHS_SHOWN])
    ]
    return [
        Figure(
            "Accuracy",
            found.accuracy,
            "Share of the answers that the predicted class lies in, coarse or fine",
        ),
        Figure("On finest answers", found.leaves, "On answers that name a class without children"),
        *depths,
        Figure("Log-loss", found.nll, "Of the answered class, in nats; lower is better", share=False),
    ]


def _named(tree: ClassTree, label_class: LabelClass) -> LabelClass:
    return LabelClass(label_class.id, tree.name(label_class.id), label_class.color)


def _logits(project: Project, model: ModelVersion, items: NDArray[np.int64]) -> NDArray[np.float64]:
    head = load_head(project.folders.models / model.folder)
    return np.asarray(head.logits(project.pool.features.gather(items)))
