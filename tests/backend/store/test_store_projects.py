"""Projects, questions, judges, models and queries."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Ask, LabelClass
from plumbline_backend.store import Store


def test_a_project_is_found_by_its_slug(store: Store) -> None:
    made = store.projects.create("wine", "Wine", 178, {"stream_share": 0.1, "words": ["a", "ü"]})
    assert store.projects.get("wine") == made
    assert store.projects.list() == [made]
    assert made.settings == {"stream_share": 0.1, "words": ["a", "ü"]}


def test_a_missing_project_names_the_nearest(store: Store) -> None:
    store.projects.create("digits", "Digits", 1, {})
    with pytest.raises(NotFoundError, match="'digit' does not exist; did you mean 'digits'"):
        store.projects.get("digit")
    with pytest.raises(NotFoundError, match="does not exist"):
        store.projects.get("x" * 1_000_000)


def test_a_slug_is_taken_once(store: Store) -> None:
    store.projects.create("wine", "Wine", 1, {})
    with pytest.raises(ConflictError, match="'wine' exists already"):
        store.projects.create("wine", "Other", 1, {})


@pytest.mark.parametrize(
    "slug", ["", "..", "a/b", "A", "-a", "_a", "a" * 81, "a\n", "ü", "a b", "%00", "a\0"]
)
def test_a_slug_that_cannot_be_a_folder_is_refused(store: Store, slug: str) -> None:
    with pytest.raises(InputError, match="slug is"):
        store.projects.create(slug, "Name", 1, {})


def test_bad_project_values_are_listed_together(store: Store) -> None:
    with pytest.raises(InputError, match=r"name is empty.*; n_items is -1"):
        store.projects.create("a", " ", -1, {})


def test_settings_and_name_can_change(store: Store) -> None:
    made = store.projects.create("wine", "Wine", 1, {"a": 1})
    assert store.projects.update_settings(made.id, {"b": None}).settings == {"b": None}
    assert store.projects.rename(made.id, "Red wine").name == "Red wine"
    assert store.projects.get("wine").settings == {"b": None}
    with pytest.raises(NotFoundError, match="project 99"):
        store.projects.rename(99, "x")


def test_json_comes_back_exactly(store: Store) -> None:
    given = {
        "nan": math.nan,
        "inf": -math.inf,
        "n": 2**53 + 1,
        "deep": [[{"": [1.5, None, True]}]],
        "é": "\u2028",
    }
    kept = store.projects.create("a", "A", 1, given).settings
    assert math.isnan(kept["nan"])
    assert {**kept, "nan": 0} == {**given, "nan": 0}
    plain = store.projects.create(
        "b", "B", 1, {"t": (1, 2), "np": np.float32(0.5), "k": np.int64(7)}
    ).settings
    assert plain == {"t": [1, 2], "np": 0.5, "k": 7}


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"a": {"b": ["x", "\0"]}}, r"settings\.a\.b\[1\] has a NUL"),
        ({"a\ud800": 1}, "a name in settings has a lone surrogate"),
        ({"a": {1: 2}}, r"a name in settings\.a is a int; expected text"),
        ({"a": {1, 2}}, r"settings\.a is a set; expected a JSON value"),
        ({"a": 2**63}, r"settings\.a is beyond 64 bits"),
        ({"a": np.zeros(2)}, r"settings\.a is a ndarray"),
        ({"a": _nested(100_000)}, "nested deeper than 64 levels"),
        ([1], "settings is a list; expected names and values"),
    ],
    ids=["nul", "surrogate", "key", "set", "integer", "array", "deep", "list"],
)
def test_what_is_not_json_is_refused_by_its_path(store: Store, settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        store.projects.create("a", "A", 1, settings)


def test_deleting_a_project_removes_everything_of_it_and_nothing_else(desk: Any, make_desk: Any) -> None:
    kept = make_desk(desk.store, "kept")
    for each in (desk, kept):
        each.record(1)
        each.record(1, "dog")
        each.undo()
        model = make_model(each)
        each.store.queries.create(each.project.id, each.question.id, "margin", model.id, 1, "q")
        each.store.jobs.create("fit", each.project.id, {})
        each.store.leases.claim(
            each.question.id, "tab", each.judge.id, lambda _: [Ask(5, None, "model", 0, 0.5, "r")], 1, 60
        )
    desk.store.projects.delete(desk.project.id)
    assert [project.slug for project in desk.store.projects.list()] == ["kept"]
    assert desk.store.ledger.history(desk.question.id) == []
    assert desk.store.judges.for_project(desk.project.id) == []
    assert desk.store.jobs.list(desk.project.id) == []
    assert len(kept.store.ledger.history(kept.question.id)) == 3
    assert kept.store.leases.live(kept.question.id) == {5}
    assert kept.store.models.newest(kept.question.id) is not None
    with pytest.raises(NotFoundError):
        desk.store.projects.delete(desk.project.id)


def test_an_edit_adds_a_version_and_the_old_one_stays(desk: Any) -> None:
    classes = (*desk.question.classes, LabelClass("cow", "Cow", "#000000"))
    edited = replace(desk.question, classes=classes, guidelines="Look twice.")
    saved = desk.store.questions.save(edited, "added class Cow", "Grace")
    assert saved == replace(edited, version=2)
    assert desk.store.questions.get(saved.id) == saved
    assert desk.store.questions.for_project(desk.project.id) == [saved]
    assert desk.store.questions.at_version(saved.id, 1) == desk.question
    changes = desk.store.questions.history(saved.id)
    assert [(c.version, c.change, c.by) for c in changes] == [
        (2, "added class Cow", "Grace"),
        (1, "created", "Ada"),
    ]
    with pytest.raises(InputError, match="answer 'cow' is not a class id"):
        desk.record(1, "cow")
    assert desk.record(1, "cow", question_version=2).answer == "cow"


def test_the_second_of_two_edits_at_once_is_refused(desk: Any) -> None:
    def save(text: str) -> str:
        try:
            return desk.store.questions.save(replace(desk.question, text=text), "reworded", "Ada").text
        except ConflictError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(save, ["a", "b", "c", "d"]))
    assert sum(len(outcome) == 1 for outcome in outcomes) == 1
    assert sum("it is at version 2, the edit was made on version 1" in outcome for outcome in outcomes) == 3


def test_a_class_is_never_removed(desk: Any) -> None:
    with pytest.raises(ConflictError, match="drops the classes Dog; merge a class instead"):
        desk.store.questions.save(replace(desk.question, classes=desk.question.classes[:1]), "removed", "Ada")
    assert desk.store.questions.get(desk.question.id).version == 1


CAT = LabelClass("cat", "Cat", "#fff")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([CAT, CAT], "class id 'cat' is used 2 times"),
        ([replace(CAT, name=" ")], "class 1 name is empty"),
        ([replace(CAT, description="\ud800")], "class 1 description has a lone surrogate"),
        ([replace(CAT, merged_into="cow")], "class 'cat' is merged into 'cow', which does not exist"),
        ([replace(CAT, merged_into="cat")], "class 'cat' is merged in a circle"),
    ],
)
def test_bad_classes_are_refused(desk: Any, classes: list[LabelClass], message: str) -> None:
    with pytest.raises(InputError, match=message):
        desk.store.questions.create(desk.project.id, "?", "choice", "", classes, "Ada")


def test_a_chain_of_merges_is_kept(desk: Any) -> None:
    classes = [
        CAT,
        LabelClass("tom", "Tom", "#000", merged_into="cat"),
        LabelClass("kit", "K", "#000", None, "", "tom"),
    ]
    made = desk.store.questions.create(desk.project.id, "?", "choice", "", classes, "Ada")
    assert desk.store.questions.get(made.id).resolve("kit") == "cat"


def test_missing_questions_and_projects(store: Store) -> None:
    for call in (store.questions.get, store.questions.history):
        with pytest.raises(NotFoundError, match="question 7 does not exist"):
            call(7)
    with pytest.raises(NotFoundError, match="question 7 has no version 1"):
        store.questions.at_version(7, 1)
    with pytest.raises(NotFoundError, match="project 7 does not exist"):
        store.questions.create(7, "?", "choice", "", [], "Ada")
    with pytest.raises(NotFoundError, match="project 7 does not exist"):
        store.judges.ensure(7, "person", "Ada")
    assert store.questions.for_project(7) == []


def test_a_judge_is_made_once(desk: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(
            pool.map(lambda _: desk.store.judges.ensure(desk.project.id, "person", "Grace"), range(8))
        )
    assert len({judge.id for judge in made}) == 1
    assert desk.store.judges.get(made[0].id) == made[0]
    assert desk.store.judges.for_project(desk.project.id, "person") == [desk.judge, made[0]]
    assert desk.store.judges.for_project(desk.project.id, "head") == []


def test_a_judge_with_another_spec_is_another_version(desk: Any) -> None:
    first = desk.store.judges.ensure(desk.project.id, "head", "linear", 1, {"l2": 1.0})
    assert desk.store.judges.ensure(desk.project.id, "head", "linear") == first
    with pytest.raises(ConflictError, match="exists with another spec"):
        desk.store.judges.ensure(desk.project.id, "head", "linear", 1, {"l2": 2.0})
    assert desk.store.judges.ensure(desk.project.id, "head", "linear", 2, {"l2": 2.0}).id != first.id


@pytest.mark.parametrize(
    ("kind", "name", "version", "message"),
    [
        ("persom", "Ada", 1, "did you mean 'person'"),
        ("person", "", 1, "judge name is empty"),
        ("person", "a\0", 1, "judge name has a NUL"),
        ("person", "Ada", 0, "judge version is 0"),
    ],
)
def test_bad_judges_are_refused(desk: Any, kind: Any, name: str, version: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        desk.store.judges.ensure(desk.project.id, kind, name, version)


def make_model(desk: Any, **changes: Any) -> Any:
    """A model of the desk's question."""
    judge = desk.store.judges.ensure(desk.project.id, "head", "linear")
    values = {
        "project_id": desk.project.id,
        "question_id": desk.question.id,
        "judge_id": judge.id,
        "folder": "models/1",
        "n_train": 90,
        "n_stream": 10,
        "ledger_id": 100,
        "metrics": {"accuracy": [0.9, 0.8, 0.95, 10]},
    }
    return desk.store.models.create(**{**values, **changes})


