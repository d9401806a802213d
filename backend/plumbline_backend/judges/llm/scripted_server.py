"""The scripted model behind real HTTP: `python -m plumbline_backend.judges.llm.scripted_server --port 8765`."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from plumbline_backend.judges.llm.scripted import ScriptedModel

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 10_000_000
HOST = "127.0.0.1"


class ScriptedServer(ThreadingHTTPServer):
    """Serves /v1/chat/completions and /v1/models to this machine only."""

    daemon_threads = True

    def __init__(self, port: int = 0, model: ScriptedModel | None = None) -> None:
        super().__init__((HOST, port), _Handler)
        self.model = model or ScriptedModel()

    @property
    def url(self) -> str:
        """The base address for an OpenAI client."""
        return f"http://{HOST}:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is nothing to print a trace for."""
        del request
        logger.debug("a request of %s ended in an error", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self._answer(404, _error(f"no such path: {self.path}"))
            return
        models = [{"id": "scripted", "object": "model", "created": 0, "owned_by": "plumbline"}]
        self._answer(200, json.dumps({"object": "list", "data": models}).encode())

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if not 0 < length <= MAX_REQUEST_BYTES:
            self.close_connection = True
            self._answer(413, _error(f"expected 1 to {MAX_REQUEST_BYTES} bytes"))
            return
        body = self.rfile.read(length)
        if self.path != "/v1/chat/completions":
            self._answer(404, _error(f"no such path: {self.path}"))
            return
        self._answer(*self.server.model.respond(body))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Requests are not logged: they hold what people grade."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def scripted_server(model: ScriptedModel | None = None, port: int = 0) -> Iterator[ScriptedServer]:
    """A running server in a thread of this process, stopped at the end."""
    server = ScriptedServer(port, model)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        description="An OpenAI-compatible endpoint that answers by surface rules."
    )
    parser.add_argument("--port", type=int, default=8765, help="port on this machine (0 chooses a free one)")
    with ScriptedServer(parser.parse_args().port) as server:
        print(f"Scripted model at {server.url} (no language model). Stop with Ctrl+C.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()


if __name__ == "__main__":
    main()
