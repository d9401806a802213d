"""A scripted model: an OpenAI-compatible endpoint without a language model, for tests, demos and offline trials.

It answers by surface rules that it states in every explanation. It is no judge of quality, and says so.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from plumbline_backend.judges.llm.scripted_rules import Reply, answer_by_rules

PIECES = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")


class ChatMessage(BaseModel):
    """One message of the conversation."""

    role: str
    content: str


class ChatRequest(BaseModel):
    """The parts of a request that the script may look at."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = None
    logprobs: bool = False
    response_format: dict[str, Any] | None = None

    @property
    def shape(self) -> str:
        """Name of the schema that is asked for; empty when none is."""
        schema = (self.response_format or {}).get("json_schema", {})
        found = schema.get("schema", {}).get("title", "")
        if found:
            return str(found)
        titles = re.findall(r'"title": "(\w+)", "type": "object"\}', self.messages[-1].content)
        return str(titles[-1]) if titles else ""

    @property
    def text(self) -> str:
        """The first thing that the person said."""
        return next((m.content for m in self.messages if m.role == "user"), "")


Script = Callable[[ChatRequest], Reply]


class ScriptedModel:
    """Answers chat completions by a script; the default one follows `scripted_rules`. Same question, same answer."""

    def __init__(self, script: Script | None = None) -> None:
        self._script = script or (lambda request: answer_by_rules(request.shape, request.text))

    def respond(self, body: bytes) -> tuple[int, bytes]:
        """HTTP status and body for the body of a request to /chat/completions."""
        try:
            request = ChatRequest.model_validate_json(body)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            words = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems)
            return 400, _json({"error": {"message": words, "type": "invalid_request_error"}})
        return 200, _json(completion(request, self._script(request)))


def completion(request: ChatRequest, reply: Reply) -> dict[str, Any]:
    """A chat completion with this reply, as OpenAI's API gives it."""
    pieces = PIECES.findall(reply.text)
    cut = request.max_tokens is not None and len(pieces) > request.max_tokens
    pieces = pieces[: request.max_tokens] if cut else pieces
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(pieces)},
        "finish_reason": "length" if cut else "stop",
    }
    if request.logprobs:
        choice["logprobs"] = {"content": [_token(piece, reply) for piece in pieces]}
    prompt_tokens = sum(len(PIECES.findall(message.content)) for message in request.messages)
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [choice],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(pieces),
            "total_tokens": prompt_tokens + len(pieces),
        },
    }


def _token(piece: str, reply: Reply) -> dict[str, Any]:
    """A token with its log-probability; the answer's own token shows how sure the script is."""
    if reply.sure is None or piece.strip() not in reply.alternatives:
        return {"token": piece, "logprob": 0.0, "top_logprobs": [{"token": piece, "logprob": 0.0}]}
    others = [each for each in reply.alternatives if each != piece.strip()]
    share = (1 - reply.sure) / max(1, len(others))
    top = [{"token": piece, "logprob": math.log(reply.sure)}]
    top += [{"token": other, "logprob": math.log(max(share, 1e-9))} for other in others]
    return {"token": piece, "logprob": math.log(reply.sure), "top_logprobs": top}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
