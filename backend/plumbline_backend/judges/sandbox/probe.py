"""Whether confinement holds on this system: tried once per process with the attack set, not assumed."""

from __future__ import annotations

import socket
import tempfile
from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from plumbline_backend.domain.errors import JobFailedError
from plumbline_backend.judges.sandbox.attacks import ATTACKS, Attack, code_of
from plumbline_backend.judges.sandbox.client import ForkServer, Limits, Row

WallKind = Literal["fork server", "monty", "none"]
NOTHING = Row("", {})
HARMLESS = (
    "import json, re\ndef check(output, context):\n    return json.loads('1') == len(re.findall('a', 'a'))\n"
)


class Wall(NamedTuple):
    """What confines code here. reason: why the stronger one does not, in words."""

    kind: WallKind
    reason: str


@cache
def probe() -> Wall:
    """Try the fork server with every quick attack; where one succeeds, or it cannot start, Monty; else nothing."""
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


def attacks_that_succeed(server: ForkServer, attacks: list[Attack], limits: Limits = Limits()) -> list[str]:
    """Names of the attacks that returned True or left a trace."""
    succeeded = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plumbline-probe-")))
        folder.chmod(0o777)
        canary = folder / "canary"
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        receiver = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        receiver.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        receiver.setblocking(False)
        places = {
            "canary": canary,
            "folder": folder,
            "port": listener.getsockname()[1],
            "udp": receiver.getsockname()[1],
        }
        for attack in attacks:
            canary.write_text("secret")
            canary.chmod(0o666)
            outcome = server.run(code_of(attack, **places), [NOTHING], limits)[0]
            if outcome.state == "pass" or _traces(folder, listener, receiver):
                succeeded.append(attack.name)
    return succeeded


def _traces(folder: Path, listener: socket.socket, receiver: socket.socket) -> bool:
    """Whether anything came through: a file that is new or gone, a connection, a datagram."""
    if sorted(path.name for path in folder.iterdir()) != ["canary"]:
        return True
    for take in (listener.accept, lambda: receiver.recv(1)):
        try:
            take()
        except BlockingIOError:
            continue
        return True
    return False
