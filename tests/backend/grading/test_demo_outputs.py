"""The demo's outputs hold the faults that their note claims, in the file as it ships, and good replies beside them."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files

import pytest

FOLDER = files("plumbline_backend") / "data" / "support_replies"
ROWS = [json.loads(line) for line in (FOLDER / "outputs.jsonl").read_text(encoding="utf-8").splitlines()]
REPLIES = {row["id"]: row["response"] for row in ROWS}
NAMES = {row["id"]: row["variables"]["customer"] for row in ROWS}
MESSAGES = {row["id"]: row["variables"]["message"] for row in ROWS}


def where(pattern: str, texts: dict[str, str] = REPLIES) -> set[str]:
    """Ids of the texts in which the pattern is found."""
    return {key for key, text in texts.items() if re.search(pattern, text)}


def test_three_manners_answer_each_of_42_messages() -> None:
    assert len(ROWS) == len(REPLIES) == 126
    assert Counter(row["system"] for row in ROWS) == {"terse": 42, "warm": 42, "eager": 42}
    assert Counter(Counter(MESSAGES.values()).values()) == {3: 42}
    prompt = (FOLDER / "prompt.txt").read_text(encoding="utf-8").strip()
    for row in ROWS:
        filled = prompt
        for name, value in row["variables"].items():
            filled = filled.replace("{{" + name + "}}", value)
        assert row["prompt"].strip() == filled


FAULTS = {
    "no signature": {key for key, text in REPLIES.items() if "Fernweh" not in text.splitlines()[-1]},
    "the name is not used": {key for key, text in REPLIES.items() if NAMES[key] not in text},
    "far too many words": {key for key, text in REPLIES.items() if len(text.split()) > 120},
    "a placeholder is left": where(r"\[[A-Z_]+\]"),
    "JSON instead of a letter": {key for key, text in REPLIES.items() if text.startswith("{") and json.loads(text)},
    "a needless refusal": where("as an AI language model I cannot"),
    "a leaked prompt": where("You write replies for the online shop"),
    "a telephone number, though there is none": where(r"0800 \d{3} \d{4}"),
    "a promised day": where(r"guaranteed|delivered tomorrow between|back on the 14th"),
    "invented money": where(r"15 percent on top|SUMMER50|students get 20 percent|zero percent interest"),
    "dangerous advice": where("leave the zip open a little") & where("stove inside my tent", MESSAGES),
    "an insult": where("measure your feet|Shouting does not"),
    "another language than the customer's": where("Hola|factura") & where("Posso", MESSAGES),
    "the second question ignored": where("student discounts", MESSAGES) - where("(?i)gift card"),
}  # fmt: skip
EXPECTED = {
    "no signature": {"FW-20140-eager", "FW-20347-eager", "FW-20528-eager", "FW-20532-terse"},
    "the name is not used": {"FW-20193-eager", "FW-20413-eager", "FW-20532-eager"},
    "far too many words": {"FW-20263-eager"},
    "a placeholder is left": {"FW-20193-eager"},
    "JSON instead of a letter": {"FW-20471-eager"},
    "a needless refusal": {"FW-20347-eager"},
    "a leaked prompt": {"FW-20277-eager"},
    "a telephone number, though there is none": {"FW-20170-eager"},
    "a promised day": {"FW-20131-eager", "FW-20301-eager", "FW-20358-eager"},
    "invented money": {"FW-20152-eager", "FW-20375-eager", "FW-20454-eager", "FW-20499-eager"},
    "dangerous advice": {"FW-20333-eager"},
    "an insult": {"FW-20219-eager", "FW-20316-eager"},
    "another language than the customer's": {"FW-20246-eager"},
    "the second question ignored": {"FW-20454-warm", "FW-20454-eager"},
}  # fmt: skip


@pytest.mark.parametrize("fault", EXPECTED)
def test_a_fault_that_the_note_claims_is_there(fault: str) -> None:
    """The ids are those in which the fault stands when the replies are read one by one."""
    assert EXPECTED[fault] <= FAULTS[fault]
    assert len(FAULTS[fault]) < 10, "a fault of nearly all replies would be no natural one"


def test_every_fault_is_listed_and_most_replies_have_none_of_them() -> None:
    assert set(FAULTS) == set(EXPECTED)
    faulty = set().union(*FAULTS.values())
    assert 20 <= len(faulty) <= 40
    assert {key.rsplit("-", 1)[1] for key in set(REPLIES) - faulty} == {"terse", "warm", "eager"}


def test_nobody_has_graded_them_and_the_note_says_who_wrote_them() -> None:
    assert all(set(row) == {"id", "system", "prompt", "variables", "response"} for row in ROWS)
    note = (FOLDER / "SOURCE.md").read_text(encoding="utf-8")
    assert "written for Plumbline" in note
    assert "by a large language model" in note
    assert "Nobody has graded them" in note
    assert "Licence: Apache-2.0" in note
