"""How many calls run at once: one more after each round of successes, half as many after "too many requests"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

START = 4
"""Calls at once in the beginning; small hosted accounts refuse more."""


class Throttle:
    """Additive increase, multiplicative decrease (Chiu and Jain 1989), from 1 to `limit` calls at once."""

    def __init__(self, limit: int) -> None:
        self._limit = float(limit)
        self._allowed = float(min(START, limit))
        self._running = 0
        self._resume_at = 0.0
        self._changed = asyncio.Condition()

    @property
    def allowed(self) -> int:
        """Calls that may run at once now."""
        return int(self._allowed)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a turn, and for the end of a pause that the endpoint asked for."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._running < self.allowed)
            self._running += 1
        try:
            await self._pause_over()
            yield
        finally:
            async with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def succeeded(self) -> None:
        """A call was answered."""
        self._allowed = min(self._limit, self._allowed + 1.0 / self._allowed)

    def refused(self, pause_s: float) -> None:
        """The endpoint wants fewer calls: halve, and start no new one for `pause_s` seconds."""
        self._allowed = max(1.0, self._allowed / 2)
        self._resume_at = max(self._resume_at, asyncio.get_running_loop().time() + pause_s)

    async def _pause_over(self) -> None:
        while (left := self._resume_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
