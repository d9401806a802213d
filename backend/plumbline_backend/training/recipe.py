"""The options of a training, each with a sentence for the person who chooses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.heads.making import settings_of
from plumbline_backend.registry import HEADS

AGGREGATIONS = ("dawid_skene", "mace", "glad")
"""Values of `soft` that put people's answers together; see domain.aggregation."""

AUTOMATIC = -1.0
"""Value of `class_prior`: 1 while a class was just added (see `training.grown`), else 0."""


@dataclass(frozen=True)
class Recipe:
    """What is done with the labels beside the choice of head. The defaults change nothing while no class is new.

    class_prior: this times the log share of each class is added to the logits while learning (logit adjustment).
    label_smoothing in [0, 1). doubt: how wrong labels are weighed down. soft: whose distribution over the classes
    joins the label, with soft_share of the target; soft_loss: how it is learned. teacher: the version that teaches, 0
    for the newest. domain: a column whose groups must not matter, or "". prune: by which importance the least
    important prune_share of each class's labels is left out.
    """

    class_prior: float = AUTOMATIC
    label_smoothing: float = 0.0
    doubt: str = "none"
    soft: str = "none"
    soft_share: float = 0.5
    soft_loss: str = "cross_entropy"
    teacher: int = 0
    domain: str = ""
    prune: str = "none"
    prune_share: float = 0.25

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Recipe:
        """Options by name. Raises one InputError for all that is wrong."""
        known = {each.name: each for each in fields(cls)}
        wrong = [
            f"training option {name!r} does not exist; {did_you_mean(name, known)}"
            for name in given
            if name not in known
        ]
        kept = {name: value for name, value in given.items() if name in known}
        wrong += [message for name, value in kept.items() if (message := _problem(name, value))]
        if wrong:
            raise InputError("; ".join(wrong))
        return cls(**kept)

    def changed(self) -> dict[str, Any]:
        """The options that are not at their default, by name: what is stored and shown."""
        plain = asdict(Recipe())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}

    def head_settings(self, head: str) -> dict[str, Any]:
        """What of the recipe the head itself must do. Raises InputError naming heads that can what this one cannot."""
        wanted = {
            "adjust": max(0.0, self.class_prior),
            "label_smoothing": self.label_smoothing,
            "nkd": float(self.soft_loss == "nkd"),
            "dual": self.soft_loss == "dual_head",
        }
        takes = settings_of(head)
        needed = {name: value for name, value in wanted.items() if value}
        missing = [name for name in needed if name not in takes]
        if self.domain and "domains" not in takes:
            missing.append("domains")
        if missing:
            able = [each for each in HEADS.names() if missing[0] in settings_of(each)]
            raise InputError(
                f"head {head!r} cannot {WHAT[missing[0]]}; heads that can: {', '.join(able) or 'none'}"
            )
        return needed


WHAT = {
    "adjust": "allow for how frequent classes are",
    "label_smoothing": "smooth labels",
    "nkd": "learn target and other classes of a distribution apart (NKD)",
    "dual": "learn distributions with a second head",
    "domains": "align the groups of a column",
}


class Choice(NamedTuple):
    """One value of an option: how it is written, and what it does in a sentence."""

    value: Any
    words: str
    sentence: str


