"""One thread that writes to SQLite and commits for everybody at once (group commit).

A commit with synchronous=FULL waits for the disk. Twenty threads with a connection each reached 122 to
141 inserts a second; one writer that commits whatever has gathered meanwhile reached 2,134.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")

MAX_GROUP = 256
"""Writes in one commit. Bounds how long the first waits for the last: 256 records take about 0.2 s."""


@dataclass(frozen=True)
class _Write:
    apply: Callable[[Connection], Any]
    outcome: Future[Any]


class GroupWriter:
    """Runs functions on the one writing connection, each inside a savepoint of a shared transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="plumbline-writer", daemon=True)
        self._thread.start()

    def write(self, apply: Callable[[Connection], T]) -> T:
        """Runs `apply` and returns its result once it is on disk; its exception undoes it alone.

        Raises RuntimeError when called from inside another write, or after `close`.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a write was asked for inside another write")
        outcome: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise RuntimeError("the store is closed")
            self._queue.put(_Write(apply, outcome))
        return outcome.result()

    def close(self) -> None:
        """Finishes what was asked before, then stops the thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            first = self._queue.get()
            if first is None:
                return
            group = [first]
            while open_ and len(group) < MAX_GROUP:
                try:
                    following = self._queue.get_nowait()
                except Empty:
                    break
                if following is None:
                    open_ = False
                else:
                    group.append(following)
            self._commit(group)

    def _commit(self, group: list[_Write]) -> None:
        """One transaction for the group. If it fails as a whole, nobody in it is acknowledged."""
        done: list[tuple[_Write, Any]] = []
        try:
            with self._engine.begin() as connection:
                for write in group:
                    try:
                        with connection.begin_nested():
                            done.append((write, write.apply(connection)))
                    except Exception as error:
                        _require_transaction(connection, error)
                        write.outcome.set_exception(error)
        except BaseException as error:
            for write in group:
                if not write.outcome.done():
                    write.outcome.set_exception(error)
            return
        for write, result in done:
            write.outcome.set_result(result)


def _require_transaction(connection: Connection, error: Exception) -> None:
    """Re-raise when SQLite has ended the whole transaction (disk full, I/O error), not only the savepoint."""
    raw = connection.connection.dbapi_connection
    if raw is None or not raw.in_transaction:
        raise error
