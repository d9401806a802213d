"""Running validator code on this side of the wall: start the fork server, send a batch, read verdicts."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from plumbline_backend.domain.errors import JobFailedError

ROW_S = 2.0
"""Wall-clock limit of one call; real assertions take well under a millisecond."""
CPU_S = 120
"""Processor seconds of one validator over all its rows."""
MEMORY_BYTES = 512 * 2**20
GRACE_S = 10.0
"""The server keeps the limits itself; when it says nothing for so much longer, it is ended and the batch fails."""
_PACKAGES = str(Path(__file__).parents[3])


class Limits(NamedTuple):
    """What one validator may use."""

    row_s: float = ROW_S
    cpu_s: int = CPU_S
    memory_bytes: int = MEMORY_BYTES


class Outcome(NamedTuple):
    """What the code said of one row: state is pass, fail, abstain or error; note says why."""

    row: int
    state: str
    note: str
    seconds: float


class Row(NamedTuple):
    """What `check(output, context)` is called with; context has prompt, vars, reference and system."""

    output: str
    context: Mapping[str, Any]


class ForkServer:
    """A running fork server. One batch at a time; use it as a context manager."""

    program = "from plumbline_backend.judges.sandbox.server import main; main()"
    """What its process runs. The tests replace it, to see what the attacks do where nothing confines them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                "-c",
                f"import sys; sys.path.insert(0, {_PACKAGES!r}); {self.program}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8"},  # nothing of this process's environment, where keys may lie
            cwd="/",
            start_new_session=True,
        )
        self._buffer = b""
        try:
            self._answer(GRACE_S)
        except JobFailedError:
            self.close()
            raise

    def run(
        self,
        code: str,
        rows: Sequence[Row],
        limits: Limits = Limits(),
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> list[Outcome]:
        """Every row's outcome, in order. Raises JobFailedError when the server was lost or cannot confine."""
        request = {
            "code": code,
            "rows": [{"output": row.output, "context": dict(row.context)} for row in rows],
            **limits._asdict(),
        }
        outcomes: list[Outcome] = []
        with self._lock:
            self._send(json.dumps(request).encode() + b"\n")
            while True:
                message = self._answer(limits.row_s + GRACE_S)
                if "done" in message:
                    return outcomes
                if "fatal" in message:
                    raise JobFailedError(f"sandbox: {message['fatal']}")
                outcomes.append(Outcome(**message))
                if on_outcome is not None:
                    on_outcome(outcomes[-1])

    def close(self) -> None:
        """End the server and everything it started."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None  # both were asked for
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was still buffered for an ended server has no reader

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise JobFailedError("sandbox: its process has ended") from error

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        """The next line of the server."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        until = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, until - time.monotonic())):
                    self.close()
                    raise JobFailedError(f"sandbox: its process said nothing for {timeout_s:g} s")
                piece = os.read(descriptor, 65_536)
                if not piece:
                    raise JobFailedError("sandbox: its process has ended")
                self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
