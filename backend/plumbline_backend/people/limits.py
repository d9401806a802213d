"""How often a sign-in may fail before it has to wait."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_KEPT = 20_000
"""Subjects remembered at once; beyond it those are forgotten that were seen longest ago."""
FORGET_AFTER_S = 3600.0


@dataclass(frozen=True)
class Limit:
    """`free` failures, then each one more doubles the wait from `first_s` up to `longest_s`."""

    free: int
    first_s: float
    longest_s: float

    def wait_s(self, failures: int) -> float:
        """Seconds to wait after so many failures."""
        over = failures - self.free
        return 0.0 if over < 0 else min(self.longest_s, self.first_s * 2.0 ** min(over, 40))


LIMITS = {
    "pair": Limit(5, 2.0, 900.0),
    "address": Limit(30, 2.0, 900.0),
    "name": Limit(100, 1.0, 60.0),
}
"""pair: one name from one address, a person who forgot; waits grow quickly. address: one machine that tries many
names. name: many machines that try one name; held to a minute, so that nobody can be locked out by others."""


@dataclass
class _Failures:
    count: int = 0
    last_at: float = 0.0


class SignInLimits:
    """Counts failures by name, by address, and by both. Kept in memory: a restart forgives."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def attempt(self, name: str, address: str) -> float:
        """Counts an attempt as a failure until `succeeded` takes it back. Returns seconds to wait, 0 to go on.

        Counted before the password is looked at: a hundred attempts at the same moment are not all let through.
        """
        with self._lock:
            now = self._clock()
            waits = [self._wait(kind, subject, now) for kind, subject in _subjects(name, address)]
            if max(waits) > 0:
                return max(waits)
            for key in _subjects(name, address):
                found = self._failures.setdefault(key, _Failures())
                found.count, found.last_at = found.count + 1, now
                self._failures.move_to_end(key)
            while len(self._failures) > MAX_KEPT:
                self._failures.popitem(last=False)
            return 0.0

    def succeeded(self, name: str, address: str) -> None:
        """Take the last attempt back: the pair is forgiven, the others lose one failure."""
        with self._lock:
            for key in _subjects(name, address):
                found = self._failures.get(key)
                if found is not None:
                    found.count = 0 if key[0] == "pair" else max(0, found.count - 1)

    def _wait(self, kind: str, subject: str, now: float) -> float:
        found = self._failures.get((kind, subject))
        if found is None:
            return 0.0
        since = now - found.last_at
        if since > FORGET_AFTER_S:
            del self._failures[kind, subject]
            return 0.0
        return max(0.0, LIMITS[kind].wait_s(found.count) - since)


def _subjects(name: str, address: str) -> tuple[tuple[str, str], ...]:
    network = _network(address)
    return (("pair", f"{network} {name}"), ("address", network), ("name", name))


def _network(address: str) -> str:
    """The address itself; of IPv6 the /64, which is what one machine is given."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