def test_models_count_up_and_keep_unknown_figures(desk: Any) -> None:
    assert desk.store.models.newest(desk.question.id) is None
    first, second = (
        make_model(desk),
        make_model(desk, metrics={"accuracy": (math.nan, math.nan, math.nan, 0)}),
    )
    assert (first.version, second.version) == (1, 2)
    assert desk.store.models.list(desk.question.id)[1] == first
    assert desk.store.models.get(first.id) == first
    newest = desk.store.models.newest(desk.question.id)
    assert newest.id == second.id
    assert math.isnan(newest.metrics["accuracy"][0])
    with pytest.raises(NotFoundError, match="model 99"):
        desk.store.models.get(99)


def test_models_made_at_once_get_different_versions(desk: Any) -> None:
    make_model(desk)
    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(lambda _: make_model(desk).version, range(6)))
    assert sorted(versions) == [2, 3, 4, 5, 6, 7]


def test_a_query_belongs_to_its_question_and_model(desk: Any, make_desk: Any) -> None:
    other = make_desk(desk.store, "other")
    model = make_model(desk)
    assert desk.store.queries.newest(desk.question.id) is None
    first = desk.store.queries.create(desk.project.id, desk.question.id, "random", None, -3, "queries/1")
    second = desk.store.queries.create(
        desk.project.id, desk.question.id, "margin", model.id, 2**62, "queries/2"
    )
    assert desk.store.queries.newest(desk.question.id) == second
    assert desk.store.queries.get(first.id) == first
    assert desk.record(1, query_id=second.id).query_id == second.id
    with pytest.raises(InputError, match="is not a model of question"):
        desk.store.queries.create(other.project.id, other.question.id, "margin", model.id, 0, "q")
    with pytest.raises(InputError, match="is not a question of project"):
        desk.store.queries.create(other.project.id, desk.question.id, "margin", None, 0, "q")
    with pytest.raises(NotFoundError, match="query 99"):
        desk.store.queries.get(99)


def test_settings_change_one_by_one_and_keep_the_others(store: Store) -> None:
    project = store.projects.create("animals", "Animals", 10, {"strategy": "margin", "seed": 1})
    assert store.projects.change_settings(project.id, {"strategy": "random"}).settings == {
        "strategy": "random",
        "seed": 1,
    }
    with pytest.raises(NotFoundError, match="project 99 does not exist"):
        store.projects.change_settings(99, {"seed": 2})
