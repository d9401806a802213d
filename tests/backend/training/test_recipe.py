"""Options of a training: parsed with every mistake, asked of heads that can follow, shown in words."""

from __future__ import annotations

import pytest

from plumbline_backend.domain.errors import InputError
from plumbline_backend.registry import HEADS
from plumbline_backend.training.recipe import CHOICES, LABELS, Recipe, in_words


def test_defaults_change_nothing_and_store_nothing() -> None:
    assert Recipe().changed() == {}
    assert all(Recipe().head_settings(name) == {} for name in HEADS.names())


def test_what_was_chosen_is_stored_and_read_back() -> None:
    recipe = Recipe.parse({"class_prior": 1.0, "doubt": "margins"})
    assert recipe.changed() == {"class_prior": 1.0, "doubt": "margins"}
    assert Recipe.parse(recipe.changed()) == recipe
    assert recipe.head_settings("linear_softmax") == {"adjust": 1.0}


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InputError) as refused:
        Recipe.parse(
            {"doubts": "margins", "doubt": "margin", "label_smoothing": 2, "domain": 3, "soft_share": True}
        )
    message = str(refused.value)
    assert "training option 'doubts' does not exist; did you mean 'doubt'?" in message
    assert "'doubt' is 'margin'; did you mean 'margins'?" in message
    assert "'label_smoothing' is 2; expected a number from 0 to 0.9" in message
    assert "'domain' is 3; expected a column's name" in message
    assert "'soft_share' is True; expected a number from 0 to 1" in message


@pytest.mark.parametrize(
    ("recipe", "head", "words"),
    [
        (
            Recipe(class_prior=1.0),
            "lda",
            "cannot allow for how frequent classes are; heads that can: linear_softmax",
        ),
        (
            Recipe(soft_loss="dual_head"),
            "linear_softmax",
            "cannot learn distributions with a second head.*mlp",
        ),
        (
            Recipe(domain="survey"),
            "linear_softmax",
            "cannot align the groups of a column; heads that can: domain_al",
        ),
    ],
)
def test_a_head_that_cannot_follow_names_those_that_can(recipe: Recipe, head: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        recipe.head_settings(head)


def test_every_option_of_a_list_has_a_label_and_a_sentence() -> None:
    for option, choices in CHOICES.items():
        assert option in LABELS
        assert choices[0].value == getattr(Recipe(), option)
        for choice in choices:
            assert choice.sentence.endswith(".")
            assert 20 < len(choice.sentence) < 130
            Recipe.parse({option: choice.value})


def test_stored_options_are_said_in_words() -> None:
    assert in_words({"class_prior": 1.0, "soft_share": 0.3, "domain": "survey"}) == [
        ("Class frequencies", "as if equally frequent"),
        ("Soft share", "0.3"),
        ("Column that must not matter", "survey"),
    ]
