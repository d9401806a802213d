"""The fork server: an own process, without secrets, that forks a confined child for each validator.

In: one JSON line per batch {code, rows, row_s, cpu_s, memory_bytes}. Out: one JSON line per row {row, state, note,
seconds}, then {done}. A child runs the rows one after the other; when it is lost (too slow, killed, out of memory
beyond repair) its row is an error and a fresh child goes on with the next. Nothing of a child is believed but its
own verdicts, of bounded length.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

from plumbline_backend.judges.sandbox.child import judge_rows, preload

MAX_LOST = 3
"""Rows on which a child may be lost before the validator is given up: a loop then costs three row limits at most."""
MAX_FRAME = 8_192
"""Bytes of one verdict as the child writes it."""
START_S = 5.0
"""Allowance of a child to confine itself, before the time of its first row, with the compilation, begins."""


def main() -> None:
    """Serve batches until standard input closes."""
    preload()
    requests, answers = (
        os.fdopen(os.dup(0), "r", encoding="utf-8"),
        os.fdopen(os.dup(1), "w", encoding="utf-8"),
    )
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    say(answers, {"ready": True})
    for line in requests:
        request = json.loads(line)
        try:
            serve(request, answers)
        except OSError as error:
            say(answers, {"fatal": f"{type(error).__name__}: {error}"})
        say(answers, {"done": True})


def serve(request: Mapping[str, Any], answers: IO[str]) -> None:
    """Judge every row of a batch, in as many children as that takes."""
    rows: Sequence[Any] = request["rows"]
    at, lost = 0, 0
    while at < len(rows):
        if lost >= MAX_LOST:
            note = f"not run: the code was stopped on {MAX_LOST} rows before"
            for row in range(at, len(rows)):
                say(answers, {"row": row, "state": "error", "note": note, "seconds": 0.0})
            return
        at, why = _one_child(request, rows, at, answers)
        if why:
            lost += 1
            seconds = request["row_s"] if "longer" in why else 0.0
            say(answers, {"row": at, "state": "error", "note": why, "seconds": seconds})
            at += 1


def say(answers: IO[str], message: Mapping[str, Any]) -> None:
    """One line to the parent."""
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _one_child(
    request: Mapping[str, Any], rows: Sequence[Any], start: int, answers: IO[str]
) -> tuple[int, str]:
    """Fork, pass verdicts on; returns the row that comes next and why the child was lost on it ("": it was not)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        judge_rows(request, rows, start, writing)
    os.close(writing)
    try:
        return _follow(reading, child, request["row_s"], start, len(rows), answers)
    finally:
        os.close(reading)


def _follow(
    reading: int, child: int, row_s: float, at: int, n_rows: int, answers: IO[str]
) -> tuple[int, str]:
    buffer, until, confined = b"", time.monotonic() + START_S, False
    while at < n_rows:
        ready, _, _ = select.select([reading], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            _end(child)
            what = (
                f"longer than {row_s:g} s for one row" if confined else f"longer than {START_S:g} s to start"
            )
            return at, f"stopped: {what}"
        piece = os.read(reading, 65_536)
        if not piece:
            return at, _how_it_ended(_end(child, kill=False))
        buffer += piece
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            message = _understood(line)
            if message is None or (confined and message.get("row") != at):
                _end(child)
                return at, "stopped: the code wrote to the result pipe"
            if not confined:
                confined = True
                if "confined" not in message:
                    _end(child)
                    raise OSError(str(message.get("refused", "the child did not confine itself")))
            else:
                say(answers, message)
                at += 1
            until = time.monotonic() + row_s
        if len(buffer) > MAX_FRAME:
            _end(child)
            return at, "stopped: the code wrote to the result pipe"
    _end(child)
    return at, ""


def _understood(line: bytes) -> dict[str, Any] | None:
    """A child's message, if it is one: verdicts have a row, a known state, a note and a duration."""
    if len(line) > MAX_FRAME:
        return None
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    if "confined" in message or "refused" in message:
        return message
    good = (
        isinstance(message.get("row"), int)
        and message.get("state") in ("pass", "fail", "abstain", "error")
        and isinstance(message.get("note"), str)
        and isinstance(message.get("seconds"), float)
    )
    return {name: message[name] for name in ("row", "state", "note", "seconds")} if good else None


def _end(child: int, kill: bool = True) -> int:
    if kill:
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "stopped: too much processor time"
        return f"stopped by signal {signal.Signals(number).name}"
    return f"the code ended its process (exit {os.WEXITSTATUS(status)})"
