"""Which failures of a call pass by themselves, and how long to wait for that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from httpx2 import HTTPError
from openai import APIConnectionError, APIStatusError, RateLimitError
from tenacity import RetryCallState

from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.judges.llm.transport import TooManyBytesError
from plumbline_backend.judges.llm.wire import UnreadableError

LONGEST_WAIT_S = 60.0
FIRST_WAIT_S = 0.5
PASSING = frozenset({408, 409, 429})
REFUSING = frozenset({401, 402, 403, 404, 405})
"""Answers that every other call of the run would get too."""


class EndpointError(PlumblineError):
    """The endpoint does not serve this run at all: wrong key, no such model, no money, nobody there."""


def is_passing(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    if isinstance(error, APIStatusError):
        return (error.status_code in PASSING or error.status_code >= 500) and not is_refusing(error)
    if isinstance(error, TooManyBytesError):
        return False
    return isinstance(error, APIConnectionError | HTTPError | UnreadableError)


def is_refusing(error: BaseException) -> bool:
    """Whether no call of this run can succeed. An account without money answers 429, as a hasty caller is answered."""
    if not isinstance(error, APIStatusError):
        return False
    return (
        error.status_code in REFUSING
        or 300 <= error.status_code < 400
        or error.code in ("insufficient_quota", "billing_not_active")
    )


def waiting(rng: random.Random, slow_down: Callable[[float], None]) -> Callable[[RetryCallState], float]:
    """Seconds before the next attempt: full jitter over a doubling range, and never less than Retry-After.

    Source: Brooker, "Exponential backoff and jitter" (2015). `slow_down` is told of every 429 with the seconds.
    """

    def wait(state: RetryCallState) -> float:
        error = None if state.outcome is None else state.outcome.exception()
        asked = retry_after_s(error)
        seconds = max(asked, rng.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**state.attempt_number)))
        if isinstance(error, RateLimitError):
            slow_down(asked)
        return seconds

    return wait


def retry_after_s(error: BaseException | None) -> float:
    """What the endpoint asked to wait, in seconds or as a date; 0 when nothing readable, at most a minute."""
    if not isinstance(error, APIStatusError):
        return 0.0
    value = error.response.headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(LONGEST_WAIT_S, seconds) if seconds > 0 else 0.0


def in_words(error: BaseException) -> str:
    """A failure as a person reads it, without what the endpoint said about the key."""
    if isinstance(error, APIStatusError):
        if error.status_code in (401, 403):
            return f"the endpoint answered {error.status_code}: the key was refused"
        return f"the endpoint answered {error.status_code}: {error.message}"
    if isinstance(error, APIConnectionError):
        cause = error.__cause__
        return f"no connection to the endpoint: {type(cause or error).__name__} {cause or ''}".strip()
    return str(error) or type(error).__name__
