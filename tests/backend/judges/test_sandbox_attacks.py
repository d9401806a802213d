"""The attacks are real: each succeeds where the defence that stops it is taken away, and each success is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plumbline_backend.domain.errors import JobFailedError
from plumbline_backend.judges.sandbox import ForkServer, Limits, Outcome, client, probe
from plumbline_backend.judges.sandbox.attacks import ATTACKS, Attack
from plumbline_backend.judges.sandbox.probe import NEVER_PASSES, attacks_that_succeed

confined = pytest.mark.skipif(probe().kind != "fork server", reason=f"no fork server here: {probe().reason}")
QUICK = Limits(row_s=0.3, cpu_s=5, memory_bytes=2**40)
UNDER_A_FILTER = "Seccomp:\t2" in Path("/proc/self/status").read_text()
REFUSED_IN_CONTAINERS = {"trace a process", "make namespaces of its own", "read memory by system call"}
"""Containers commonly have a filter of their own, which refuses these."""
UNSAFE = {"kill everybody", "deep recursion"}
"""Without a wall these would end every process of the machine, or take gigabytes of it."""
STOPPED_BY_FORKING = {
    "read its own environment", "use an inherited descriptor", "change the verdicts of others",
    "crash the interpreter", "print a gigabyte to where it is kept",
}  # fmt: skip
"""One process for all of it, with the environment and the files of the server, is what these need."""


class WithoutConfinement(ForkServer):
    """The fork server, whose children give up nothing."""

    program = """
from plumbline_backend.judges.sandbox import child, server
child.give_up_everything = lambda *_: None
server.main()
"""


class WithoutForking(ForkServer):
    """Code runs in the serving process: plain exec, with a key in the environment and its standard output kept."""

    program = """
import json, os, tempfile
from plumbline_backend.judges.sandbox import child, server
child.preload()
requests, answers, kept = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w"), tempfile.TemporaryFile()
os.dup2(kept.fileno(), 1)
os.environ["API_KEY"] = "secret"
def here(request, rows, at, answers):
    check, _ = child._compiled(request["code"])
    state, note = child._verdict(check, rows[at])
    server.say(answers, {"row": at, "state": state, "note": note, "seconds": 0.0})
    return at + 1, ""
server._one_child = here
server.say(answers, {"ready": True})
for line in requests:
    server.serve(json.loads(line), answers)
    server.say(answers, {"done": True})
"""


def proof_of(attack: Attack) -> type[ForkServer]:
    """The server without the defence that stops the attack."""
    return WithoutForking if attack.slow or attack.name in STOPPED_BY_FORKING else WithoutConfinement


@confined
@pytest.mark.parametrize(
    "attack", [a for a in ATTACKS if a.name not in UNSAFE], ids=lambda attack: attack.name
)
def test_without_its_defence_the_attack_succeeds(attack, monkeypatch):
    if attack.name == "become root" and os.geteuid() != 0:
        pytest.skip("only root can become root")
    if attack.name in REFUSED_IN_CONTAINERS and UNDER_A_FILTER:
        pytest.skip("a filter of the container refuses this already")
    monkeypatch.setattr(client, "GRACE_S", 20.0)
    with proof_of(attack)() as server:
        monkeypatch.setattr(client, "GRACE_S", 0.5 if attack.slow else 20.0)
        limits = QUICK if attack.slow else QUICK._replace(row_s=10.0)
        assert attacks_that_succeed(server, [attack], limits) == [attack.name]


@confined
@pytest.mark.parametrize("server_kind", [WithoutConfinement, WithoutForking])
def test_harmless_code_is_no_attack(server_kind):
    """So that a server without defences is not simply always said to be hit."""
    harmless = [Attack("count", "return len(output) > 3"), Attack("raise", "raise ValueError")]
    with server_kind() as server:
        assert attacks_that_succeed(server, harmless, QUICK) == []


class Scripted:
    """A server that plays one attack's outcome."""

    def __init__(self, state="fail", later="fail", trace=None, lost=False):
        self.state, self.later, self.trace, self.lost = state, later, trace, lost

    def run(self, code, *_):
        if code == NEVER_PASSES:
            return [Outcome(0, self.later, "", 0.0)]
        if self.lost:
            raise JobFailedError("sandbox: its process said nothing for 12 s")
        if self.trace is not None:
            self.trace(Path(code.split("'")[1]))
        return [Outcome(0, self.state, "", 0.0)]


@pytest.mark.parametrize(
    ("server", "through"),
    [
        (Scripted(), False),
        (Scripted(state="error"), False),
        (Scripted(state="pass"), True),
        (Scripted(trace=lambda folder: (folder / "left").write_text("x")), True),
        (Scripted(trace=lambda folder: (folder / "canary").unlink()), True),
        (Scripted(later="pass"), True),
        (Scripted(later="error"), True),
        (Scripted(lost=True), True),
    ],
)  # fmt: skip
def test_every_kind_of_success_is_noticed(server, through):
    two = [Attack("first", "'{folder}'"), Attack("second", "'{folder}'")]
    expected = [] if not through else ["first"] if server.lost else ["first", "second"]
    assert attacks_that_succeed(server, two) == expected
