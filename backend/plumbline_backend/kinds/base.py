"""What differs between kinds of question, in one object; the rest of the loop is the same for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from plumbline_backend.domain import schema
from plumbline_backend.domain.answer_forms import AnswerForm, form_of
from plumbline_backend.domain.ports import Head
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.domain.types import Interval, LabelClass, Labels, ModelVersion, Question
from plumbline_backend.pool.matrix import FeatureMatrix

if TYPE_CHECKING:
    from plumbline_backend.project import Project
    from plumbline_backend.report import Prediction


class Figure(NamedTuple):
    """One figure of a report: how it is called, what it is, what it means, and whether it is a share."""

    name: str
    value: Interval
    meaning: str
    share: bool = True


class ClassRow(NamedTuple):
    """A class of a report's table with its cells: counts and figures."""

    of: LabelClass
    cells: Sequence[int | Interval]


class KindReport(NamedTuple):
    """What a model is worth on n random-stream answers, in the measures of its question kind.

    headers and rows: the table per class; a header is a name and what it means.
    """

    model: ModelVersion
    n: int
    figures: Sequence[Figure]
    headers: Sequence[tuple[str, str]]
    rows: Sequence[ClassRow]
    notes: Sequence[str] = ()


class Measured(NamedTuple):
    """What a training found on the stream: the temperature, what is to be said of it, and the metrics to keep."""

    temperature: float
    note: str
    metrics: Mapping[str, Any]


class Kind:
    """A kind of question whose answer is one class; the others override what is different with them."""

    name = "choice"
    title = "One class"
    explanation = "Each item belongs to exactly one class."
    task = "fit"
    """The worker's task that trains its heads: "fit" for softmax heads over classes, else "fit_kind"."""
    question = "Which class does this item belong to?"
    """What is asked where nobody says otherwise."""
    sections: frozenset[str] | None = None
    """The pages that make sense for it; None: all."""
    heads: tuple[str, ...] = ()
    """The heads it offers, the default first; empty: those of registry.HEADS that need no order of the classes."""
    strategies: tuple[str, ...] = ()
    """The strategies that rank by what it predicts; empty: all."""
    link: Literal["softmax", "sigmoid"] = "softmax"
    """How its heads' logits become probabilities."""
    headline = ("accuracy", "Accuracy")
    """The figure that stands for the model: its key in a model's metrics, and its name."""

    @property
    def also_a_choice(self) -> bool:
        """Whether its models are softmax heads over its classes, so that everything made for a choice holds."""
        return self.task == "fit"

    @property
    def form(self) -> AnswerForm:
        """How its answers are written."""
        return form_of(self.name)

    # Classes and answers

    def first_classes(self, values: Iterable[str]) -> tuple[LabelClass, ...]:
        """The classes that the different values of an imported label column name."""
        return schema.first_classes(schema.natural_order(values))

    def imported(self, value: str, question: Question) -> str:
        """The answer that a value of the label column stands for."""
        return next(c.id for c in question.classes if c.name == value)

    def classes(self, question: Question, answers: Iterable[str]) -> tuple[str, ...]:
        """The classes that a model can learn from these answers, in schema order."""
        present = set(answers)
        return tuple(c.id for c in question.active if c.id in present)

    def labels(self, rows: Sequence[tuple[int, str]], classes: tuple[str, ...], question: Question) -> Labels:
        """Items with their targets among `classes`; rows hold an item and its answer in today's classes."""
        raise NotImplementedError(f"{type(self).__name__} gives no labels")

    def truth(self, rows: Sequence[tuple[int, str]], classes: tuple[str, ...], question: Question) -> Labels:
        """The same for answers that models are measured on, where `classes` are all active ones."""
        return self.labels(rows, classes, question)

    def facts(self, _question: Question) -> Mapping[str, Any]:
        """What a training has to know of the question beside its classes, as JSON."""
        return {}

    def waiting(self, labels: Labels, classes: tuple[str, ...], question: Question) -> str:
        """Why no model can be trained yet, in words; empty when one can."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it waits for")

    def words(self, question: Question, answer: str) -> str:
        """The answer as people read it."""
        return next(c.name for c in question.classes if c.id == answer)

    # Export of labels

    def columns(self, _question: Question) -> tuple[str, ...]:
        """Columns of a label export beside the usual ones."""
        return ()

    def cells(self, _question: Question, _answer: str) -> Mapping[str, str | None]:
        """What stands in those columns for an answer in today's classes."""
        return {}

    # Training, for kinds whose task is "fit_kind"

    def measure(self, spec: Mapping[str, Any], head: Head, features: FeatureMatrix) -> Measured:
        """A head on the stream's answers."""
        raise NotImplementedError(f"{type(self).__name__} is measured by its softmax")

    def why(self, said: str) -> str:
        """What a strategy says of its ranking, in the kind's words."""
        return said

    def scores(self, head: Head, features: Any, temperature: float) -> PoolScores:
        """What queries need of (n, d) features."""
        return head.scores(features, temperature)

    def predict(
        self, _project: Project, _model: ModelVersion, _positions: Sequence[int]
    ) -> Prediction | None:
        """Probabilities of the classes; None: by the calibrated softmax, as for a choice."""
        return None

    def above(
        self, _question: Question, _model: ModelVersion
    ) -> tuple[tuple[LabelClass, tuple[int, ...]], ...]:
        """Classes that stand for several of the model's, with the places of those: what an export adds."""
        return ()

    def report(self, _project: Project, _model: ModelVersion) -> KindReport | None:
        """The model in the kind's own measures; None: a choice's report says all."""
        return None
