"""What an endpoint may send, and how an answer is read from it. Everything that came over the network is checked."""

from __future__ import annotations

import json
import re
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plumbline_backend.domain.errors import shorten

Answer = TypeVar("Answer", bound=BaseModel)
FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
MAX_PROBLEMS = 5


class UnreadableError(Exception):
    """A response or an answer that does not say what was asked; the message says why, for model and person."""


class Shape(BaseModel):
    """An answer as the model must give it: exactly these fields, of exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TopToken(BaseModel):
    """A token that could have been at this place, with its log-probability."""

    token: str
    logprob: float


class Token(TopToken):
    """A token of the answer, with the likeliest others."""

    top_logprobs: list[TopToken] = Field(default_factory=list)


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Logprobs(BaseModel):
    content: list[Token] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class Completion(BaseModel):
    """The parts of a chat completion that are used."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None

    @property
    def tokens(self) -> list[Token]:
        """The answer's tokens with log-probabilities; empty where the endpoint offers none."""
        logprobs = self.choices[0].logprobs
        return (logprobs.content or []) if logprobs is not None else []

    def text(self) -> str:
        """What the model said. Raises UnreadableError when it refused, said nothing, or was cut off."""
        choice = self.choices[0]
        if choice.message.refusal:
            raise UnreadableError(f"the model refused: {shorten(choice.message.refusal, 200)}")
        if choice.finish_reason == "length":
            raise UnreadableError("the answer was cut off at the longest length that was asked for")
        if choice.finish_reason == "content_filter":
            raise UnreadableError("the endpoint's content filter withheld the answer")
        if not (choice.message.content or "").strip():
            raise UnreadableError("the answer is empty")
        return str(choice.message.content)


def read_completion(body: bytes | str) -> Completion:
    """A response's body. Raises UnreadableError when it is no chat completion."""
    try:
        return Completion.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableError(f"the response is no chat completion: {_problems(error)}") from None


def read_answer(text: str, shape: type[Answer]) -> Answer:
    """The answer in its shape; a fence of backquotes around it is taken off. Raises UnreadableError."""
    fenced = FENCED.match(text)
    try:
        return shape.model_validate_json(fenced.group(1) if fenced else text)
    except ValidationError as error:
        raise UnreadableError(_problems(error)) from None


def response_format(shape: type[BaseModel], structured: str) -> dict[str, Any] | None:
    """The request's `response_format` for this way of asking for structure; None asks in words only."""
    if structured == "json_object":
        return {"type": "json_object"}
    if structured == "json_schema":
        schema = {"name": shape.__name__.lower(), "strict": True, "schema": shape.model_json_schema()}
        return {"type": "json_schema", "json_schema": schema}
    return None


def schema_in_words(shape: type[BaseModel]) -> str:
    """The shape as a line of the prompt, for models that do not enforce schemas (and it helps those that do)."""
    return "Answer with one JSON object of this JSON schema and nothing else:\n" + json.dumps(
        shape.model_json_schema(), ensure_ascii=False
    )


def _problems(error: ValidationError) -> str:
    found = [
        f"{'.'.join(str(part) for part in each['loc']) or 'the whole'}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False)
    ]
    more = f" and {len(found) - MAX_PROBLEMS} more" if len(found) > MAX_PROBLEMS else ""
    return "; ".join(found[:MAX_PROBLEMS]) + more


class Said(Generic[Answer]):
    """What one question to the model brought: an answer, or in words why there is none.

    unanswered: nothing came that could be read or not, so that the same question later may be answered.
    """

    def __init__(
        self,
        answer: Answer | None,
        error: str = "",
        tokens: list[Token] | None = None,
        cached: bool = False,
        unanswered: bool = False,
    ) -> None:
        self.answer = answer
        self.error = error
        self.tokens = tokens or []
        self.cached = cached
        self.unanswered = unanswered
