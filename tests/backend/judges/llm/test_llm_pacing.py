"""How long a call waits and how many run at once: the waits' distribution, and the throttle step by step."""

from __future__ import annotations

import asyncio
import random
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import httpx2
import numpy as np
import pytest
from openai import APIConnectionError, InternalServerError, RateLimitError
from scipy import stats

from loops import run_aside
from plumbline_backend.judges.llm import retries
from plumbline_backend.judges.llm.retries import FIRST_WAIT_S, LONGEST_WAIT_S, waiting
from plumbline_backend.judges.llm.throttle import START, Throttle

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
LOST = APIConnectionError(request=REQUEST)


def answered(status: int, **headers: str) -> Exception:
    """The error of an answer with this status."""
    kind = RateLimitError if status == 429 else InternalServerError
    response = httpx2.Response(status, request=REQUEST, headers=headers)
    return kind("no", response=response, body=None)


def state(attempt: int, error: Exception) -> Any:
    """What tenacity tells of a failed attempt."""
    return SimpleNamespace(attempt_number=attempt, outcome=SimpleNamespace(exception=lambda: error))


def test_waits_are_uniform_over_a_range_that_doubles() -> None:
    """Full jitter: after attempt k, uniform over [0, 0.5 * 2^k] seconds, and never more than a minute."""
    wait = waiting(random.Random(0), lambda _: None)
    for attempt, longest in [(1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (30, 60.0)]:
        assert longest == min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
        seconds = np.array([wait(state(attempt, LOST)) for _ in range(2000)])
        assert seconds.min() >= 0
        assert seconds.max() <= longest
        assert stats.kstest(seconds / longest, "uniform").pvalue > 0.001


def test_the_waits_of_one_seed_are_the_same_and_of_another_are_not() -> None:
    """So that callers who failed together do not come back together."""
    first, again, other = (
        [waiting(random.Random(seed), lambda _: None)(state(1, LOST)) for _ in range(3)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first[0] == pytest.approx(random.Random(1).uniform(0, 1.0))
    assert first != other


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0.25", 0.25), ("900", 60.0), ("-3", 0.0), ("soon", 0.0), ("", 0.0)],
)
def test_an_answer_that_asks_for_a_wait_is_never_undercut(header: str, seconds: float) -> None:
    told: list[float] = []
    wait = waiting(random.Random(0), told.append)
    waits = [wait(state(1, answered(429, **{"retry-after": header}))) for _ in range(50)]
    assert told == [seconds] * 50
    assert min(waits) >= seconds
    if seconds >= 1:
        assert set(waits) == {seconds}  # longer than the whole range of the first wait
    else:
        assert len(set(waits)) > 40


def test_a_wait_may_be_asked_for_as_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries.time, "time", lambda: 1_000_000.0)
    at = formatdate(1_000_012, usegmt=True)
    assert retries.retry_after_s(answered(503, **{"retry-after": at})) == 12.0


def test_only_too_many_requests_slow_the_others_down() -> None:
    told: list[float] = []
    wait = waiting(random.Random(0), told.append)
    wait(state(1, answered(503, **{"retry-after": "2"})))
    wait(state(1, LOST))
    assert told == []


def test_a_refusal_halves_the_calls_at_once_and_successes_add_one_a_round() -> None:
    """From 4: eight rounds of successes lead to the limit of 8; refusals to 4, 2, 1 and no further."""

    async def steps() -> None:
        throttle = Throttle(8)
        assert throttle.allowed == START == 4
        for _ in range(4):  # a round: each adds a quarter, a little less as it grows
            throttle.succeeded()
        assert 4 <= throttle.allowed <= 5
        for _ in range(60):
            throttle.succeeded()
        assert throttle.allowed == 8
        allowed = []
        for _ in range(4):
            throttle.refused(0.0)
            allowed.append(throttle.allowed)
        assert allowed == [4, 2, 1, 1]
        throttle.succeeded()
        assert throttle.allowed == 2

    run_aside(steps())


def test_no_more_run_at_once_than_are_allowed_and_none_during_a_pause() -> None:
    async def steps() -> tuple[int, int, float, float]:
        throttle, loop = Throttle(8), asyncio.get_running_loop()
        running = most = 0
        begun: list[float] = []

        async def call() -> None:
            nonlocal running, most
            async with throttle.slot():
                begun.append(loop.time())
                running += 1
                most = max(most, running)
                await asyncio.sleep(0.005)
                running -= 1

        await asyncio.gather(*[call() for _ in range(20)])
        first, most = most, 0
        throttle.refused(0.2)
        paused_at = loop.time()
        begun.clear()
        await asyncio.gather(*[call() for _ in range(10)])
        return first, most, min(begun), paused_at

    first, later, began, paused_at = run_aside(steps())
    assert (first, later) == (4, 2)
    assert began - paused_at >= 0.19
