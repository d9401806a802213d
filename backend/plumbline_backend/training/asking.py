"""What a training is told of the project for its recipe: who answered what, what is settled, which version teaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from plumbline_backend.answers import Answers
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.types import ModelVersion, Question
from plumbline_backend.training.grown import added_classes
from plumbline_backend.training.recipe import AGGREGATIONS, Recipe


def told_of(
    recipe: Recipe,
    answers: Answers,
    question: Question,
    classes: Sequence[str],
    models: Sequence[ModelVersion],
) -> dict[str, Any]:
    """ "recipe", "added" (classes that are new) and what `gather` takes, as JSON. classes: ids in the order of the
    targets; models: any order.

    Raises InputError when the recipe names a version that does not exist.
    """
    names = {each.id: each.name for each in question.classes}
    teacher = _teacher(recipe, models) if recipe.soft == "teacher" else None
    several = answers.items_of_several() if _needs_people(recipe) else []
    votes, trusted = [], []
    for item in several:
        counts, settled = _counts(answers, item, question)
        votes += [[item, classes.index(class_id), n] for class_id, n in counts.items() if class_id in classes]
        if settled:
            trusted.append(item)
    return {
        "recipe": recipe.changed(),
        "added": added_classes(answers, question, models),
        "class_names": [names[class_id] for class_id in classes],
        "votes": votes,
        "ratings": _ratings(answers, question, classes) if recipe.soft in AGGREGATIONS else [],
        "trusted": trusted,
        "teacher": None if teacher is None else teacher.folder,
    }


def _needs_people(recipe: Recipe) -> bool:
    return recipe.soft == "annotators" or recipe.doubt != "none"


def _ratings(answers: Answers, question: Question, classes: Sequence[str]) -> list[list[int]]:
    """[item, person, class index] of every answer outside the random stream's reserve; none of items on which somebody
    had the last word."""
    place = {class_id: k for k, class_id in enumerate(classes)}
    found = []
    for item in answers.items_with(question, "answered", None).tolist():
        given = answers.of(item)
        if answers.in_reserve(item) or any(a.stratum == "adjudication" for a in given.values()):
            continue
        for person, answer in given.items():
            said = None if answer.class_id is None else question.resolve(answer.class_id)
            if answer.state == "answered" and said in place:
                found.append([item, person, place[said]])
    return found


def _counts(answers: Answers, item: int, question: Question) -> tuple[Counter[str], bool]:
    """Answers per class, and whether two or more people agree and nobody differs, or someone adjudicated."""
    given = [a for a in answers.of(item).values() if a.state == "answered" and a.class_id is not None]
    counts = Counter(question.resolve(str(a.class_id)) for a in given)
    settled = any(a.stratum == "adjudication" for a in given) or (len(given) >= 2 and len(counts) == 1)
    return counts, settled


def _teacher(recipe: Recipe, models: Sequence[ModelVersion]) -> ModelVersion | None:
    """The version that teaches: the newest for 0, None while there is none."""
    if recipe.teacher == 0:
        return max(models, key=lambda model: model.version, default=None)
    for model in models:
        if model.version == recipe.teacher:
            return model
    raise InputError(f"training option 'teacher' is {recipe.teacher}; there is no such version")
