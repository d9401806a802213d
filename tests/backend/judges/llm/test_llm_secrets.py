"""A canary key: it goes into one header and nowhere else."""

from __future__ import annotations

import json
import logging
import traceback

import pytest

from llm_server import Turn, llm_server, refusal
from plumbline_backend.domain.errors import InputError
from plumbline_backend.judges.llm.batch import Llm
from plumbline_backend.judges.llm.cache import AnswerCache
from plumbline_backend.judges.llm.client import Prompt
from plumbline_backend.judges.llm.endpoint import Endpoint, endpoint_from
from plumbline_backend.judges.llm.grader import BinaryVerdict
from plumbline_backend.judges.llm.retries import EndpointError
from plumbline_backend.settings import load_settings

CANARY = "sk-canary-4b1d0f7c9e"
GOOD = json.dumps({"explanation": "x", "verdict": "pass"})


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("CANARY_KEY", CANARY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-endpoint")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-another-endpoint")


async def grade(asks, thing):
    return await asks.ask(Prompt("judge", thing, "t"), BinaryVerdict)


def llm_at(url, cache=None, key_env="CANARY_KEY"):
    return Llm(Endpoint(base_url=url, model="m", key_env=key_env, attempts=1), cache)


def test_the_key_goes_into_the_header_and_not_into_the_cache(tmp_path):
    with llm_server(Turn(GOOD)) as server:
        llm_at(server.url, AnswerCache(tmp_path)).run(["a"], grade, lambda *_: None)
    assert server.headers[0]["authorization"] == f"Bearer {CANARY}"
    assert "openai-organization" not in server.headers[0]
    assert CANARY not in json.dumps(server.requests)
    kept = [path.read_text() for path in tmp_path.rglob("*.json")]
    assert len(kept) == 1
    assert CANARY not in kept[0]


def test_an_endpoint_without_keys_is_sent_none():
    with llm_server(Turn(GOOD)) as server:
        llm_at(server.url, key_env="").run(["a"], grade, lambda *_: None)
    assert server.headers[0]["authorization"] == "Bearer none"


@pytest.mark.parametrize(
    "turn",
    [
        refusal(f"Incorrect API key provided: {CANARY}", 401),
        refusal(f"your key {CANARY} is bad", 404),
        refusal(f"bad request by {CANARY}", 400),
        Turn(f"your key is {CANARY}"),
        Turn(body=CANARY.encode()),
        Turn(status=500, body=f"trace: Authorization: Bearer {CANARY}".encode()),
    ],
)
def test_an_endpoint_that_repeats_the_key_is_not_repeated(turn, caplog):
    caplog.set_level(logging.DEBUG)
    with llm_server(turn) as server:
        llm = llm_at(server.url)
        try:
            (said,) = llm.run(["a"], grade, lambda *_: None)
            told = said.error
        except EndpointError as error:
            told = "".join(traceback.format_exception(error))
    assert told
    assert CANARY not in told
    assert CANARY not in caplog.text
    assert CANARY not in repr(llm.endpoint)


def test_a_missing_key_is_named_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("CANARY_KEY")
    with llm_server(Turn(GOOD)) as server, pytest.raises(InputError, match="CANARY_KEY: not set"):
        llm_at(server.url).run(["a"], grade, lambda *_: None)
    assert server.requests == []


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("ftp://example.org", "expected an http"),
        ("https://user:secret@example.org/v1", "bare address"),
        ("https://example.org/v1?key=secret", "bare address"),
        ("http://example.org/v1", "in the clear"),
        ("", "no language model is set up"),
    ],
)
def test_addresses_that_would_leak_are_refused(base_url, words):
    settings = load_settings(overrides={"llm_base_url": base_url, "llm_model": "m"}, environment={})
    with pytest.raises(InputError, match=words) as refused:
        endpoint_from(settings)
    assert "secret" not in str(refused.value)


def test_every_wrong_setting_is_named_at_once():
    settings = load_settings(
        overrides={"llm_base_url": "https://example.org", "llm_structured": "jsonschema"}, environment={}
    )
    with pytest.raises(InputError) as refused:
        endpoint_from(settings)
    assert "llm_model: empty" in str(refused.value)
    assert "did you mean 'json_schema'" in str(refused.value)
