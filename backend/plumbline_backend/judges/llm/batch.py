"""Runs questions over many things at once, with progress and cancel; and says before what that would cost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from plumbline_backend.judges.llm.budget import Budget, Usage, cost_usd, likely_usage, most_usage
from plumbline_backend.judges.llm.cache import AnswerCache
from plumbline_backend.judges.llm.client import Asking, Prompt, Tally, cache_key, messages_of, texts_of
from plumbline_backend.judges.llm.endpoint import Endpoint
from plumbline_backend.judges.llm.scripted import ScriptedModel
from plumbline_backend.judges.llm.transport import address, http_client
from plumbline_backend.judges.llm.wire import Answer, Said

REPORT_EVERY_S = 0.2
Thing = TypeVar("Thing")
Result = TypeVar("Result")
Report = Callable[[float, str], None]
"""Progress in [0, 1] and a message. Raising inside it cancels the run."""


class Asks(Protocol):
    """What a grader is given to ask with."""

    async def ask(
        self, prompt: Prompt, shape: type[Answer], *, repeat: int = 0, logprobs: bool = False
    ) -> Said[Answer]:
        """One question to the model."""
        ...


Grader = Callable[[Asks, Thing], Awaitable[Result]]


@dataclass(frozen=True)
class Estimate:
    """What a run would take. Costs are in USD; None where the endpoint's prices are not known."""

    calls: int
    cached: int
    likely: Usage
    most: Usage
    likely_usd: float | None
    most_usd: float | None


class Llm:
    """A model within limits. One value serves one run: budget and tally are its own."""

    def __init__(
        self,
        endpoint: Endpoint,
        cache: AnswerCache | None = None,
        limit_usd: float | None = None,
        limit_tokens: int | None = None,
        scripted: ScriptedModel | None = None,
        seed: int | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.budget = Budget(endpoint, limit_usd, limit_tokens)
        self.tally = Tally()
        self._cache = cache
        self._scripted = scripted
        self._seed = seed

    def run(
        self,
        things: Sequence[Thing],
        grade: Grader[Thing, Result],
        report: Report,
        on_result: Callable[[Thing, Result], None] | None = None,
    ) -> list[Result]:
        """`grade` of each thing, in their order; `on_result` is called by one thread as each is there.

        Raises what `report` raises (a cancel), InputError without a key, EndpointError when nobody answers; every
        answer that was readable is in the cache by then, so that the same run again goes on from there.
        """
        key = self.endpoint.key()
        return _completed(self._run(key, things, grade, report, on_result))

    def estimate(self, things: Sequence[Thing], grade: Grader[Thing, Result]) -> Estimate:
        """What `run` would ask: nothing is sent. A second round of a committee is counted as if it took place."""
        planned = _Planning(self.endpoint, self._cache)

        async def plan() -> None:
            for thing in things:
                await grade(planned, thing)

        _completed(plan())
        return planned.estimate()

    async def _run(
        self,
        key: str | None,
        things: Sequence[Thing],
        grade: Grader[Thing, Result],
        report: Report,
        on_result: Callable[[Thing, Result], None] | None,
    ) -> list[Result]:
        results: dict[int, Result] = {}
        async with http_client(self.endpoint, self._scripted) as http:
            asking = Asking(
                self.endpoint,
                key,
                http,
                address(self.endpoint),
                self._cache,
                self.budget,
                self.tally,
                random.Random(self._seed),
            )

            async def one(index: int) -> None:
                results[index] = await grade(asking, things[index])
                if on_result is not None:
                    on_result(things[index], results[index])

            await _all(
                [asyncio.create_task(one(index)) for index in range(len(things))],
                lambda: report(len(results) / max(1, len(things)), self._in_words(len(results), len(things))),
            )
        return [results[index] for index in range(len(things))]

    def _in_words(self, done: int, total: int) -> str:
        cost = self.budget.spent_usd
        parts = [f"{done:,} of {total:,}"]
        parts += [f"{self.tally.cached:,} from the cache"] if self.tally.cached else []
        parts += [f"{self.tally.unread:,} without a readable answer"] if self.tally.unread else []
        parts += [f"{self.tally.retries:,} retries"] if self.tally.retries else []
        parts.append(f"{self.tally.usage.total:,} tokens" if cost is None else f"${cost:,.4f}")
        return " · ".join(parts)


class _Planning:
    """Counts the questions instead of asking them."""

    def __init__(self, endpoint: Endpoint, cache: AnswerCache | None) -> None:
        self._endpoint = endpoint
        self._cache = cache
        self._calls, self._cached = 0, 0
        self._likely, self._most = Usage(), Usage()

    async def ask(
        self, prompt: Prompt, shape: type[Answer], *, repeat: int = 0, logprobs: bool = False
    ) -> Said[Answer]:
        key = cache_key(self._endpoint, prompt, shape, repeat, logprobs)
        if self._cache is not None and self._cache.get(key) is not None:
            self._cached += 1
            return Said(None, "planned")
        texts = texts_of(messages_of(prompt, shape))
        self._calls += 1
        self._likely = self._likely + likely_usage(texts)
        self._most = self._most + most_usage(texts, self._endpoint.max_tokens)
        return Said(None, "planned")

    def estimate(self) -> Estimate:
        return Estimate(
            calls=self._calls,
            cached=self._cached,
            likely=self._likely,
            most=self._most,
            likely_usd=cost_usd(self._likely, self._endpoint),
            most_usd=cost_usd(self._most, self._endpoint),
        )


async def _all(tasks: Sequence[asyncio.Task[None]], tell: Callable[[], None]) -> None:
    """Wait for every task and tell how it goes; the first that fails, or a cancel from `tell`, ends all."""
    pending = set(tasks)
    try:
        while pending:
            done, pending = await asyncio.wait(
                pending, timeout=REPORT_EVERY_S, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in done:
                task.result()
            tell()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _completed(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What the coroutine returns, from an event loop of its own; in a thread of its own where this one runs a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1, thread_name_prefix="llm") as aside:
        return aside.submit(asyncio.run, coroutine).result()
