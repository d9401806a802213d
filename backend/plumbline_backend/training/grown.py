"""Classes that were added while labelling was under way and have far fewer labels than the others yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plumbline_backend.answers import Answers
from plumbline_backend.domain.types import ModelVersion, Question
from plumbline_backend.heads.making import settings_of
from plumbline_backend.training.recipe import AUTOMATIC, Recipe

FAR_FEWER = 0.25
"""Share of the old classes' median labels below which an added class counts as new. With 5 labels beside 100 an
allowance for frequencies finds .878 of the new classes instead of .580, and .949 instead of .964 of the old ones
(clinc150, MiniLM)."""


def added_classes(answers: Answers, question: Question, models: Sequence[ModelVersion]) -> list[str]:
    """The question's classes that were just added. models: any order; none is new before the first."""
    training, classes = answers.training(question)
    if not models or training.targets.ndim > 1:
        return []
    first = min(models, key=lambda model: model.version)
    return list(just_added(training.targets, classes, first.metrics["active"]))


def just_added(
    targets: NDArray[np.int64], classes: Sequence[str], at_first: Collection[str]
) -> tuple[str, ...]:
    """Those of `classes`, in whose order the targets are, that the question did not have at first and that have less
    than a quarter of the labels of the others, by their median. at_first: the question's classes at the first training.
    """
    counts = np.bincount(targets, minlength=len(classes))
    old = np.array([class_id in at_first for class_id in classes], dtype=bool)
    if not counts[old].any():
        return ()
    enough = FAR_FEWER * float(np.median(counts[old & (counts > 0)]))
    return tuple(c for c, n, known in zip(classes, counts, old, strict=True) if not known and 0 < n < enough)


def allowing_for(recipe: Recipe, added: Collection[str], head: str) -> Recipe:
    """The recipe with all classes as if equally frequent while some were just added, unless it says otherwise itself or
    the head cannot."""
    if recipe.class_prior != AUTOMATIC or not added or "adjust" not in settings_of(head):
        return recipe
    return replace(recipe, class_prior=1.0)
