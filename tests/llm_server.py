"""A real HTTP server that does as it is told, turn by turn: it answers, refuses, stalls, drips, or talks nonsense."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Turn:
    """What the server does with one request."""

    def __init__(
        self,
        text: str = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
        delay_s: float = 0.0,
        drip_s: float = 0.0,
        body: bytes | None = None,
        usage: tuple[int, int] | None = (100, 20),
        finish_reason: str = "stop",
        close_early: bool = False,
    ) -> None:
        self.text = text
        self.status, self.headers, self.delay_s, self.drip_s = status, headers or {}, delay_s, drip_s
        self.close_early = close_early
        message: dict[str, Any] = {
            "choices": [{"message": {"content": text}, "finish_reason": finish_reason}]
        }
        if usage is not None:
            message["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
        if status >= 300:
            message = {"error": {"message": text or f"status {status}", "code": None}}
        self.body = json.dumps(message).encode() if body is None else body


def refusal(
    text: str, status: int = 400, code: str | None = None, param: str | None = None, **more: Any
) -> Turn:
    """An error as OpenAI's API words it."""
    body = json.dumps({"error": {"message": text, "code": code, "param": param}}).encode()
    return Turn(status=status, body=body, **more)


class LlmServer:
    """Plays turns in order; the last one goes on for ever. Remembers every request."""

    def __init__(self, turns: Sequence[Turn] | Callable[[dict[str, Any]], Turn]) -> None:
        self._turns = turns if callable(turns) else list(turns)
        self._lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once, self.most_at_once = 0, 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with suppress(OSError):  # the client hung up, which is what many of these turns are for
                    server._play(self, body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> LlmServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _play(self, handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        with self._lock:
            turn = self._next(request)
            self.requests.append(request)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            time.sleep(turn.delay_s)
        finally:
            with self._lock:
                self.at_once -= 1
        handler.send_response(turn.status)
        for name, value in {"content-type": "application/json", **turn.headers}.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(turn.body)))
        handler.end_headers()
        if turn.close_early:
            handler.wfile.write(turn.body[: len(turn.body) // 2])
            handler.close_connection = True
            return
        step = 1 if turn.drip_s else max(1, len(turn.body))
        for at in range(0, len(turn.body), step):
            handler.wfile.write(turn.body[at : at + step])
            time.sleep(turn.drip_s)

    def _next(self, request: dict[str, Any]) -> Turn:
        if callable(self._turns):
            return self._turns(request)
        return self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]


@contextmanager
def llm_server(*turns: Turn) -> Iterator[LlmServer]:
    """A running server that plays these turns."""
    with LlmServer(turns) as server:
        yield server
