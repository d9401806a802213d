"""Asks a model one question at a time: cached, within deadline and budget, checked, repaired once, else abstained.

A thin wrapper around the openai client, whose own retries are off so that each attempt is reserved, counted and
settled here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from httpx2 import HTTPError
from openai import APIStatusError, AsyncOpenAI, BadRequestError, OpenAIError
from pydantic import TypeAdapter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from plumbline_backend.domain.errors import PlumblineError, shorten
from plumbline_backend.judges.llm.budget import Budget, Usage, most_usage
from plumbline_backend.judges.llm.cache import AnswerCache, content_key
from plumbline_backend.judges.llm.endpoint import Endpoint
from plumbline_backend.judges.llm.retries import EndpointError, in_words, is_passing, is_refusing, waiting
from plumbline_backend.judges.llm.throttle import Throttle
from plumbline_backend.judges.llm.wire import (
    Answer,
    Completion,
    Said,
    Token,
    UnreadableError,
    read_answer,
    read_completion,
    response_format,
    schema_in_words,
)

TOP_LOGPROBS = 5
"""Alternatives per token; the most that several hosts give."""
OPTIONAL = ("logprobs", "temperature")
"""Parameters that some models refuse; a run goes on without them, and says so."""
HOPELESS_AFTER = 10
"""Questions that failed one after the other, with none answered: the endpoint is down for this run."""
BUDGET_POLL_S = 0.05
FAILURES = (OpenAIError, HTTPError, UnreadableError)
TOKENS = TypeAdapter(list[Token])
Messages = list[dict[str, str]]


class BudgetSpentError(PlumblineError):
    """The next call might cost more than what is left of the budget."""


@dataclass(frozen=True)
class Prompt:
    """What the model is told. `version` names the template, so that its change asks anew."""

    system: str
    user: str
    version: str


@dataclass
class Tally:
    """What a run did so far."""

    asked: int = 0
    cached: int = 0
    calls: int = 0
    retries: int = 0
    repaired: int = 0
    unread: int = 0
    usage: Usage = field(default_factory=Usage)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a remark for the person, once."""
        if text not in self.notes:
            self.notes.append(text)


