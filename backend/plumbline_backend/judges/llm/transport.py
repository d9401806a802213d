"""The HTTP connection under the openai client: bounded in bytes, or the scripted model in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from plumbline_backend.judges.llm.endpoint import Endpoint
from plumbline_backend.judges.llm.scripted import ScriptedModel
from plumbline_backend.judges.llm.wire import UnreadableError
from plumbline_backend.net_guard import guarded_async_transport

CONNECT_TIMEOUT_S = 10.0
SCRIPTED_URL = "http://scripted.invalid/v1"


class TooManyBytesError(UnreadableError):
    """The endpoint sent more than is read of a response."""


class CappedStream(httpx2.AsyncByteStream):
    """A response's bytes as they come, up to `max_bytes`. Compressed ones are refused: their size tells nothing."""

    def __init__(self, stream: AsyncIterator[bytes], max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for part in self._stream:
            seen += len(part)
            if seen > self._max_bytes:
                raise TooManyBytesError(
                    f"the endpoint sent more than {self._max_bytes:,} bytes; reading stopped there"
                )
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]


class ScriptedTransport(httpx2.AsyncBaseTransport):
    """Hands requests to a scripted model in this process, as its server would."""

    def __init__(self, model: ScriptedModel) -> None:
        self._model = model

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        status, body = self._model.respond(await request.aread())
        return httpx2.Response(status, content=body, headers={"content-type": "application/json"})


def http_client(endpoint: Endpoint, scripted: ScriptedModel | None = None) -> httpx2.AsyncClient:
    """A client for one event loop. It follows no redirect, so that the key goes to one address only.

    The administrator names the endpoint, so it may be on this machine; the addresses where clouds keep keys it is not.
    """

    async def cap(response: httpx2.Response) -> None:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise TooManyBytesError(f"the endpoint sent {encoding!r} content, which was not asked for")
        response.stream = CappedStream(response.stream, endpoint.max_bytes)  # type: ignore[arg-type]

    if endpoint.is_scripted:
        return httpx2.AsyncClient(transport=ScriptedTransport(scripted or ScriptedModel()))
    return httpx2.AsyncClient(
        event_hooks={"response": [cap]},
        headers={"accept-encoding": "identity"},
        timeout=httpx2.Timeout(endpoint.deadline_s, connect=min(CONNECT_TIMEOUT_S, endpoint.deadline_s)),
        transport=guarded_async_transport(
            "private", limits=httpx2.Limits(max_connections=endpoint.concurrency)
        ),
        follow_redirects=False,
    )


def address(endpoint: Endpoint) -> str:
    """The base address that the openai client is given."""
    return SCRIPTED_URL if endpoint.is_scripted else endpoint.base_url
