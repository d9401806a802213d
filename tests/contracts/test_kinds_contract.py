"""What every kind of question in the registry keeps: classes from a column, answers from its values, and words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.types import Question
from plumbline_backend.registry import HEADS, KIND_HEADS, KINDS, STRATEGIES

VALUES = ("2", "10", "1")


@pytest.fixture(params=KINDS.names())
def kind(request: pytest.FixtureRequest) -> Any:
    return KINDS.get(request.param)()


def question(kind: Any) -> Question:
    return Question(1, 1, 1, kind.name, kind.question, "", kind.first_classes(VALUES))


def test_it_is_called_what_the_registry_calls_it_and_explains_itself(kind: Any) -> None:
    assert KINDS.get(kind.name) is type(kind)
    assert all((kind.title, kind.explanation, kind.question))


def test_its_heads_and_strategies_exist(kind: Any) -> None:
    assert set(kind.heads) <= {*HEADS.names(), *KIND_HEADS.names()}
    assert set(kind.strategies) <= set(STRATEGIES.names())
    assert kind.task in ("fit", "fit_kind")


def test_classes_of_a_column_have_distinct_ids_and_come_in_the_same_order(kind: Any) -> None:
    classes = kind.first_classes(VALUES)
    assert len({c.id for c in classes}) == len(classes)
    assert classes == kind.first_classes(VALUES)
    assert {c.name for c in classes} >= set(VALUES)


def test_an_imported_value_is_an_answer_in_words(kind: Any) -> None:
    asked = question(kind)
    ids = {c.id for c in asked.classes}
    for value in VALUES:
        answer = kind.imported(value, asked)
        named = list(kind.form.class_ids(answer))
        assert named
        assert set(named) <= ids
        assert value in kind.words(asked, answer)
        assert set(kind.cells(asked, answer)) == set(kind.columns(asked))


def test_answers_become_labels_and_are_not_changed(kind: Any) -> None:
    asked = question(kind)
    rows = [(i, kind.imported(VALUES[i % 3], asked)) for i in range(6)]
    before = list(rows)
    classes = kind.classes(asked, [answer for _, answer in rows])
    labels = kind.labels(rows, classes, asked)
    assert rows == before
    assert sorted(np.asarray(labels.items).tolist()) == list(range(6))
    assert len(labels.targets) == 6
    assert kind.waiting(labels, classes, asked) == ""


def test_nothing_answered_is_said_in_words(kind: Any) -> None:
    asked = question(kind)
    classes = kind.classes(asked, [])
    assert kind.waiting(kind.labels([], classes, asked), classes, asked)
