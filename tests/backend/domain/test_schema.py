"""Classes are edited under stable ids; every refusal says what was expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline_backend.domain import schema
from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Question


def question(*names: str) -> Question:
    return Question(1, 1, 1, "choice", "Which?", "", schema.first_classes(names))


def test_first_classes_keep_names_exactly_and_number_ids():
    made = schema.first_classes(["NA", " a", "A"])
    assert [(c.id, c.name) for c in made] == [("c1", "NA"), ("c2", " a"), ("c3", "A")]
    assert len({c.color for c in made}) == 3


def test_too_many_classes_are_refused_with_the_count():
    with pytest.raises(InputError, match="found 1001 different values; expected at most 1000"):
        schema.first_classes(str(i) for i in range(1001))


def test_add_gives_a_fresh_id_after_the_highest():
    edited = schema.add_class(question("cat", "dog"), "  bird ")
    assert [(c.id, c.name) for c in edited.question.classes] == [("c1", "cat"), ("c2", "dog"), ("c3", "bird")]
    assert edited.change == "added class 'bird'"


def test_rename_keeps_the_id_and_says_what_changed():
    edited = schema.edit_class(question("cat", "dog"), "c2", name="hound")
    assert edited.question.classes[1].id == "c2"
    assert edited.change == "class 'dog': name 'dog' to 'hound'"


def test_merge_redirects_answers_through_chains():
    q = question("cat", "dog", "puppy")
    q = schema.merge_class(q, "c3", "c2").question
    q = schema.merge_class(q, "c2", "c1").question
    assert [q.resolve(c) for c in ("c1", "c2", "c3")] == ["c1", "c1", "c1"]
    assert [c.id for c in q.active] == ["c1"]


def test_merging_into_itself_or_twice_is_a_conflict():
    q = question("cat", "dog", "bird")
    with pytest.raises(ConflictError, match="cannot be merged into itself"):
        schema.merge_class(q, "c1", "c1")
    q = schema.merge_class(q, "c1", "c2").question
    with pytest.raises(ConflictError, match="class 'cat' was merged already"):
        schema.merge_class(q, "c3", "c1")


def test_merged_class_cannot_be_answered_any_more():
    q = schema.merge_class(question("cat", "dog"), "c1", "c2").question
    with pytest.raises(InputError, match="class 'cat' was merged; expected 'dog' instead"):
        schema.answerable(q, "c1")
    with pytest.raises(InputError, match="'c9' is not in the schema"):
        schema.answerable(q, "c9")


def test_reorder_needs_each_active_class_once():
    q = question("cat", "dog", "bird")
    assert [c.id for c in schema.reorder_classes(q, ["c3", "c1", "c2"]).question.active] == ["c3", "c1", "c2"]
    with pytest.raises(InputError, match="each of"):
        schema.reorder_classes(q, ["c3", "c1"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "  "}, "expected 1 to 200 printable characters"),
        ({"name": "a\nb"}, "expected 1 to 200 printable characters"),
        ({"name": "DOG "}, "'DOG' is taken by 'dog'"),
        ({"color": "red"}, "expected # and six hexadecimal digits"),
        ({"color": "#12345"}, "expected # and six hexadecimal digits"),
        ({"key": "ab"}, "expected a single character"),
        ({"key": "z"}, "'z' means 'undo'"),
        ({"key": "U"}, "'U' means 'unsure'"),
    ],
)
def test_bad_edits_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        schema.edit_class(question("cat", "dog"), "c1", **change)


def test_unknown_class_suggests_the_nearest():
    with pytest.raises(NotFoundError, match="did you mean 'c1'"):
        schema.edit_class(question("cat"), "c11", name="x")


def test_keys_come_from_the_class_then_digits_then_letters():
    q = schema.edit_class(question("a", "b", "c"), "c2", key="1").question
    assert schema.effective_keys(q) == {"c1": "2", "c2": "1", "c3": "3"}
    many = question(*(f"class {i}" for i in range(40)))
    keys = schema.effective_keys(many)
    assert [keys[f"c{i}"] for i in (1, 9, 10, 11)] == ["1", "9", "0", "a"]
    assert set(keys.values()).isdisjoint(schema.RESERVED_KEYS)
    assert len(keys) == 10 + 26 - 6  # six letters are taken: u f n z h m


def test_a_class_named_by_a_digit_is_answered_by_that_digit():
    digits = question(*(str(i) for i in range(10)))
    assert [schema.effective_keys(digits)[f"c{i + 1}"] for i in range(10)] == list("0123456789")
    taken = schema.edit_class(question("1", "x"), "c2", key="1").question
    assert schema.effective_keys(taken) == {"c1": "2", "c2": "1"}


def test_taken_key_is_refused():
    q = schema.edit_class(question("a", "b"), "c1", key="x").question
    with pytest.raises(InputError, match="'x' is taken by class 'a'"):
        schema.edit_class(q, "c2", key="x")


def test_wording_must_not_be_empty_guidelines_may():
    with pytest.raises(InputError, match="text: found 2 characters; expected 1 to 100000"):
        schema.set_text(question("a"), "text", "  ")
    assert schema.set_text(question("a"), "guidelines", "").question.guidelines == ""


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=12))
def test_every_answer_always_resolves_to_an_active_class(merges):
    q = question(*"abcdef")
    for source, target in merges:
        try:
            q = schema.merge_class(q, f"c{source}", f"c{target}").question
        except ConflictError:
            continue
    active = {c.id for c in q.active}
    assert active
    assert all(q.resolve(c.id) in active for c in q.classes)
