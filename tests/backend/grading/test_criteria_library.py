"""The library of criteria: every entry can be filled, every assertion runs in the sandbox and says what it should."""

from __future__ import annotations

import pytest

from plumbline_backend.criteria.library import LIBRARY, entry, filled
from plumbline_backend.criteria.library_code import CODE
from plumbline_backend.domain.errors import InputError
from plumbline_backend.judges.assertion import require_check
from plumbline_backend.judges.sandbox import Row, run_code

PROMPT = "Answer in at most 120 words and sign as the team; parcels cost 4.90 EUR, ten days. Customer: Ada Lovelace"
CONTEXT = {"prompt": PROMPT, "vars": {"customer": "Ada Lovelace"}, "reference": "", "system": ""}

CASES = [
    ("max_words", {"n": 3}, "one two three", "one two three four"),
    ("min_words", {"n": 3}, "one two three", "one two"),
    ("max_sentences", {"n": 2}, "One. Two!", "One. Two! Three?"),
    ("complete", {}, "Dear Ada,\nit is done.\n\nYour team", "Dear Ada, it is"),
    ("valid_json", {}, '{"a": [1]}', '{"a": }'),
    ("json_fields", {"fields": ["a", "b"]}, '{"a": 1, "b": 2}', '{"a": 1}'),
    ("plain_text", {}, "A | B is not a table * nor bold", "| a | b |\n|---|---|"),
    ("plain_text", {}, "2 < 3 > 1", "<b>bold</b>"),
    ("contains", {"text": "Regards"}, "Regards, me", "regards"),
    ("matches", {"pattern": r"^\d+$"}, "123", "12a"),
    ("no_placeholder", {}, "Dear Ada [see below]", "Dear [CUSTOMER_NAME],"),
    ("no_placeholder", {}, "x < y", "Hello {{customer}}"),
    ("uses_variable", {"variable": "customer"}, "Dear ada lovelace", "Dear Bob"),
    ("no_refusal", {}, "I cannot find the parcel yet.", "I'm sorry, but I cannot do that."),
    ("no_refusal", {}, "We are sorry about the tent.", "As an AI language model I have no tent."),
    ("language", {"language": "English"}, "Please send it to us and we will help you.",
     "Die Rechnung ist nicht auf dem Konto und wird bitte bezahlt."),
    ("language", {"language": "Italian"}, "La fattura si trova nel tuo account, te la inviamo per e-mail.",
     "You find the invoice in your account under orders."),
    ("forbidden_words", {"words": ["promise"]}, "It is promising.", "I PROMISE it."),
    ("no_contact_details", {}, "Order 12345 costs 4.90", "Call 0800 555 0199 now"),
    ("no_prompt_leak", {"n": 6}, "We sign as the team.", "It said: answer in at most 120 words and more"),
    ("no_repetition", {}, "We will help you. We will call.", "Try it off and on. Try it off and on."),
    ("supported_numbers", {}, "It is 4,90 EUR for you.", "It takes 14 days."),
]  # fmt: skip


@pytest.mark.parametrize(("key", "parameters", "good", "bad"), CASES)
def test_assertions_pass_the_good_and_fail_the_bad(key, parameters, good, bad):
    code = filled(key, parameters).code
    outcomes = run_code(code, [Row(good, CONTEXT), Row(bad, CONTEXT)])
    assert (outcomes[0].state, outcomes[0].note) == ("pass", "")
    assert outcomes[1].state == "fail", outcomes[1].note


def test_every_assertion_has_a_case():
    assert {key for key, *_ in CASES} == set(CODE)


@pytest.mark.parametrize("key", [e.key for e in LIBRARY])
def test_defaults_fill_every_entry(key):
    found = filled(key)
    assert "{" not in found.name
    assert found.text.endswith(".")
    assert (found.code is None) != entry(key).has_code
    if found.code is not None:
        require_check(found.code)
        assert run_code(found.code, [Row("", CONTEXT)])[0].state != "error"


def test_what_does_not_apply_abstains():
    assert (
        run_code(filled("uses_variable", {"variable": "order"}).code, [Row("x", CONTEXT)])[0].state
        == "abstain"
    )
    assert run_code(filled("language").code, [Row("ok", CONTEXT)])[0].state == "abstain"


@pytest.mark.parametrize(
    ("key", "parameters", "message"),
    [
        ("max_word", {}, "did you mean 'max_words'"),
        ("max_words", {"m": 3}, "found the parameter 'm'; valid: n"),
        ("max_words", {"n": 0}, "expected a whole number of at least 1"),
        ("max_words", {"n": "3"}, "expected a whole number"),
        ("forbidden_words", {"words": []}, "expected a list of words"),
        ("contains", {"text": " "}, "expected text"),
        ("language", {"language": "Englsh"}, "did you mean 'English'"),
    ],
)
def test_bad_parameters_are_refused(key, parameters, message):
    with pytest.raises(InputError, match=message):
        filled(key, parameters)


def test_parameters_cannot_break_out_of_the_code():
    found = filled("contains", {"text": '"\nimport os  # "'})
    assert found.code.startswith("TEXT = '\"\\nimport os  # \"'\n")
    assert run_code(found.code, [Row("x", CONTEXT)])[0].state == "fail"
