"""The scripted model: the same answers in this process and over HTTP, by rules that it states."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from openai import OpenAI

from plumbline_backend.domain.errors import JobFailedError
from plumbline_backend.domain.grades import Criterion, Output
from plumbline_backend.judges.llm.authoring import Existing, draft_assertion, propose_criteria
from plumbline_backend.judges.llm.batch import Llm
from plumbline_backend.judges.llm.endpoint import Endpoint, scripted_endpoint
from plumbline_backend.judges.llm.grader import Around
from plumbline_backend.judges.llm.prompts import Example
from plumbline_backend.judges.llm.scripted import ScriptedModel
from plumbline_backend.judges.llm.scripted_rules import Reply
from plumbline_backend.judges.llm.scripted_server import scripted_server
from plumbline_backend.judges.llm.surface_rules import judge_by_surface
from plumbline_backend.judges.llm_judge import LlmJudge, grader_named
from plumbline_backend.registry import LLM_GRADERS

SHORT = Criterion(1, "Short", "The reply has at most 8 words.", "", "pass_fail", 1)
OUTPUTS = [
    Output(
        0, "a", "Your refund is on its way.", prompt="Answer {mail} in at most 8 words.", reference="Done."
    ),
    Output(1, "b", "We looked into this and your refund of 40 euros is on its way today.", reference="Done."),
]


def run(llm, name, criterion=SHORT, **spec):
    spec = {"grader": name, **({"items": [criterion.text]} if name == "checklist" else {}), **spec}
    around = Around(criterion, LlmJudge().check(spec, criterion))
    grader = grader_named(name)
    return llm.run(OUTPUTS, lambda asks, each: grader.grade(asks, each, around), lambda *_: None)


def at(url):
    return Llm(Endpoint(base_url=url, model="scripted", price_in=0.0, price_out=0.0))


@pytest.mark.parametrize("name", LLM_GRADERS.names())
def test_over_http_as_in_this_process(name):
    with scripted_server() as server:
        assert run(at(server.url), name) == run(Llm(scripted_endpoint()), name)


@pytest.mark.parametrize("name", ["binary", "rubric", "checklist", "committee"])
def test_it_counts_words(name):
    assert [verdict.state for verdict in run(Llm(scripted_endpoint()), name)] == ["pass", "fail"]


def test_it_offers_probabilities_and_says_what_it_is():
    first, second = run(Llm(scripted_endpoint()), "binary")
    assert first.p_pass == pytest.approx(0.92)
    assert second.p_pass == pytest.approx(0.08)
    assert first.note == "Scripted, by surface rules: counted 6 words where at most 8 are asked for."
    assert run(Llm(scripted_endpoint()), "binary", logprobs=False)[0].p_pass is None


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "text"])
def test_it_answers_however_structure_is_asked_for(structured):
    with scripted_server() as server:
        llm = Llm(Endpoint(base_url=server.url, model="scripted", structured=structured))
        assert [verdict.state for verdict in run(llm, "binary")] == ["pass", "fail"]


def test_the_openai_client_talks_to_it_as_to_any_endpoint():
    with scripted_server() as server, OpenAI(api_key="none", base_url=server.url) as client:
        said = client.chat.completions.create(
            model="scripted", messages=[{"role": "user", "content": "Hello"}]
        )
        assert "no language model" in said.choices[0].message.content
        assert [model.id for model in client.models.list()] == ["scripted"]


def test_it_refuses_what_is_no_request():
    with scripted_server() as server:
        for path, body, status in [
            ("/chat/completions", b"{}", 400),
            ("/chat/completions", b"", 413),
            ("/elsewhere", b"{}", 404),
        ]:
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(server.url + path, data=body, method="POST"))
            with refused.value as answer:
                assert answer.code == status
                assert json.load(answer)["error"]["message"]


@pytest.mark.parametrize(
    ("criterion", "response", "passed"),
    [
        ("The reply has at most 3 words.", "one two three", True),
        ("The reply has fewer than 3 words.", "one two three", False),
        ("At least 2 sentences.", "One. Two.", True),
        ("At most 1 paragraph.", "a\n\nb", False),
        ("The output is valid JSON.", '{"a": 1}', True),
        ("The output is valid JSON.", "{'a': 1}", False),
        ("It does not refuse the task.", "I can't help with that.", False),
        ("It leaves no placeholder unfilled.", "Dear [Name], hello", False),
        ('It must not say "guarantee".', "We guarantee it", False),
        ('It mentions "order number".', "Your order number is 5", True),
        ("Nothing in it is invented.", "It costs 12 euros", True),
        ("Nothing in it is invented.", "It costs 13 euros", False),
        ("It starts with a greeting.", "Hello Ann, fine.", True),
        ("It is polite.", "That is ridiculous.", False),
        ("It uses no bullet points.", "- one\n- two", False),
        ("It makes sense.", "It stops in the", False),
        ("It makes sense.", "", False),
        ("It makes sense.", "Yes. Yes.", False),
        ("It makes sense.", "Yes, it does.", True),
    ],
)
def test_each_rule(criterion, response, passed):
    assert judge_by_surface(criterion, response, "the price is 12 euros").passed is passed


def test_criteria_come_from_the_prompt_and_the_notes_and_not_twice():
    graded = [Example(OUTPUTS[1], False, "the sum of 40 euros is made up")]
    found = propose_criteria(
        Llm(scripted_endpoint()), OUTPUTS, graded, [Existing("Tone", "It is polite.")], lambda *_: None
    )
    names = [each.name for each in found]
    assert names[:2] == ["Length", "Grounded"]
    assert "Tone" not in names
    assert found[0].text == "The output has at most 8 words."


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("The output has at most 8 words.", "one two", "one two three four five six seven eight nine"),
        ("The output has under 5 characters.", "abcd", "abcde"),
        ("The whole output is valid JSON.", "[1]", "[1"),
        ("The output does not refuse the task.", "Sure.", "I can't do that."),
        ("No placeholder is left.", "Dear Ann,", "Dear [Name],"),
        ("Every number is supported.", "It is 12.", "It is 13."),
        ("It is complete.", "Done.", "Not don"),
    ],
)
def test_drafted_code_does_what_the_criterion_says(text, good, bad):
    criterion = Criterion(1, "C", text, "", "pass_fail", 1)
    draft = draft_assertion(
        Llm(scripted_endpoint()), criterion, [Example(OUTPUTS[0], True, "")], lambda *_: None
    )
    names: dict = {}
    exec(draft.code, names)  # the script's own code, written above this test's eyes
    context = {"prompt": "the price is 12", "vars": {}, "reference": "", "system": ""}
    assert names["check"](good, context) is True
    assert names["check"](bad, context) is False


def test_a_proposal_that_cannot_be_read_is_an_error():
    llm = Llm(scripted_endpoint(), scripted=ScriptedModel(lambda _: Reply("Sure! Here are some ideas.")))
    with pytest.raises(JobFailedError, match="could not be read"):
        propose_criteria(llm, OUTPUTS, [], [], lambda *_: None)