class Asking:
    """The questions of one run, in one event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: str | None,
        http: Any,
        address: str,
        cache: AnswerCache | None,
        budget: Budget,
        tally: Tally,
        rng: random.Random,
    ) -> None:
        self._endpoint = endpoint
        self._key = key
        # A key must be given: without one the client would take OPENAI_API_KEY, whatever endpoint this is.
        self._client = AsyncOpenAI(api_key=key or "none", base_url=address, max_retries=0, http_client=http)
        self._client.organization = self._client.project = None
        self._cache = cache
        self._budget = budget
        self.tally = tally
        self._throttle = Throttle(endpoint.concurrency)
        self._rng = rng
        self._without: set[str] = set()
        self._failed_in_a_row = 0
        self._any_answered = False
        self._ended: str | None = None
        """Why no further call is made, once an answer has said that none can succeed."""

    async def ask(
        self, prompt: Prompt, shape: type[Answer], *, repeat: int = 0, logprobs: bool = False
    ) -> Said[Answer]:
        """The model's answer in `shape`, or why there is none. Raises EndpointError when nobody can answer.

        repeat: number of an independent repetition of the same question, which is asked anew.
        """
        self.tally.asked += 1
        key = cache_key(self._endpoint, prompt, shape, repeat, logprobs)
        if (known := self._known(key, shape)) is not None:
            self.tally.cached += 1
            return known
        async with self._throttle.slot():
            try:
                async with asyncio.timeout(self._endpoint.deadline_s):
                    said, completion = await self._ask_and_repair(
                        messages_of(prompt, shape), shape, logprobs, repeat
                    )
            except TimeoutError:
                late = f"no answer within {self._endpoint.deadline_s:g} seconds"
                said, completion = Said(None, late, unanswered=True), None
            except BudgetSpentError as error:
                self.tally.unread += 1
                return Said(None, str(error), unanswered=True)
        self._count(said, completion is not None)
        if said.answer is not None and completion is not None and self._cache is not None:
            tokens = TOKENS.dump_python(said.tokens)
            self._cache.put(key, {"answer": said.answer.model_dump_json(), "tokens": tokens})
        return said

    def _known(self, key: str, shape: type[Answer]) -> Said[Answer] | None:
        found = None if self._cache is None else self._cache.get(key)
        if found is None:
            return None
        try:
            tokens = TOKENS.validate_python(found.get("tokens", []))
            return Said(shape.model_validate_json(found["answer"]), tokens=tokens, cached=True)
        except (KeyError, ValueError):
            self.tally.note("an answer in the cache was not readable and is asked again")
            return None

    async def _ask_and_repair(
        self, messages: Messages, shape: type[Answer], logprobs: bool, repeat: int
    ) -> tuple[Said[Answer], Completion | None]:
        """Ask; when the answer cannot be read, say why and ask once more; then give up."""
        try:
            completion = await self._call(messages, shape, logprobs, repeat)
        except FAILURES as error:
            return Said(None, self._clean(in_words(error)), unanswered=_nothing_came(error)), None
        try:
            text = completion.text()
            return Said(read_answer(text, shape), tokens=completion.tokens), completion
        except UnreadableError as error:
            wrong = str(error)
        again: Messages = [
            *messages,
            {"role": "assistant", "content": shorten(completion.choices[0].message.content or "", 4000)},
            {"role": "user", "content": f"That could not be read: {wrong}.\n{schema_in_words(shape)}"},
        ]
        try:
            completion = await self._call(again, shape, logprobs, repeat)
            said = Said(read_answer(completion.text(), shape), tokens=completion.tokens)
        except FAILURES as error:
            both = f"the answer could not be read: {wrong}; asked again: {in_words(error)}"
            return Said(None, self._clean(both), unanswered=_nothing_came(error)), completion
        self.tally.repaired += 1
        return said, completion

    async def _call(self, messages: Messages, shape: type[Answer], logprobs: bool, repeat: int) -> Completion:
        """One completion, with retries. Raises EndpointError, BudgetSpentError, OpenAIError, UnreadableError."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._endpoint.attempts),
            wait=waiting(self._rng, self._throttle.refused),
            retry=retry_if_exception(is_passing),
            before_sleep=self._count_retry,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await self._call_once(messages, shape, logprobs, repeat)
        raise EndpointError("no attempt was made")

    async def _call_once(
        self, messages: Messages, shape: type[Answer], logprobs: bool, repeat: int
    ) -> Completion:
        """One completion, asked again at once where the model refuses a parameter that is not needed."""
        while True:
            if self._ended is not None:
                raise EndpointError(self._ended)
            try:
                return await self._attempt(messages, self._parameters(shape, logprobs, repeat))
            except BadRequestError as error:
                if not self._do_without(error):
                    raise
            except APIStatusError as error:
                if not is_refusing(error):
                    raise
                self._ended = self._clean(in_words(error))
                raise EndpointError(self._ended) from None

    async def _attempt(self, messages: Messages, parameters: dict[str, Any]) -> Completion:
        """One HTTP request. What an attempt whose end is unknown may have cost is booked in full."""
        most = most_usage([message["content"] for message in messages], self._endpoint.max_tokens)
        await self._reserve(most)
        self.tally.calls += 1
        used = most
        try:
            raw = await self._client.chat.completions.with_raw_response.create(
                model=self._endpoint.model,
                messages=messages,  # type: ignore[arg-type]
                **parameters,
            )
            completion = read_completion(raw.http_response.content)
            if completion.usage is not None:
                used = Usage(completion.usage.prompt_tokens, completion.usage.completion_tokens)
            else:
                self.tally.note("the endpoint does not report usage; costs are counted at their upper bound")
            self._throttle.succeeded()
            return completion
        except APIStatusError:
            used = Usage()
            raise
        finally:
            self._budget.settle(most, used)
            self.tally.usage = self._budget.spent

    async def _reserve(self, most: Usage) -> None:
        """Set aside what the call may cost, waiting while calls under way may give some back."""
        while not self._budget.reserve(most):
            if self._budget.reserved == Usage():
                raise BudgetSpentError(f"not asked: the budget of {self._budget.in_words()} is spent")
            await asyncio.sleep(BUDGET_POLL_S)

    def _parameters(self, shape: type[Answer], logprobs: bool, repeat: int) -> dict[str, Any]:
        found: dict[str, Any] = {
            "temperature": 0.0 if repeat == 0 else 0.7,
            "response_format": response_format(shape, self._endpoint.structured),
        }
        found["max_completion_tokens" if "max_tokens" in self._without else "max_tokens"] = (
            self._endpoint.max_tokens
        )
        if logprobs:
            found |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        if "logprobs" in self._without:
            found = {name: value for name, value in found.items() if "logprobs" not in name}
        if "temperature" in self._without:
            del found["temperature"]
        return {name: value for name, value in found.items() if value is not None}

    def _do_without(self, error: BadRequestError) -> bool:
        """Whether the model refused a parameter that it can be asked without; noted for the person."""
        named = f"{error.param or ''} {error.message}"
        for name in ("max_tokens", *OPTIONAL):
            if name in named and name not in self._without:
                self._without.add(name)
                if name != "max_tokens":
                    self.tally.note(f"the model does not take {name}; the run goes on without")
                return True
        return False

    def _count_retry(self, _: RetryCallState) -> None:
        self.tally.retries += 1

    def _count(self, said: Said[Answer], answered: bool) -> None:
        if said.answer is None:
            self.tally.unread += 1
        self._any_answered |= answered
        self._failed_in_a_row = 0 if answered else self._failed_in_a_row + 1
        if self._failed_in_a_row >= HOPELESS_AFTER and not self._any_answered:
            self._ended = f"{HOPELESS_AFTER} questions failed and none was answered: {said.error}"
            raise EndpointError(self._ended)

    def _clean(self, text: str) -> str:
        """Words of the endpoint, without the key, should it repeat it."""
        without = text.replace(self._key, "[key]") if self._key else text
        return shorten("".join(c if c.isprintable() else " " for c in without), 400)


def _nothing_came(error: BaseException) -> bool:
    """Whether the endpoint failed to answer for now; a refusal, and what cannot be read, are answers."""
    return is_passing(error) and not isinstance(error, UnreadableError)


def messages_of(prompt: Prompt, shape: type[Answer]) -> Messages:
    """The conversation that asks for an answer in `shape`."""
    return [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": f"{prompt.user}\n\n{schema_in_words(shape)}"},
    ]


def cache_key(endpoint: Endpoint, prompt: Prompt, shape: type[Answer], repeat: int, logprobs: bool) -> str:
    """Under which content an answer is kept: everything that could change it."""
    return content_key(
        {
            "endpoint": endpoint.base_url,
            "model": endpoint.model,
            "messages": messages_of(prompt, shape),
            "schema": response_format(shape, endpoint.structured),
            "parameters": {"max_tokens": endpoint.max_tokens, "logprobs": logprobs},
            "prompt_version": prompt.version,
            "repeat": repeat,
        }
    )


def texts_of(messages: Messages) -> Sequence[str]:
    """What is paid for."""
    return [message["content"] for message in messages]
