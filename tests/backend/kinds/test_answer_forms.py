"""How answers are written and read: one class, or several with a sign each."""

from __future__ import annotations

import pytest

from plumbline_backend.domain.answer_forms import MAX_ANSWER, form_of, parse_signed, write_signed
from plumbline_backend.domain.class_tree import class_at, classes_of_paths, tree_of
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.schema import edit_class, first_classes, merge_class
from plumbline_backend.domain.types import Question

QUESTION = Question(1, 1, 1, "multi_label", "Which?", "", first_classes(["red", "green", "blue"]))
SEVERAL, ONE = form_of("multi_label"), form_of("choice")


def test_an_answer_is_kept_in_the_order_of_the_classes():
    assert SEVERAL.checked(QUESTION, "-c3 +c1") == "+c1 -c3"
    assert parse_signed("+c1 -c3") == {"c1": True, "c3": False}
    assert SEVERAL.yes(QUESTION, "+c1 -c3") == ("c1",)
    assert SEVERAL.class_ids("+c1 -c3") == ("c1", "c3")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "answer: says nothing of any class; expected at least one with + or -, such as '+c1'"),
        ("c1", "answer: found 'c1'; expected classes by id, each with a + (the item carries it) or a - "),
        ("+", "answer: found '+'; expected classes by id"),
        ("+c1 -c1", "answer: says both yes and no to class 'c1'; expected one of them"),
        ("+c9", "answer: class 'c9' is not in the schema"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(answer, message):
    with pytest.raises(InputError) as refused:
        SEVERAL.checked(QUESTION, answer)
    assert message in str(refused.value)


def test_an_answer_that_no_index_could_hold_is_refused():
    many = Question(1, 1, 1, "multi_label", "Which?", "", first_classes(f"n{i}" for i in range(900)))
    everything = write_signed({c.id: False for c in many.classes})
    with pytest.raises(InputError, match=f"expected at most {MAX_ANSWER:,}: say fewer"):
        SEVERAL.checked(many, everything)


def test_a_merge_is_followed_and_yes_to_either_is_yes():
    merged = merge_class(QUESTION, "c1", "c2").question
    assert SEVERAL.today(merged, "+c1 -c2 -c3") == "+c2 -c3"
    assert SEVERAL.today(merged, "-c1") == "-c2"
    with pytest.raises(InputError, match="class 'red' was merged; expected 'green' instead"):
        SEVERAL.checked(merged, "+c1")


def test_people_vote_class_by_class_and_ties_go_to_the_newest():
    # c1: yes, no, yes -> yes. c2: newest no against yes -> no. c3: said by one.
    assert parse_signed(SEVERAL.vote(QUESTION, ["+c1 -c2", "-c1 +c2 +c3", "+c1"])) == {
        "c1": True,
        "c2": False,
        "c3": True,
    }
    assert ONE.vote(QUESTION, ["a", "b", "b"]) == "b"
    assert ONE.vote(QUESTION, ["a", "b"]) == "a"


def test_only_opposite_signs_are_a_dispute():
    assert not SEVERAL.disagree(QUESTION, ["+c1", "-c2", "+c1 -c3"])
    assert SEVERAL.disagree(QUESTION, ["+c1", "-c1"])
    assert ONE.disagree(QUESTION, ["a", "b"])
    assert not ONE.disagree(QUESTION, ["a", "a"])


def tree_question() -> Question:
    """animal (dog, cat), plant (tree)."""
    classes = classes_of_paths(["animal/dog", "animal/cat", "plant/tree"])
    return Question(1, 1, 1, "hierarchical", "Which?", "", classes)


def test_a_fine_answer_implies_the_classes_above_it_and_people_are_taken_as_deep_as_they_go():
    question, form = tree_question(), form_of("hierarchical")
    animal, plant, dog, cat = (
        class_at(question, p) for p in ("animal", "plant", "animal/dog", "animal / cat")
    )
    assert form.yes(question, dog) == (animal, dog)
    assert form.vote(question, [animal, dog]) == dog
    assert form.vote(question, [dog, cat, cat]) == cat
    assert form.vote(question, [plant, dog, cat]) == dog  # two say animal; of those the newest says dog
    assert not form.disagree(question, [animal, dog])
    assert form.disagree(question, [dog, cat])
    assert form.disagree(question, [animal, plant])


def test_the_tree_of_paths():
    question = tree_question()
    tree = tree_of(question)
    assert [tree.name(leaf) for leaf in tree.leaves] == ["animal / cat", "animal / dog", "plant / tree"]
    animal = class_at(question, "animal")
    assert [tree.name(leaf) for leaf in tree.below(animal)] == ["animal / cat", "animal / dog"]
    with pytest.raises(InputError, match="the tree has no class 'animal/cow'"):
        class_at(question, "animal/cow")


def test_a_class_cannot_hang_below_itself_and_a_merged_branch_keeps_its_children():
    question = tree_question()
    animal, dog, plant = (class_at(question, p) for p in ("animal", "animal/dog", "plant"))
    with pytest.raises(InputError, match="parent: 'dog' is 'animal' or lies below it"):
        edit_class(question, animal, parent=dog)
    moved = edit_class(question, plant, parent=animal)
    assert moved.change == "class 'plant': parent None to 'c1'"
    assert tree_of(moved.question).name(plant) == "animal / plant"
    root_again = edit_class(moved.question, plant, parent="")
    assert tree_of(root_again.question).path(plant) == (plant,)
    merged = merge_class(question, plant, animal).question
    assert tree_of(merged).name(class_at(merged, "animal/tree")) == "animal / tree"
