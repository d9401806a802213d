"""A worker process that somebody has paused does not answer, and nothing says so: it is looked at from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_EVERY_S = 0.5
PAUSED_LIMIT_S = 10.0
"""A process that stays paused so long is ended: its job would otherwise run for ever. A debugger's stop is shorter."""


@contextmanager
def ended_when_paused(pid: int, end: Callable[[], None]) -> Iterator[None]:
    """While inside, have `end` called once the process has been paused (SIGSTOP) for `PAUSED_LIMIT_S`.

    Only where the system shows a process's state under /proc.
    """
    over = threading.Event()

    def look() -> None:
        paused_s = 0.0
        while not over.wait(LOOK_EVERY_S):
            paused_s = paused_s + LOOK_EVERY_S if is_paused(pid) else 0.0
            if paused_s >= PAUSED_LIMIT_S:
                end()
                return

    watcher = threading.Thread(target=look, name=f"watch-{pid}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def is_paused(pid: int) -> bool:
    """Whether the process is stopped by a signal; False where it has ended or the system does not say."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return said.rpartition(")")[2].split()[0] == "T"
