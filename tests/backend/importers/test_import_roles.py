"""Role guesses: a reason for each, and the traps that they avoid."""

from __future__ import annotations

import pyarrow as pa
import pytest

from plumbline_backend.importers.roles import guess_columns

MANY = 60
WORDS = [f"a rather long sentence about item number {i} and what it means" for i in range(MANY)]

NUMBERS = "every value that is there is a number"
NOT_ALL = "not all are numbers, such as "

GUESSES = {
    "id by name": ("object_id", [f"o{i}" for i in range(MANY)], "id", "named like an id, every value is different"),
    "id that repeats": ("id", ["a", "b"] * 30, "category", "2 different values; not all are numbers, such as 'a'"),
    "camel case": ("sourceId", list(range(MANY)), "id", "named like an id, every value is different"),
    "label by name": ("species", ["x", "y", "z"] * 20, "label", "named like a label, 3 different values"),
    "label of numbers": ("y", [0, 1] * 30, "label", "named like a label, 2 different values"),
    "a target that is measured": ("target", [str(i + 0.5) for i in range(MANY)], "numeric", NUMBERS),
    "numbers as text": ("x", [str(i / 7) for i in range(MANY)], "numeric", NUMBERS),
    "numbers with gaps": ("x", ["1.5", "", "NaN"] * 20, "numeric", NUMBERS),
    "codes": ("zip", [f"0{i:04d}" for i in range(MANY)], "metadata",
              "codes with leading zeros, such as '00000', which numbers would lose"),
    "huge integers": ("n", [str(2**60 + i) for i in range(MANY)], "metadata",
                      "numbers with more digits than a float keeps, such as '1152921504606846977'"),
    "text": ("body", WORDS, "text", "61 characters on average"),
    "a few sentences": ("body", WORDS[:15], "text", "60 characters on average"),
    "sentences of which some repeat": ("body", WORDS[:20] + WORDS[:15], "text", "60 characters on average"),
    "titles": ("kind", ["a novel", "a play"] * 30, "category", f"2 different values; {NOT_ALL}'a novel'"),
    "numbers with a word": (
        "price",
        [f"{i}.5" for i in range(19)] + ["n/a"],
        "metadata",
        "19 of 20 are numbers, but not 'n/a'; read as numeric, such rows are left out",
    ),
    "short names": ("name", [f"n{i}" for i in range(15)], "metadata", "short and different in every row"),
    "categories": ("city", ["Rome", "Oslo"] * 30, "category", "2 different values; " + NOT_ALL + "'Rome'"),
    "nothing": ("empty", [""] * MANY, "ignore", "every value is missing"),
    "truth": ("flag", [True, False] * 30, "category", "true or false"),
    "words for nothing": ("answer", ["NA", "None"] * 30, "label", "named like a label, 2 different values"),
}  # fmt: skip


@pytest.mark.parametrize("case", GUESSES)
def test_role_and_reason(case):
    name, values, role, reason = GUESSES[case]
    (column,) = guess_columns(pa.table({name: values}), True)
    assert (column.role, column.reason) == (role, reason)


def test_a_guess_from_a_part_says_so():
    (column,) = guess_columns(pa.table({"x": ["1", "2"]}), False)
    assert column.reason == "every value that is there is a number (in the first 2 rows)"


def test_one_id_and_one_label():
    columns = guess_columns(
        pa.table({"index": ["1", "2"], "id": ["a", "b"], "label": ["p", "q"], "class": ["p", "q"]}), True
    )
    assert [column.role for column in columns] == ["metadata", "id", "label", "category"]
    assert columns[3].reason == "named like a label, 2 different values; another column is the label already"


def test_examples_and_missing_values_are_shown():
    (column,) = guess_columns(pa.table({"x": ["b", "", None, "a", "b"]}), True)
    assert column.examples == ("b", "a")
    assert column.n_missing == 2
