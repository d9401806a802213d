"""One of several levels in an order, the lowest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from plumbline_backend.domain import schema
from plumbline_backend.domain.ordinal_metrics import evaluate_levels
from plumbline_backend.domain.types import LabelClass, ModelVersion, Question
from plumbline_backend.heads.making import load_head
from plumbline_backend.kinds.base import Figure, KindReport
from plumbline_backend.kinds.choice import Choice

if TYPE_CHECKING:
    from plumbline_backend.project import Project

LEVELS = tuple("12345")
"""What a project starts with that brings no label column."""


class Rating(Choice):
    """A choice whose classes are ordered as they are shown: their order says which answers are near."""

    name = "rating"
    title = "Rating"
    explanation = (
        "Each item gets one of several levels in an order, such as 1 to 5; near misses count as near."
    )
    question = "Which level does this item deserve?"
    heads = (
        "ordinal",
        "linear_softmax",
        "cosine",
        "lda",
        "mlp",
        "k_nearest",
        "random_forest",
        "gradient_boosting",
    )

    def first_classes(self, values: Iterable[str]) -> tuple[LabelClass, ...]:
        """The values by number or spelling; five levels where there are none."""
        return schema.first_classes(schema.natural_order(values) or LEVELS)

    def columns(self, _question: Question) -> tuple[str, ...]:
        """The level as a number."""
        return ("level",)

    def cells(self, question: Question, answer: str) -> Mapping[str, str | None]:
        """From 1, the lowest."""
        return {"level": str(1 + [c.id for c in question.active].index(answer))}

    def report(self, project: Project, model: ModelVersion) -> KindReport:
        """How far the likeliest level is from people's on today's stream answers."""
        question = project.question()
        project.loop.answers.refresh()
        active = [c.id for c in question.active]
        stream = project.loop.answers.stream(question, tuple(active))
        columns = np.array([active.index(question.resolve(c)) for c in model.metrics["classes"]])
        head = load_head(project.folders.models / model.folder)
        logits = head.logits(project.pool.features.gather(stream.items))
        predicted = columns[logits.argmax(axis=1)] if len(stream.items) else np.empty(0, np.int64)
        found = evaluate_levels(predicted, stream.targets, len(active), np.random.default_rng(project.seed))
        figures = [
            Figure(
                "Mean distance", found.mae, "In levels, from the likeliest level to people's", share=False
            ),
            Figure(
                "Quadratic kappa", found.kappa, "Agreement beyond chance; far misses weigh more", share=False
            ),
            Figure("At most one off", found.within_one, "Share of the items rated right or one level off"),
        ]
        return KindReport(model, len(stream.items), figures, (), ())
