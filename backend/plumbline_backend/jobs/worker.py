"""The worker process: one JSON line in (task, spec), JSON lines out (progress ..., then result or error).

It never opens the database. Whatever a library prints goes to standard error, so that the answers stay readable.
It dies with its server: where standard input closes under a task, nobody waits for the answer, and what it would still
write would come in the way of the next server.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from queue import SimpleQueue
from typing import IO, Any

from plumbline_backend.domain.errors import ImportRefusedError
from plumbline_backend.jobs.tasks import run_task

NICENESS = 5
"""Keeps a page quick while a worker trains on a small machine."""


def main() -> None:
    """Serve tasks until standard input closes."""
    os.nice(NICENESS)
    requests: SimpleQueue[str | None] = SimpleQueue()
    unanswered = threading.Semaphore(0)
    threading.Thread(target=_read, args=(requests, unanswered), name="requests", daemon=True).start()
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1) as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        while (line := requests.get()) is not None:
            request = json.loads(line)
            _serve(request["task"], request["spec"], answers)
            unanswered.acquire()


def _read(requests: SimpleQueue[str | None], unanswered: threading.Semaphore) -> None:
    for line in sys.stdin:
        unanswered.release()
        requests.put(line)
    if unanswered.acquire(blocking=False):
        os.killpg(os.getpgrp(), signal.SIGKILL)  # the group is this worker's own
    requests.put(None)


def _serve(task: str, spec: dict[str, Any], answers: IO[str]) -> None:
    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    say(answer_to(task, spec, lambda progress, text: say({"progress": progress, "message": text})))


def answer_to(task: str, spec: Mapping[str, Any], report: Callable[[float, str], None]) -> dict[str, Any]:
    """Run a task; its result, or what went wrong, as a message for the server."""
    try:
        return {"result": run_task(task, spec, report)}
    except ImportRefusedError as error:
        problems = [asdict(problem) for problem in error.problems]
        return {"error": "ImportRefusedError", "problems": problems, "n_more": error.n_more}
    except Exception as error:  # the boundary of the process: the reason travels to the server
        return {"error": type(error).__name__, "text": str(error)}


if __name__ == "__main__":
    main()