CHOICES: Mapping[str, tuple[Choice, ...]] = {
    "class_prior": (
        Choice(
            AUTOMATIC,
            "equal while a class is new",
            "Frequent classes are answered more readily, but not while a class was just added and has few labels.",
        ),
        Choice(0.0, "as frequent as in the labels", "Frequent classes are always answered more readily."),
        Choice(0.5, "half-way to equal", "Rare classes are answered more readily, half as much as if all were equal."),
        Choice(1.0, "as if equally frequent", "All classes are answered as if equally frequent: for long tails."),
    ),
    "label_smoothing": (
        Choice(0.0, "none", "Labels are taken as certain."),
        Choice(0.05, "0.05", "A twentieth of every label is spread over all classes: less overconfidence."),
        Choice(0.1, "0.1", "A tenth of every label is spread over all classes: less overconfidence."),
    ),
    "doubt": (
        Choice("none", "count fully", "Every label counts the same."),
        Choice(
            "margins",
            "weigh down by loss",
            "Labels that heads which have not seen them contradict count less; for many wrong labels.",
        ),
        Choice(
            "trusted",
            "weigh by trusted labels",
            "Labels that pull like settled ones count most (meta rescaling); it cost accuracy on clinc150: compare.",
        ),
        Choice(
            "shapes",
            "weigh down outliers",
            "Items far from the other items of their class count less, rare classes borrow the shape of others (RCAL).",
        ),
    ),
    "soft": (
        Choice("none", "one class each", "Every item is learned as the class that most people gave."),
        Choice("annotators", "people's shares", "Items on which people differ are learned as their shares."),
        Choice(
            "dawid_skene",
            "people, by Dawid-Skene",
            "Answers are put together by who confuses what (Dawid-Skene); needs two people.",
        ),
        Choice(
            "mace",
            "people, by MACE",
            "Answers are put together by who knows and who guesses (MACE); needs two people.",
        ),
        Choice(
            "glad",
            "people, by GLAD",
            "Answers are put together by ability and difficulty (GLAD); needs two people.",
        ),
        Choice(
            "columns",
            "a judge's columns",
            "Columns that hold a probability per class, from a language model or another judge, join the labels.",
        ),
        Choice("teacher", "an earlier version", "An earlier version's probabilities join the labels (distillation)."),
    ),
    "prune": (
        Choice("none", "learn from all", "Every label is learned from."),
        Choice(
            "el2n",
            "leave out the easiest (EL2N)",
            "A quarter of each class, the labels with the least error after a few epochs, is left out.",
        ),
        Choice(
            "grand",
            "leave out the least gradient (GraNd)",
            "A quarter of each class, the labels with the shortest gradients after a few epochs, is left out.",
        ),
    ),
    "soft_loss": (
        Choice("cross_entropy", "as one distribution", "Label and shares are mixed into one distribution."),
        Choice("nkd", "apart (NKD)", "The labelled class and the order of the others are learned as two losses."),
        Choice("dual_head", "by a second head", "A second head learns the shares; the shared layers learn from both."),
    ),
}  # fmt: skip
"""Options that are chosen from a list, in the order of a form."""
LABELS: Mapping[str, str] = {
    "class_prior": "Class frequencies",
    "label_smoothing": "Label smoothing",
    "doubt": "Doubtful labels",
    "soft": "Soft labels",
    "prune": "Pruning",
    "soft_loss": "Soft labels are learned",
    "domain": "Column that must not matter",
}


def in_words(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, value) of stored options, as a page shows them."""
    shown = []
    for name, value in options.items():
        words = {choice.value: choice.words for choice in CHOICES.get(name, ())}
        label = LABELS.get(name, name.replace("_", " ").capitalize())
        shown.append((label, str(words.get(value, value))))
    return shown


_BOUNDS = {
    "class_prior": (0, 4),
    "label_smoothing": (0, 0.9),
    "soft_share": (0, 1),
    "prune_share": (0, 0.9),
    "teacher": (0, 10**9),
}


def _problem(name: str, value: Any) -> str:
    if name in _BOUNDS:
        low, high = _BOUNDS[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        by_itself = name == "class_prior" and value == AUTOMATIC
        if number and (by_itself or low <= value <= high):
            return ""
        more = f", or {AUTOMATIC:g} for 1 while a class is new" if name == "class_prior" else ""
        return f"training option {name!r} is {value!r}; expected a number from {low} to {high}{more}"
    if name == "domain":
        return (
            ""
            if isinstance(value, str)
            else f"training option 'domain' is {value!r}; expected a column's name"
        )
    values = [choice.value for choice in CHOICES[name]]
    if value in values:
        return ""
    return f"training option {name!r} is {value!r}; {did_you_mean(str(value), values)}"
