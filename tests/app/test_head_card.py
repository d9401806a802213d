"""What the choice of head says: estimates in words, and only what is known of a comparison."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from plumbline_app.components.advice import old_and_new_words
from plumbline_app.components.head_card import about, about_time, comparison_table, quick_enough
from plumbline_app.components.model_tables import run_rows, training_facts
from plumbline_app.components.recipe_form import recipe_in_sentences
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval, ModelVersion
from plumbline_backend.heads.base import Cost
from plumbline_backend.model_selection import HeadResult, chosen
from plumbline_backend.project_heads import HeadOption, OldAndNew
from plumbline_backend.training.recipe import Recipe

NONE = wilson(0, 0)


def test_times_are_said_as_people_say_them() -> None:
    assert [about_time(s) for s in (0.2, 12.4, 600)] == [
        "less than a second",
        "about 12 s",
        "about 10 minutes",
    ]


def test_a_head_says_what_it_costs_or_why_it_cannot_be_trained() -> None:
    able = HeadOption("lda", "One Gaussian per class.", Cost(0.1, 900.4), "")
    refused = HeadOption(
        "prototypes", "Compares.", Cost(0.1, 1), "is made for at most 300 classes; there are 400"
    )
    assert about(able) == "One Gaussian per class. A training takes less than a second and about 900 MiB."
    assert about(refused) == "Compares. It is made for at most 300 classes; there are 400."
    slow = HeadOption("gradient_boosting", "Trees.", Cost(300, 1), "")
    assert quick_enough([able, refused, slow]) == ["lda"]


def test_memory_that_is_not_free_is_said_before_a_training() -> None:
    short = HeadOption("lda", "One Gaussian per class.", Cost(0.1, 900.4), "", free_mib=120.0)
    assert about(short).endswith("about 900 MiB, of which only 120 MiB are free.")
    assert about(HeadOption("lda", "One.", Cost(0.1, 90), "", free_mib=120.0)).endswith("about 90 MiB.")


def test_a_recipe_is_said_in_sentences_and_shown_with_its_version() -> None:
    assert recipe_in_sentences(Recipe()) == "Labels are learned as they are."
    said = recipe_in_sentences(Recipe(class_prior=1.0, doubt="margins", domain="survey"))
    assert said.startswith("All classes are answered as if equally frequent")
    assert said.endswith("What holds in every group of 'survey' is leaned on.")
    facts = {"n_labels": 90, "n_doubted": 7, "n_soft": 3}
    metrics = {
        "temperature": 1.0,
        "recipe": {"options": {"class_prior": 1.0, "doubt": "margins"}, "facts": facts},
    }
    model = ModelVersion(1, 1, 1, 4, 1, "", datetime(2026, 1, 1), 90, 10, 1, metrics)
    shown = dict(training_facts(model, ""))
    assert shown["Class frequencies"] == "as if equally frequent"
    assert shown["Doubtful labels"] == "weigh down by loss"
    assert shown["Labels weighed below half"] == "7 of 90"
    assert shown["Labels with shares"] == "3"
    (row,) = run_rows([model])
    assert "linear_softmax, as if equally frequent, weigh down by loss" in row


def test_columns_in_which_nothing_is_known_are_left_away() -> None:
    plain = HeadResult("lda", wilson(9, 10), NONE, NONE, 0.31, 1.26, "")
    columns, rows = comparison_table(chosen([plain]))
    assert [c["label"] for c in columns] == ["Head", "Accuracy", "n", "Per class", "Log-loss", "Seconds"]
    assert (rows[0][0], rows[0][2], rows[0][4:], rows[0][1]["text"]) == ("lda", "10", ["0.31", "1.3"], "90 %")
    grown = plain._replace(name="teen", accuracy=wilson(10, 10), old=wilson(8, 8), new=wilson(2, 2))
    refused = HeadResult("semantic", NONE, NONE, NONE, float("nan"), 0.0, "needs class_texts")
    columns, rows = comparison_table(chosen([refused, plain, grown]))
    assert [c["label"] for c in columns][-3:] == ["Old classes", "New classes", "Note"]
    assert [row[0] for row in rows] == ["teen", "lda", "semantic"]
    assert rows[2] == ["semantic", None, None, None, None, None, None, None, "needs class_texts"]


def test_old_classes_that_lost_are_pointed_out() -> None:
    class Version:
        facts: ClassVar[dict[str, int]] = {}

        def __init__(self, version: int, *classes: str) -> None:
            self.version = version
            self.metrics = {"classes": classes, "recipe": {"options": {}, "facts": dict(self.facts)}}

    def words(before: Interval, after: Interval) -> tuple[str, str, bool]:
        return old_and_new_words(
            OldAndNew(Version(3, "a", "b"), Version(4, "a", "b", "c"), before, after, NONE)
        )  # type: ignore[arg-type]

    title, text, fell = words(wilson(9, 10), wilson(8, 10))
    assert title == "Old and new classes"
    assert fell
    assert "Since version 3, 1 class was added." in text
    assert "90.0 %" in text
    assert "80.0 %" in text
    assert "n = 10" in text
    assert "On the new ones: not known yet (n = 0)." in text
    assert "The old classes lost" in text
    assert not words(wilson(9, 10), wilson(9, 10))[2]
    assert "equally frequent" not in text
    Version.facts = {"n_just_added": 1}
    assert "all count as equally frequent" in words(wilson(9, 10), wilson(9, 10))[1]
