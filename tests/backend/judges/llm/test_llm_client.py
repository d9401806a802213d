"""The client against a real HTTP server that does what endpoints do on bad days."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest

from llm_server import LlmServer, Turn, llm_server, refusal
from plumbline_backend.domain.errors import InputError
from plumbline_backend.jobs.runner import Cancelled
from plumbline_backend.judges.llm.batch import Llm
from plumbline_backend.judges.llm.cache import AnswerCache
from plumbline_backend.judges.llm.client import Prompt
from plumbline_backend.judges.llm.endpoint import Endpoint
from plumbline_backend.judges.llm.grader import BinaryVerdict
from plumbline_backend.judges.llm.retries import EndpointError

GOOD = json.dumps({"explanation": "says why", "verdict": "pass"})
PRICES = {"price_in": 1.0, "price_out": 10.0}


def silent(progress: float, message: str) -> None:
    """A report that nobody reads."""


def ask(url, things=("one",), cache=None, limit_usd=None, limit_tokens=None, report=silent, **options):
    """One question per thing; returns what was said and the Llm that asked."""
    options = {"deadline_s": 5.0, "attempts": 3, **options}
    llm = Llm(Endpoint(base_url=url, model="m", **options), cache, limit_usd, limit_tokens, seed=0)

    async def grade(asks, thing):
        return await asks.ask(Prompt("judge", thing, "t"), BinaryVerdict)

    return llm.run(list(things), grade, report), llm


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr("plumbline_backend.judges.llm.retries.FIRST_WAIT_S", 0.01)


def test_a_good_answer_is_read_with_its_usage():
    with llm_server(Turn(GOOD)) as server:
        (said,), llm = ask(server.url, **PRICES)
    assert said.answer == BinaryVerdict(explanation="says why", verdict="pass")
    assert llm.tally.calls == 1
    # 100 prompt tokens at $1 and 20 answer tokens at $10 per million
    assert llm.budget.spent_usd == pytest.approx((100 * 1 + 20 * 10) / 1e6)
    (request,) = server.requests
    assert request["temperature"] == 0
    assert request["response_format"]["json_schema"]["schema"]["additionalProperties"] is False


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_what_passes_by_itself_is_tried_again(status):
    with llm_server(Turn(status=status), Turn(GOOD)) as server:
        (said,), llm = ask(server.url)
    assert said.answer is not None
    assert (llm.tally.calls, llm.tally.retries) == (2, 1)


def test_retry_after_is_waited_for_and_halves_the_calls_at_once():
    with llm_server(Turn(status=429, headers={"retry-after": "0.4"}), Turn(GOOD)) as server:
        began = time.monotonic()
        (said,), _ = ask(server.url)
    assert said.answer is not None
    assert time.monotonic() - began >= 0.4


def test_attempts_end_and_say_what_the_last_one_said():
    with llm_server(Turn("overloaded", status=503)) as server:
        (said,), llm = ask(server.url)
    assert said.answer is None
    assert "503" in said.error
    assert "overloaded" in said.error
    assert (llm.tally.calls, llm.tally.unread) == (3, 1)


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (refusal("no", 401), "the key was refused"),
        (refusal("no such model", 404), "no such model"),
        (refusal("you have no money", 429, code="insufficient_quota"), "no money"),
        (Turn(status=307, headers={"location": "http://127.0.0.1:9/"}), "307"),
    ],
)
def test_what_no_call_can_mend_ends_the_run_at_once(turn, words):
    with llm_server(turn) as server, pytest.raises(EndpointError, match=words):
        ask(server.url, [str(i) for i in range(50)], concurrency=1)
    assert len(server.requests) == 1


def test_nobody_there_ends_the_run_after_ten_questions():
    with pytest.raises(EndpointError, match="10 questions failed and none was answered: no connection"):
        ask("http://127.0.0.1:9/v1", [str(i) for i in range(100)], attempts=1)


def test_one_refused_question_does_not_end_the_run():
    def play(request):
        long = "too long" in request["messages"][1]["content"]
        return refusal("maximum context length is 10 tokens") if long else Turn(GOOD)

    with LlmServer(play) as server:
        said, llm = ask(server.url, ["a", "too long", "b"])
    assert [each.answer is not None for each in said] == [True, False, True]
    assert "maximum context length" in said[1].error
    assert llm.tally.unread == 1


def test_a_stalled_endpoint_is_left_after_the_deadline():
    with llm_server(Turn(GOOD, delay_s=3)) as server:
        began = time.monotonic()
        (said,), llm = ask(server.url, deadline_s=0.5, **PRICES)
    assert time.monotonic() - began < 1.5
    assert said.error == "no answer within 0.5 seconds"
    # what the attempt may have cost is booked in full: nobody knows how far the model came
    assert llm.budget.spent.completion_tokens == 1024
    assert llm.budget.reserved.total == 0


def test_slow_bytes_count_against_the_same_deadline():
    with llm_server(Turn(GOOD, drip_s=0.05)) as server:
        began = time.monotonic()
        (said,), _ = ask(server.url, deadline_s=0.6)
    assert time.monotonic() - began < 1.5
    assert "0.6 seconds" in said.error


def test_an_endless_response_is_cut_at_the_byte_cap():
    with llm_server(Turn(body=b" " * 3_000_000)) as server:
        (said,), llm = ask(server.url, max_bytes=100_000)
    assert "more than 100,000 bytes" in said.error
    assert llm.tally.calls == 1


def test_compressed_content_that_was_not_asked_for_is_refused():
    with llm_server(Turn(GOOD, headers={"content-encoding": "gzip"})) as server:
        (said,), _ = ask(server.url)
    assert "'gzip' content" in said.error


@pytest.mark.parametrize(
    "body",
    [
        b"<html>502 bad gateway</html>",
        b'{"choices": [',
        b'{"choices": []}',
        b'{"object": "list"}',
        b"\xff\xfe\x00",
        b'{"choices": [{"message": {"content": 7}}]}',
        b"",
    ],
)
def test_a_body_that_is_no_completion_is_tried_again_then_an_error(body):
    with llm_server(Turn(body=body)) as server:
        (said,), llm = ask(server.url)
    assert said.answer is None
    assert "no chat completion" in said.error
    assert llm.tally.calls == 3


def test_a_broken_connection_is_tried_again():
    with llm_server(Turn(GOOD, close_early=True), Turn(GOOD)) as server:
        (said,), llm = ask(server.url)
    assert said.answer is not None
    assert llm.tally.retries == 1


@pytest.mark.parametrize(
    "text",
    ["I think it is fine", '{"verdict": "pass"}', '{"explanation": "x", "verdict": "good"}', "[1]",
     '{"explanation": "x", "verdict": "pass", "bonus": 1}', '{"explanation": 5, "verdict": "pass"}', "  "],
)  # fmt: skip
def test_a_wrong_answer_is_repaired_once(text):
    with llm_server(Turn(text), Turn(GOOD)) as server:
        (said,), llm = ask(server.url)
    assert said.answer is not None
    assert (llm.tally.repaired, llm.tally.calls) == (1, 2)
    again = server.requests[1]["messages"]
    assert [message["role"] for message in again] == ["system", "user", "assistant", "user"]
    assert "could not be read" in again[3]["content"]


def test_a_second_wrong_answer_is_an_error_never_a_verdict():
    with llm_server(Turn("fine"), Turn('{"verdict": "pass"}')) as server:
        (said,), llm = ask(server.url)
    assert said.answer is None
    assert "asked again: explanation: Field required" in said.error
    assert (llm.tally.calls, llm.tally.unread) == (2, 1)


def test_an_answer_in_a_code_fence_is_read():
    with llm_server(Turn(f"```json\n{GOOD}\n```")) as server:
        (said,), llm = ask(server.url, structured="text")
    assert said.answer is not None
    assert llm.tally.calls == 1
    assert "response_format" not in server.requests[0]


def test_an_answer_that_was_cut_off_is_not_believed():
    with llm_server(Turn(GOOD, finish_reason="length")) as server:
        (said,), _ = ask(server.url)
    assert "cut off" in said.error


def test_parameters_that_the_model_refuses_are_left_out_and_noted():
    def play(request):
        if "max_tokens" in request:
            return refusal("Unsupported parameter: use max_completion_tokens", param="max_tokens")
        if "temperature" in request:
            return refusal("temperature does not support 0", param="temperature")
        return Turn(GOOD)

    with LlmServer(play) as server:
        said, llm = ask(server.url, ["one", "two"], concurrency=1)
    assert all(each.answer is not None for each in said)
    assert server.requests[-1]["max_completion_tokens"] == 1024
    assert llm.tally.calls == 4  # two parameters are found out once
    assert llm.tally.notes == ["the model does not take temperature; the run goes on without"]


def test_the_cache_answers_the_same_question_and_nothing_else(tmp_path):
    cache = AnswerCache(tmp_path)
    with llm_server(Turn(GOOD)) as server:
        ask(server.url, ["a", "b"], cache)
        said, llm = ask(server.url, ["a", "b", "c"], cache)
        assert (llm.tally.cached, llm.tally.calls) == (2, 1)
        assert all(each.answer is not None for each in said)
        for change in ({"max_tokens": 99}, {"structured": "text"}):
            _, other = ask(server.url, ["a"], cache, **change)
            assert other.tally.cached == 0
    with llm_server(Turn(GOOD)) as elsewhere:
        _, other = ask(elsewhere.url, ["a"], cache)
        assert other.tally.cached == 0


def test_errors_are_not_cached_and_damaged_files_are_asked_again(tmp_path, caplog):
    cache = AnswerCache(tmp_path)
    with llm_server(Turn("nonsense")) as server:
        ask(server.url, cache=cache)
    assert list(tmp_path.rglob("*.json")) == []
    with llm_server(Turn(GOOD)) as server:
        ask(server.url, cache=cache)
        (path,) = tmp_path.rglob("*.json")
        path.write_text('{"answer": "half')
        _, llm = ask(server.url, cache=cache)
        assert llm.tally.calls == 1
        path.write_text('{"answer": "{}"}')
        _, llm = ask(server.url, cache=cache)
    assert llm.tally.calls == 1
    assert "damaged" in caplog.text


def test_the_budget_is_never_exceeded_and_the_rest_is_told():
    # Each call reserves one token per byte of the prompt and 100 for the answer, and uses 120.
    with llm_server(Turn(GOOD)) as server:
        said, llm = ask(server.url, [f"{i}" for i in range(40)], limit_tokens=3000, max_tokens=100)
    answered = sum(each.answer is not None for each in said)
    assert 5 < answered < 25
    assert llm.budget.spent.total <= 3000
    assert len(server.requests) == answered
    assert said[-1].error == "not asked: the budget of 3,000 tokens is spent"


def test_a_budget_in_money_needs_prices():
    with pytest.raises(InputError, match="prices of 'm' are not known"):
        ask("http://127.0.0.1:9/v1", limit_usd=1.0)


def test_usage_that_is_not_reported_counts_at_its_upper_bound():
    with llm_server(Turn(GOOD, usage=None)) as server:
        _, llm = ask(server.url)
    assert llm.budget.spent.completion_tokens == 1024
    assert llm.tally.notes == ["the endpoint does not report usage; costs are counted at their upper bound"]


def test_calls_at_once_stay_within_the_limit_and_grow_to_it():
    with llm_server(Turn(GOOD, delay_s=0.2)) as server:  # longer than a busy machine takes to begin six calls
        ask(server.url, [str(i) for i in range(120)], concurrency=6)
    assert server.most_at_once == 6


def test_a_cancel_stops_within_a_second_and_the_next_run_goes_on(tmp_path):
    def stop_soon(progress, _):
        if progress > 0.05:
            raise Cancelled

    cache = AnswerCache(tmp_path)
    with llm_server(Turn(GOOD, delay_s=0.05)) as server:
        began = time.monotonic()
        with pytest.raises(Cancelled):
            ask(server.url, [str(i) for i in range(200)], cache, report=stop_soon)
        assert time.monotonic() - began < 3
        kept = len(list(tmp_path.rglob("*.json")))
        assert 5 <= kept < 100
        messages = []
        _, llm = ask(server.url, [str(i) for i in range(200)], cache, report=lambda _, m: messages.append(m))
    assert llm.tally.cached == kept
    assert llm.tally.calls == 200 - kept
    assert messages[-1].startswith(f"200 of 200 · {kept} from the cache")


def test_the_estimate_sends_nothing_and_bounds_the_cost(tmp_path):
    cache = AnswerCache(tmp_path)
    with llm_server(Turn(GOOD)) as server:
        ask(server.url, ["a"], cache, **PRICES)
        endpoint = Endpoint(base_url=server.url, model="m", deadline_s=5.0, attempts=3, **PRICES)

        async def grade(asks, thing):
            return await asks.ask(Prompt("judge", thing, "t"), BinaryVerdict)

        found = Llm(endpoint, cache).estimate(["a", "b", "c"], grade)
        assert len(server.requests) == 1
        _, llm = ask(server.url, ["a", "b", "c"], cache, **PRICES)
    assert (found.calls, found.cached) == (2, 1)
    assert found.likely_usd < found.most_usd
    assert llm.budget.spent_usd <= found.most_usd
    unknown = Llm(replace(endpoint, price_in=None), None).estimate(["a"], grade)
    assert unknown.likely_usd is None


def test_nothing_to_ask_is_no_run():
    said, llm = ask("http://127.0.0.1:9/v1", [])
    assert said == []
    assert llm.tally.calls == 0


def test_a_run_leaves_no_task_behind():
    with llm_server(Turn(GOOD)) as server:
        ask(server.url, ["a", "b"])
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
