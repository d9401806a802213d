"""Whether confinement holds on this system: tried once per process with the attack set, not assumed."""

from __future__ import annotations

import logging
import os
import select
import socket
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from plumbline_backend.domain.errors import JobFailedError
from plumbline_backend.judges.sandbox.attacks import ATTACKS, Attack, code_of
from plumbline_backend.judges.sandbox.client import ForkServer, Limits, Row

WallKind = Literal["fork server", "monty", "none"]
NOTHING = Row("", {})
HARMLESS = (
    "import json, re\ndef check(output, context):\n    return json.loads('1') == len(re.findall('a', 'a'))\n"
)
NEVER_PASSES = "def check(output, context):\n    return False\n"
_ONE_AT_A_TIME = threading.Lock()
logger = logging.getLogger(__name__)


class Wall(NamedTuple):
    """What confines code here. reason: why the stronger one does not, in words."""

    kind: WallKind
    reason: str


def probe() -> Wall:
    """Try the fork server with every quick attack; where one succeeds, or it cannot start, Monty; else nothing."""
    with _ONE_AT_A_TIME:
        return _probed()


def probe_at_start() -> threading.Thread:
    """Begin the probe beside whatever else a server does when it starts; the log says what it found."""
    probing = threading.Thread(target=_probe_aloud, name="sandbox-probe", daemon=True)
    probing.start()
    return probing


def _probe_aloud() -> None:
    wall = probe()
    level = logging.INFO if wall.kind == "fork server" else logging.WARNING
    logger.log(level, "code of assertions is confined by: %s (%s)", wall.kind, wall.reason)


@cache
def _probed() -> Wall:
    reason = what_fails()
    if not reason:
        return Wall("fork server", "Landlock, seccomp and limits hold against the attack set")
    if find_spec("pydantic_monty") is not None:
        return Wall("monty", reason)
    return Wall(
        "none", f"{reason}; `pip install pydantic-monty` brings an interpreter that needs no such wall"
    )


def what_fails() -> str:
    """Why the fork server cannot be trusted here; empty when it can."""
    try:
        with ForkServer() as server:
            first = server.run(HARMLESS, [NOTHING])[0]
            if first.state != "pass":
                return f"harmless code does not run: {first.note}"
            got_through = attacks_that_succeed(server, [a for a in ATTACKS if not a.slow])
    except (JobFailedError, OSError) as error:
        return str(error)
    return f"these attacks got through: {', '.join(got_through)}" if got_through else ""


def attacks_that_succeed(
    server: ForkServer, attacks: Sequence[Attack], limits: Limits = Limits()
) -> list[str]:
    """Names of the attacks that returned True, left a trace, were not ended in time or did not leave others alone.

    A server that an attack has ended, or that says nothing any more, ends the trial.
    """
    succeeded = []
    for attack in attacks:
        try:
            if _gets_through(server, attack, limits):
                succeeded.append(attack.name)
        except JobFailedError:
            return [*succeeded, attack.name]
    return succeeded


def _gets_through(server: ForkServer, attack: Attack, limits: Limits) -> bool:
    with Target() as target:
        outcome = server.run(code_of(attack, **target.places), [NOTHING], limits)[0]
        if outcome.state == "pass" or target.was_hit():
            return True
    return server.run(NEVER_PASSES, [NOTHING], limits)[0].state != "fail"


class Target:
    """What an attack may try to reach: a folder with a file in it, and four sockets."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plumbline-probe-")))
            open_to_all = self._folder / "open"
            open_to_all.mkdir()
            canary, path = open_to_all / "canary", self._folder / "socket"
            canary.write_text("secret")
            abstract = f"plumbline-{os.urandom(8).hex()}"
            kinds = ((socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
                     (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
                     (socket.AF_UNIX, socket.SOCK_STREAM, str(path)),
                     (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{abstract}"))  # fmt: skip
            self._sockets = [stack.enter_context(_bound(*kind)) for kind in kinds]
            for place in (self._folder, open_to_all, canary, path):
                place.chmod(0o777)
            tcp, udp = (each.getsockname()[1] for each in self._sockets[:2])
            self.places = {"canary": canary, "folder": open_to_all, "port": tcp, "udp": udp, "unix": path,
                           "abstract": abstract}  # fmt: skip
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def was_hit(self) -> bool:
        """Whether anything came through: a file that is new or gone, a connection, a datagram."""
        if sorted(path.name for path in self.places["folder"].iterdir()) != ["canary"]:
            return True
        return bool(select.select(self._sockets, [], [], 0)[0])


def _bound(family: socket.AddressFamily, kind: socket.SocketKind, address: Any) -> socket.socket:
    """A socket that hears what is sent to the address."""
    hearing = socket.socket(family, kind)
    hearing.bind(address)
    if kind == socket.SOCK_STREAM:
        hearing.listen()
    return hearing
